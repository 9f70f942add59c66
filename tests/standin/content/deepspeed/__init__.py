# SPDX-License-Identifier: Apache-2.0
"""Stand-in for DeepSpeed 0.13.2."""

__version__ = "0.13.2+standin"
