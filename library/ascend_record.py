#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: a node's raw outputs, masked, as one text."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ascend_record
short_description: Capture the raw state of an Ascend node, with names and addresses masked
version_added: "0.1.0"
description:
  - Runs every query behind the facts of C(ascend_facts) and further read-only ones, and packs the raw outputs, the
    files and the facts into one text. Changes nothing.
  - Host and user names, serial numbers, IPv4, IPv6 and hardware addresses, UUIDs, mail addresses and passwords are
    replaced on the node, before the text leaves it. A value has the same pseudonym throughout a capture.
  - Fails rather than return a text that still contains anything to be masked.
  - Anything absent or broken on the node is part of the capture, not a failure. Each call has a time limit. A tool that
    times out three times is not called again. The queries beyond those of the facts stop after five minutes.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  names:
    description: More words to mask, for example the node's names and addresses in the inventory.
    type: list
    elements: str
    default: []
  command_timeout_s:
    description: How long each call of a tool may take, in seconds.
    type: int
    default: 30
attributes:
  check_mode:
    description: Can run in check mode and return the same capture.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Capture the node's raw state
  ascend_record:
    names: ["{{ inventory_hostname }}"]
  register: recorded

- name: Save the capture on the control node
  ansible.builtin.copy:
    content: "{{ recorded.record }}"
    dest: ./record.txt
    mode: "0600"
  diff: false
  delegate_to: localhost
"""

RETURN = r"""
record:
  description: The capture, up to some 2 MB of text. docs/first-node.md explains how to read it.
  returned: success
  type: str
size_bytes:
  description: The length of the capture in UTF-8, in bytes.
  returned: success
  type: int
  sample: 412345
made:
  description: When the capture was made, in UTC by the node's clock.
  returned: success
  type: str
  sample: 20260102T030405Z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.in_time import in_time
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC, Places
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record import make as capture

LIMIT_S = 1200  # some hundred questions to the driver's tools
ARGUMENT_SPEC = {
    **SPEC,
    "names": {"type": "list", "elements": "str", "default": []},
    "command_timeout_s": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    places = Places.of(options)
    try:
        node, limit_s, names = Node(query, module.get_bin_path), options["command_timeout_s"], options["names"]
        text = in_time(LIMIT_S, lambda at: capture.make(node._replace(at=at), places, limit_s, names))
    except AscendError as error:
        module.fail_json(msg=str(error), **error.as_dict())
    made = "".join(character for character in capture.parse(text).about["made"] if character.isalnum())
    module.exit_json(changed=False, record=text, size_bytes=len(text.encode("utf-8")), made=made)


if __name__ == "__main__":
    main()
