# SPDX-License-Identifier: Apache-2.0
"""What a node serves, in words."""
