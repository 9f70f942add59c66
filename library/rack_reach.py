#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: whether a node reaches others, card to card and address to address."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rack_reach
short_description: Ping cards of other nodes, and connect to their addresses
version_added: "0.1.0"
description:
  - Pings cards of other nodes from the cards of this one with C(hccn_tool -i I -ping -g address IP), several cards in
    parallel, and opens TCP connections from the address of this node's interface to those of others. Changes nothing.
  - A port that refuses the connection counts as reached, because the other kernel answers; one that a firewall drops
    does not. A firewall that answers with a TCP reset looks like that kernel.
author:
  - The ascend-fleet authors (@ascend-fleet)
options:
  pings:
    description: What to ping, with C(device) (of this node), C(address), and C(to) and C(card), which are returned.
    type: list
    elements: dict
    default: []
  connections:
    description: Where to connect to, with C(address), C(port), and C(to), which is returned.
    type: list
    elements: dict
    default: []
  source:
    description: The address from which to connect.
    type: str
    default: ""
  interface:
    description: The interface to connect through.
    type: str
    default: ""
  ping_timeout_s:
    description: How long a ping may take, in seconds.
    type: int
    default: 20
  timeout_s:
    description: After this many seconds no ping is started.
    type: int
    default: 300
attributes:
  check_mode:
    description: Can run in check mode and return the same.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Ping card 0 of the next node, and connect to the port of its ranks
  rack_reach:
    pings:
      - {device: 0, address: 10.20.2.1, to: npu-002, card: 0}
    connections:
      - {address: 192.0.2.12, port: 29500, to: npu-002}
    source: 192.0.2.11
    interface: bond0
"""

RETURN = r"""
pings:
  description:
    - The pings as requested, with C(ok) (null if there was no time or no tool), C(loss_percent) and C(words) (the
      tool's own).
  returned: success
  type: list
  elements: dict
connections:
  description: The connections as requested, with C(ok) and C(words) (the system's own).
  returned: success
  type: list
  elements: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.rack.reach import connect, ping_cards

ARGUMENT_SPEC = {
    "pings": {"type": "list", "elements": "dict", "default": []},
    "connections": {"type": "list", "elements": "dict", "default": []},
    "source": {"type": "str", "default": ""},
    "interface": {"type": "str", "default": ""},
    "ping_timeout_s": {"type": "int", "default": 20},
    "timeout_s": {"type": "int", "default": 300},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    node = Node(query, module.get_bin_path)
    try:
        connections = connect(options["source"], options["interface"], options["connections"])
        pings = ping_cards(node, options["pings"], options["ping_timeout_s"], time.monotonic, options["timeout_s"])
    except REPORTED as error:
        module.fail_json(**failure(error))
    module.exit_json(changed=False, pings=pings, connections=connections)


if __name__ == "__main__":
    main()
