#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: let accounts open the cards."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: device_users
short_description: Let accounts open the cards
version_added: "0.2.0"
description:
  - Puts accounts that cannot read and write the driver's device files into the group that may, and leaves the others as
    they are. New sessions have the group; those that run keep what they have.
  - Accounts of a directory (LDAP, SSSD) join the group in C(/etc/group) of the node.
  - Makes neither accounts nor groups, never adds one to the group of root, and takes nobody out of a group.
author:
  - The ascend-fleet authors (@ascend-fleet)
options:
  users:
    description: The accounts.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: Tells who would join, and changes nothing.
    support: full
  diff_mode:
    description: Shows the groups that are joined.
    support: full
"""

EXAMPLES = r"""
- name: Let alice and bob use the cards
  device_users:
    users: [alice, bob]
"""

RETURN = r"""
joined:
  description: Who joined which group, a dictionary an account with C(name) and C(group).
  returned: success
  type: list
  elements: dict
  sample: [{name: alice, group: HwHiAiUser}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.device_users import admit

ARGUMENT_SPEC = {"users": {"type": "list", "elements": "str", "required": True}}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        joined = admit(Node(query, module.get_bin_path), module.params["users"], module.check_mode)
    except REPORTED as error:
        module.fail_json(**failure(error, "/etc/group"))
    after = "".join("%(group)s: %(name)s\n" % each for each in joined)
    module.exit_json(changed=bool(joined), joined=joined, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
