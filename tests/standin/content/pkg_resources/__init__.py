# SPDX-License-Identifier: Apache-2.0
"""Stand-in for what torch 2.1 imports from setuptools."""

__version__ = "0"
