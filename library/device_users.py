#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: let accounts open the cards."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: device_users
short_description: Allow accounts to open the cards
version_added: "0.2.0"
description:
  - Adds accounts that cannot read and write the driver's device files to the group that can, and does not change the
    others. The group applies to new sessions, not to running ones.
  - Accounts from a directory (LDAP, SSSD) are added to the group in the node's C(/etc/group).
  - Creates no accounts or groups, never adds an account to root's group, and never removes one from a group.
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
    description: Reports who would be added and changes nothing.
    support: full
  diff_mode:
    description: Shows the groups to which accounts are added.
    support: full
"""

EXAMPLES = r"""
- name: Allow alice and bob to use the cards
  device_users:
    users: [alice, bob]
"""

RETURN = r"""
joined:
  description: Who was added to which group, one dictionary per account with C(name) and C(group).
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
