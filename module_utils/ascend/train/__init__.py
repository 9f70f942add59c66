# SPDX-License-Identifier: Apache-2.0
"""Training on a node: what is looked at before it begins, the job that goes on, its checkpoints."""
