# SPDX-License-Identifier: Apache-2.0
"""Which version this is."""

VERSION = "0.9.1+standin"
