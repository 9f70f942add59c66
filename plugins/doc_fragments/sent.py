# SPDX-License-Identifier: Apache-2.0
"""The option of the modules that take files of the depot into a node's cache: which ones."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  files:
    description: The files; given by the action plugin.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Its path in the cache.
        type: str
        required: true
      sha256:
        description: Its sha256, in hexadecimal.
        type: str
        required: true
      size_bytes:
        description: Its size in bytes.
        type: int
        required: true
      address:
        description: Its path on the server from which it is fetched. If empty, its sha256.
        type: str
        default: ""
"""
