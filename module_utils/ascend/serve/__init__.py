# SPDX-License-Identifier: Apache-2.0
"""Models that a node serves with LLaMA-Factory's API, as services that start at boot."""
