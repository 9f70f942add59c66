# SPDX-License-Identifier: Apache-2.0
"""Models that a node serves by LLaMA-Factory's API, as services that begin with the machine."""
