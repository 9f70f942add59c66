#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: bring the depot's files into the node's cache. The action plugin of this name sends them."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: depot_files
short_description: Bring files of the depot into the node's cache
version_added: "0.2.0"
description:
  - Sends the files that a node is missing over Ansible's own connection to it (SSH, for example). It needs no server,
    no mount, no other port and no rights beyond those of the login account.
  - If the node has a mirror, it fetches from the mirror first, and is sent only the rest. If it uses the depot's web
    server, it fetches everything from there.
  - After a broken connection the transfer resumes. The size and sha256 of each file are verified before it gets its
    final name. Existing files are not sent.
  - The module checks the cache, fetches for some seconds at a time, and gives received files their final names. Its
    action plugin shows the progress, sends files, and sets the module's options C(state), C(uid) and C(files).
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
  - ascend.fleet.sent
options:
  wanted:
    description: What the node should be, as C(node_plan) returns it; for the action plugin.
    type: dict
    default: {}
  steps:
    description:
      - The steps whose files the node needs (toolkit, kernels, python, environment, source); for the action plugin.
    type: list
    elements: str
    default: []
  mirror:
    description:
      - This host is a mirror. It is sent the files for the steps of all nodes that name it in C(depot_mirror), each
        under its sha256. Several control nodes may send to it at the same time.
    type: bool
    default: false
  source:
    description:
      - The address of the server from which the node fetches (its mirror, or the depot's web server), or V(swarm),
        which ends the node's peer; given by the action plugin.
    type: str
    default: ""
  depot_proxy:
    description: The proxy between the node and the depot's web server; given by the action plugin.
    type: str
    default: ""
  fetch_s:
    description: How long to fetch before the module answers, in seconds; given by the action plugin.
    type: int
    default: 10
  state:
    description:
      - Report which files the cache lacks, or give received files their final names; given by the action plugin.
    type: str
    choices: [arrived, lacking]
    default: lacking
  uid:
    description: The account that logs in, as a number; given by the action plugin.
    type: int
    default: 0
attributes:
  check_mode:
    description: Reports what it would send and writes nothing.
    support: full
  diff_mode:
    description: Names the files that it sends.
    support: full
"""

EXAMPLES = r"""
- name: Send what the toolkit and the environment need
  depot_files:
    wanted: "{{ preflight_node.wanted }}"
    steps: [toolkit, environment]
"""

RETURN = r"""
sent_bytes:
  description: How much was sent through the connection.
  returned: success
  type: int
  sample: 3221225472
fetched_bytes:
  description: How much the node fetched from a server.
  returned: success
  type: int
  sample: 0
"""

import os
import sys
from typing import Any, ContextManager, Dict, List

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import fetched, incoming, mirrored, rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.incoming import Incoming
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.swarm import member

SWARM = "swarm"
READ_S = 1800  # how long a run waits at a mirror while the files of another one are read, 10 GB
ARGUMENT_SPEC = {
    **SPEC,
    **incoming.SPEC,
    "wanted": {"type": "dict", "default": {}},
    "steps": {"type": "list", "elements": "str", "default": []},
    "mirror": {"type": "bool", "default": False},
    "source": {"type": "str", "default": ""},
    "depot_proxy": {"type": "str", "default": ""},
    "fetch_s": {"type": "int", "default": 10},
    "state": {"type": "str", "choices": ["arrived", "lacking"], "default": "lacking"},
    "uid": {"type": "int", "default": 0},
}


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    wanted = [Incoming(**each) for each in options["files"]]
    try:
        if options["state"] == "arrived":
            result = arrived(wanted, options)
        else:
            result = lacking(wanted, options, module.check_mode)
    except REPORTED as error:
        module.fail_json(**failure(error, os.path.join(options["cache_dir"], incoming.FOLDER)))
    module.exit_json(**result)


def lacking(wanted: List[Incoming], options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    """Return the files that the cache lacks, the folder for them, and the Python with which an account writes there.

    ``changed``: whether it lacked some before a server was asked; ``came_bytes``: what that gave now, until it had
    everything, failed (``problem``), or the time was over; ``again``: whether to ask it for the rest.
    """
    cache_dir, is_mirror = options["cache_dir"], options["mirror"]
    missing = incoming.lacking(wanted, cache_dir)
    if is_mirror and not check_mode:
        mirrored.asked_for({each.path for each in wanted} - {each["path"] for each in missing}, cache_dir)
    answer: Dict[str, Any] = {"changed": bool(missing), "folder": "", "python": sys.executable}
    answer.update(problem={}, came_bytes=0, again=False)
    if missing and not check_mode:
        with _alone(options, "making room for files of the depot"):
            if is_mirror:  # another run's may have arrived meanwhile
                named = [Incoming(*(each[name] for name in Incoming._fields)) for each in missing]
                missing = incoming.lacking(named, cache_dir)
            elif options["source"] == SWARM:
                missing = member.take(missing, cache_dir)
            if missing:
                answer["folder"] = incoming.prepare(missing, cache_dir, options["uid"], is_mirror)
            if missing and options["source"] not in ("", SWARM):
                missing = _fetch(missing, options, answer)
    return {**answer, "missing": missing}


def _fetch(missing: List[Dict[str, Any]], options: Dict[str, Any], answer: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return what is missing after a while of fetching."""
    server = fetched.Server(options["source"], options["depot_proxy"])
    left, problems = fetched.fetch(missing, options["cache_dir"], server, options["uid"], options["fetch_s"])
    came = _lacked_bytes(missing) - _lacked_bytes(left)
    broke = all(problem.kind == fetched.BROKE for problem in problems)
    answer["came_bytes"], answer["again"] = came, bool(left) and (not problems or (broke and came > 0))
    if problems:
        answer["problem"] = problems[0]._asdict()
    return left


def _lacked_bytes(missing: List[Dict[str, Any]]) -> int:
    return sum(each["size_bytes"] - each["have_bytes"] for each in missing)


def arrived(sent: List[Incoming], options: Dict[str, Any]) -> Dict[str, Any]:
    """Return which of the files that were sent are others."""
    with _alone(options, "taking in files of the depot"):
        return {"changed": True, "wrong": incoming.arrive(sent, options["cache_dir"], options["mirror"])}


def _alone(options: Dict[str, Any], what: str) -> ContextManager[Any]:
    """Take the module lock. A node has its run lock against other runs, but several runs may send to a mirror."""
    return module_lock.taken(options["state_dir"], what, READ_S if options["mirror"] else module_lock.WAIT_S)


if __name__ == "__main__":
    main()
