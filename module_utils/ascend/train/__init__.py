# SPDX-License-Identifier: Apache-2.0
"""Training on a node: the checks before it begins, the job that continues by itself, its checkpoints."""
