#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: write a release's system settings into drop-in files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: system_settings
short_description: Set kernel settings and session limits, in drop-in files of their own
version_added: "0.1.0"
description:
  - Writes C(/etc/sysctl.d/60-ascend-fleet.conf) and C(/etc/security/limits.d/60-ascend-fleet.conf), and sets the
    running kernel. No other files are touched, and settings that are already right are in neither file.
  - Existing settings are kept. Port ranges are merged with those of the kernel, and a number is never lowered.
  - Earlier requests are kept, too. A lower value, such as that of an older release, changes nothing.
  - Comments in the file have the kernel's previous values, which C(ascend_remove) restores.
  - Limits apply to sessions that start afterwards.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  kernel_settings:
    description:
      - Kernel settings by C(sysctl) name, with their values; a number is a minimum.
      - Settings that the kernel does not have are skipped.
    type: dict
    default: {}
  limits:
    description:
      - The minimum hard limit of a session by name, C(nofile), C(nproc), C(memlock) or C(stack), the last two in bytes.
      - It is written for everybody and for root, because limits.conf(5) requires root to be named.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Reports what would change and writes nothing.
    support: full
  diff_mode:
    description: Shows both files and the kernel's values before and after.
    support: full
"""

EXAMPLES = r"""
- name: Reserve HCCL's ports and allow sessions to open more files
  system_settings:
    kernel_settings:
      net.ipv4.ip_local_reserved_ports: 60000-60015
    limits:
      nofile: 8192
"""

RETURN = r"""
settings:
  description: The kernel settings that were set, with their values.
  returned: success
  type: dict
  sample: {net.ipv4.ip_local_reserved_ports: "8080,60000-60015"}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.settings.node_settings import Change
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.system import limits

ARGUMENT_SPEC = {
    **SPEC,
    "kernel_settings": {"type": "dict", "default": {}},
    "limits": {"type": "dict", "default": {}},
}


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    node = Node(query, module.get_bin_path)
    try:
        least = {name: int(value) for name, value in options["limits"].items()}
        change = Change(node, limits(), options["kernel_settings"], least)
        if change.changed and not module.check_mode:
            with module_lock.taken(options["state_dir"], "setting the system"):
                change.apply()
    except REPORTED as error:
        module.fail_json(**failure(error, "/etc"))
    module.exit_json(changed=change.changed, diff=change.diff(), settings=change.set)


if __name__ == "__main__":
    main()
