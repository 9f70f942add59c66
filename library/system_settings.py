#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: what a release wants of a node's system, in drop-in files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: system_settings
short_description: Set kernel settings and limits of sessions, in drop-in files of their own
version_added: "0.1.0"
description:
  - Writes C(/etc/sysctl.d/60-ascend-fleet.conf) and C(/etc/security/limits.d/60-ascend-fleet.conf), and sets the
    running kernel. Nobody else's file is touched, and what is as it should be already is in neither file.
  - What others have set is kept. Port ranges are united with those that the kernel has; a number is never lowered.
  - What was asked for before is kept, too. A smaller wish, such as that of an older release, changes nothing.
  - The kernel's values of before stand in comments of the file, by which C(ascend_remove) sets them back.
  - Limits apply to sessions that begin afterwards.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  kernel_settings:
    description:
      - Names as C(sysctl) has them, with the values that they shall have; a number is the least.
      - One that the kernel does not have is left out.
    type: dict
    default: {}
  limits:
    description:
      - The least hard limit of a session by name, C(nofile), C(nproc), C(memlock) or C(stack), the last two in bytes.
      - It is written for everybody and for root, of whom limits.conf(5) asks to be named.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Says what would change, and writes nothing.
    support: full
  diff_mode:
    description: Shows both files and the kernel's values before and after.
    support: full
"""

EXAMPLES = r"""
- name: Reserve the ports of HCCL and let sessions open more files
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
