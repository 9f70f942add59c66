# SPDX-License-Identifier: Apache-2.0
"""The options of every module that reads or changes a node: where things are on it."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  cann_root:
    description: The folder of CANN and the driver.
    type: path
    default: /usr/local/Ascend
  ascend_root:
    description: The folder of the Pythons (C(python/)) and the environments (C(env/)).
    type: path
    default: /opt/ascend
  cache_dir:
    description: The folder in which files from the depot are cached.
    type: path
    default: /var/cache/ascend-fleet
  state_dir:
    description: The folder of the locks, the journal and the manifests of what is installed.
    type: path
    default: /var/lib/ascend-fleet
  tmp_dir:
    description:
      - The folder in which installers unpack and verifications have their home, in private folders that are removed
        afterwards.
    type: path
    default: /var/tmp
"""
