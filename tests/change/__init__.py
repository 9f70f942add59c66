# SPDX-License-Identifier: Apache-2.0
"""A package of its own, so that its fleet ends with its last test: the next folder's needs the room on the disk."""
