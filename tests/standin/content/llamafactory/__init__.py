# SPDX-License-Identifier: Apache-2.0
"""Stand-in for LLaMA-Factory 0.9.1."""

__version__ = "0.9.1+standin"
