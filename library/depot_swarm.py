#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: a node in the swarm of its batch. The action plugin of this name seeds it with the depot's files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: depot_swarm
short_description: Share the depot's files between the nodes of a batch
version_added: "0.2.0"
description:
  - Each node of a batch downloads the depot files that it lacks from the others and from the control node by
    BitTorrent, and uploads what it has. The libtorrent wheel comes from the depot over Ansible's connection.
  - A node answers only the control node and the nodes of its batch, and only for the files of this batch. The program
    runs as C(nobody). It stops when M(ascend.fleet.depot_files) accepts the received files, or with its playbook.
  - Each file's sha256 comes from the control node over Ansible's connection and is verified before the file gets its
    final name. M(ascend.fleet.depot_files) then sends what the node did not receive from the others.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
  - ascend.fleet.sent
options:
  part:
    description:
      - V(seed) makes the control node seed what the batch needs, V(join) starts the node's peer, V(wait) returns when
        the node has all files or has received nothing for half a minute. V(ask) is for the action plugin.
    type: str
    choices: [ask, join, seed, wait]
    required: true
  wanted:
    description: What the node should be, as C(node_plan) returns it; for the action plugin.
    type: dict
    default: {}
  steps:
    description: The steps whose files are wanted (toolkit, kernels, environment and so on); for the action plugin.
    type: list
    elements: str
    default: []
  port:
    description: The TCP port on which the nodes and the control node accept connections.
    type: int
    default: 6881
  torrent:
    description: The torrent in base64; given by the action plugin.
    type: str
    default: ""
  job:
    description: The peers that the node may connect to; given by the action plugin.
    type: dict
    default: {}
  wheel:
    description: The path of libtorrent's wheel in the cache; given by the action plugin.
    type: str
    default: ""
  wheel_sha256:
    description: The sha256 that the wheel must have, in hexadecimal; given by the action plugin.
    type: str
    default: ""
attributes:
  check_mode:
    description: Cannot run in check mode.
    support: none
  diff_mode:
    description: M(ascend.fleet.depot_files) names the files when it accepts them.
    support: none
"""

EXAMPLES = r"""
- name: Seed the depot's files for this batch
  depot_swarm:
    part: seed
  run_once: true

- name: Share what the environment needs with the other nodes
  depot_swarm:
    part: join
    wanted: "{{ preflight_node.wanted }}"
    steps: [environment]

- name: Wait for the node to receive all files
  depot_swarm:
    part: wait
"""

RETURN = r"""
joined:
  description: Whether the node takes part. It does not if it has all files or if libtorrent has no wheel for it.
  returned: part is join
  type: bool
  sample: true
"""

import os
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files, incoming, rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, AscendError, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.incoming import Incoming
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.swarm import member

WAIT_S = 15.0  # then the control node says how far it is, and asks again: each question is 0.1 MB
ARGUMENT_SPEC = {
    **SPEC,
    **incoming.SPEC,
    "part": {"type": "str", "choices": ["ask", "join", "seed", "wait"], "required": True},
    "wanted": {"type": "dict", "default": {}},
    "steps": {"type": "list", "elements": "str", "default": []},
    "port": {"type": "int", "default": 6881},
    "torrent": {"type": "str", "default": ""},
    "job": {"type": "dict", "default": {}},
    "wheel": {"type": "str", "default": ""},
    "wheel_sha256": {"type": "str", "default": ""},
}


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC)
    options = module.params
    try:
        result = {"ask": ask, "join": join, "wait": wait}[options["part"]](options)
    except REPORTED as error:
        module.fail_json(**failure(error, os.path.join(options["cache_dir"], member.FOLDER)))
    module.exit_json(changed=False, **result)


def ask(options: Dict[str, Any]) -> Dict[str, Any]:
    """Return which files the node lacks, and which Python and machine it needs libtorrent for.

    Sums are left to C(depot_files), which reads all files afterwards.
    """
    wanted = [Incoming(**each) for each in options["files"]]
    missing = incoming.without_size(wanted, options["cache_dir"])
    return {"missing": [file._asdict() for file in missing], "tag": member.tag()}


def join(options: Dict[str, Any]) -> Dict[str, Any]:
    """Begin to take the files that are named."""
    wanted = [Incoming(**each) for each in options["files"]]
    wheel = os.path.join(options["cache_dir"], options["wheel"])
    found = files.sha256(wheel)
    if found != options["wheel_sha256"]:
        raise AscendError(
            "libtorrent's wheel is not what the control node sent",
            wanted="sha256 %s" % options["wheel_sha256"],
            found="sha256 %s" % found,
            where=wheel,
            remedy="rm %s  # on the node; then run site.yml again" % wheel,
        )
    with module_lock.taken(options["state_dir"], "joining the swarm"):
        member.join(options["cache_dir"], options["torrent"], wanted, options["job"], wheel)
    return {"joined": True}


def wait(options: Dict[str, Any]) -> Dict[str, Any]:
    """Return how far it is when the node has all, or after some seconds."""
    return {"far": member.wait(options["cache_dir"], WAIT_S)}


if __name__ == "__main__":
    main()
