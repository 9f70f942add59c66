#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: what a node answers before it trains with others."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rack_look
short_description: Report what multi-node training needs from a node
version_added: "0.1.0"
description:
  - Observes a node in one round trip and changes nothing. Besides the facts of M(ascend.fleet.ascend_facts) it reports
    the network interface over which ranks connect, ports in use, the node's own name, models and data, and what the
    facts do not contain about each card's network.
  - Fails within its time limit if the node does not answer. It judges nothing; the action C(rack_report) compares the
    nodes.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  network:
    description: Check the cards' network with C(hccn_tool); this takes seconds.
    type: bool
    default: true
  interface:
    description: The interface, as in C(HCCL_SOCKET_IFNAME); empty for the one that HCCL chooses.
    type: str
    default: ""
  ports:
    description: Ports on which a job will listen; they must be free.
    type: list
    elements: int
    default: []
  paths:
    description:
      - Models and data to read as the account that trains. Names, sizes and times of all files are compared by digests;
        contents are not read.
    type: list
    elements: path
    default: []
  users:
    description: Accounts that train; the first one that exists on the node reads the paths.
    type: list
    elements: str
    default: []
  kernel_settings:
    description: Names of kernel settings to report.
    type: list
    elements: str
    default: []
  cards_out:
    description: NPU ids of cards that are out of use; their network is not checked.
    type: list
    elements: int
    default: []
  timeout_s:
    description: How long the whole call may take, in seconds.
    type: int
    default: 180
attributes:
  check_mode:
    description: Can run in check mode and return the same.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Inspect a node before a multi-node job
  rack_look:
    interface: bond0
    ports: [29500, 60000, 60001]
    paths: [/data/models/llama3]
    users: [alice]
"""

RETURN = r"""
look:
  description:
    - C(facts) (subsets system, npu, python, and network if requested), C(cards), C(host), C(interface), C(taken),
      C(paths), C(account); C(began_s) and C(ended_s), the node's own clock before and after, in seconds since 1970.
    - C(cards) has for each port C(device), C(netdetect) (the address that it watches), C(tls) (0 or 1),
      C(link_up_count), C(link_downs_of_day), C(switch_port) (LLDP), each null if unknown, and C(unread), the tool's
      output by query.
    - C(host) has C(name), C(addresses) and C(error) of the node's own name; C(interface) has C(asked), C(name), C(up),
      C(address) and C(all).
    - C(taken) lists C(port), C(why), C(pid), C(user), C(command); C(paths) maps each path to C(error), C(files),
      C(bytes), C(sizes) and C(times) (digests of its listing).
  returned: success
  type: dict
problem:
  description: What is wrong, in words.
  returned: failure
  type: str
wanted:
  description: What was expected.
  returned: failure
  type: str
found:
  description: What was found instead.
  returned: failure
  type: str
where:
  description: What did not answer.
  returned: failure
  type: str
remedy:
  description: The next command to type.
  returned: failure
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC, Places
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.rack.look import Asked, look_in_time

ARGUMENT_SPEC = {
    **SPEC,
    "network": {"type": "bool", "default": True},
    "interface": {"type": "str", "default": ""},
    "ports": {"type": "list", "elements": "int", "default": []},
    "paths": {"type": "list", "elements": "path", "default": []},
    "users": {"type": "list", "elements": "str", "default": []},
    "kernel_settings": {"type": "list", "elements": "str", "default": []},
    "cards_out": {"type": "list", "elements": "int", "default": []},
    "timeout_s": {"type": "int", "default": 180},
}
_ASKED = ("users", "interface", "ports", "paths", "kernel_settings", "cards_out", "network")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    asked = Asked(Places.of(options), *(options[name] for name in _ASKED))
    try:
        found = look_in_time(options["timeout_s"], Node(query, module.get_bin_path), run, asked)
    except REPORTED as error:
        module.fail_json(**failure(error))
    module.exit_json(changed=False, look=found)


if __name__ == "__main__":
    main()
