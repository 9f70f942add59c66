# SPDX-License-Identifier: Apache-2.0
"""The options of every module that reads or changes a node: where things lie on it."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  cann_root:
    description: Where CANN and the driver lie.
    type: path
    default: /usr/local/Ascend
  ascend_root:
    description: Where the Pythons (C(python/)) and the environments (C(env/)) lie.
    type: path
    default: /opt/ascend
  cache_dir:
    description: Where files from the depot are kept.
    type: path
    default: /var/cache/ascend-fleet
  state_dir:
    description: Where the locks, the journal and the manifests of what was installed lie.
    type: path
    default: /var/lib/ascend-fleet
  tmp_dir:
    description: Where installers unpack and proofs have their home, in private folders that are removed afterwards.
    type: path
    default: /var/tmp
"""
