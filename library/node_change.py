#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: begin and end a change of a node, one run at a time."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: node_change
short_description: Start or finish a change of a node, one run at a time
version_added: "0.1.0"
description:
  - C(state=begun) takes the node's run lock for this run, unless processes use the cards. C(state=ended) releases it
    and writes the node's journal. In between, other modules change the node.
  - A live run keeps other runs out; their error names its owner and start time. A dead run is recognised. Its remaining
    processes are stopped, and the journal notes that it was interrupted.
  - The action plugin of the same name supplies who runs the playbook, and whether the holder of a lock is alive on this
    control node. It also runs the scheduler's commands there, to drain the node (O(drain)) and to resume it
    (O(resume)). A note on the node is written before it is drained, so that a later run can resume it if this one is
    killed.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  state:
    description:
      - Start the change, or finish it. C(resumed) only resumes a node that a dead run has drained.
      - C(draining) and C(resuming) are for the action plugin only. They note on the node that this run drains it, and
        that this run is the one to resume it.
    type: str
    choices: [begun, ended, resumed, draining, resuming]
    required: true
  action:
    description: The action, a word for the journal (provision, stage, rollback, remove).
    type: str
    default: change
  source:
    description: What the node has before the change; for the journal.
    type: str
    default: ""
  target:
    description: What it will have after the change; for the journal.
    type: str
    default: ""
  idle:
    description: Do not start while processes use the cards.
    type: bool
    default: true
  cards_out:
    description:
      - NPU ids of cards that are out of use. It cannot be known whether a process uses a dead card, so these cards do
        not prevent a change.
    type: list
    elements: int
    default: []
  wait_s:
    description:
      - How long the action plugin waits for the processes that use the cards to end, in seconds. It polls, so that
        nothing waits on the node for a run that has died.
    type: int
    default: 0
  drain:
    description:
      - The command that makes a scheduler stop sending jobs to the node. It runs on the control node before the cards
        are checked. It is a list, or text that is split like a shell's words but not run by a shell. Empty for none.
      - Unless it exits with 0 within two minutes, the node is not changed.
    type: raw
    default: ""
  resume:
    description:
      - The command that makes the scheduler send jobs to the node again, in the same forms. It runs when the change has
        ended or does not start, if this run or a dead one has drained the node. If it fails, the task fails.
    type: raw
    default: ""
  set_aside:
    description:
      - Remove the link C(current) while its environment, or the CANN or Python below it, is repaired, so that it never
        points to a half-repaired environment.
    type: bool
    default: false
  replaces:
    description:
      - Versions of CANN that the change uninstalls. If users have files in one of them or use it, the change does not
        start and C(current) is kept.
    type: list
    elements: str
    default: []
  result:
    description: How the change ended.
    type: str
    choices: [done, failed]
    default: done
  problem:
    description: Why it failed; for the journal.
    type: str
    default: ""
  holder:
    description: Who is changing the node; given by the action plugin.
    type: dict
    default: {}
  dead:
    description: The runs that are known to be dead; given by the action plugin.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Takes no lock and writes nothing.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Start the change
  node_change:
    state: begun
    action: provision
    source: 8.0.RC1-0123456789ab
    target: 8.2.RC1-ba9876543210

- name: Finish the change
  node_change:
    state: ended
    result: done

- name: Start the change on a Slurm node
  node_change:
    state: begun
    action: provision
    drain: "scontrol update NodeName={{ inventory_hostname }} State=DRAIN Reason=ascend-fleet"
    resume: "scontrol update NodeName={{ inventory_hostname }} State=RESUME"
"""

RETURN = r"""
begun:
  description: Whether the node may be changed now.
  returned: state=begun
  type: bool
  sample: true
processes:
  description: The processes that use the cards and prevent the change, as in C(ascend_facts).
  returned: state=begun
  type: list
  elements: dict
  sample: [{pid: 4711, name: python, user: ml, command: python train.py, container: null, chips: [[0, 0, 30000]]}]
unclear:
  description:
    - The cards (NPU ids) for which it is unknown whether a process uses them.
    - They prevent the change, too.
  returned: state=begun
  type: list
  elements: int
  sample: []
taken_by:
  description: The run that holds the run lock, if that prevents the change.
  returned: state=begun
  type: dict
  sample: {run: 1f0e-4711-123456, who: ops, control: ctl, pid: 4711, began: "2026-01-31T23:59:59Z"}
drained:
  description: The run that drained the node, if it is or was drained until now; empty if not.
  returned: success
  type: dict
  sample: {run: 1f0e-4711-123456, who: ops, control: ctl, pid: 4711, began: "2026-01-31T23:59:59Z"}
resumed:
  description: Whether this task resumed the node.
  returned: when a command was run
  type: bool
  sample: true
"""

import os
import shutil
from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.busy.in_use import in_use
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    install_record as cann_install_record,
    layout as cann_layout,
    packages as cann_packages,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import drained, module_lock, origin, run_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change.leftovers import clean
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment.build import set_aside
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import (
    ASCEND_ENV,
    ETC,
    INSTALLERS_LOGS,
    SPEC,
    Places,
)

# What CANN's installer makes outside of its own place.
INSTALLERS = (ETC, INSTALLERS_LOGS)
ARGUMENT_SPEC = {
    **SPEC,
    "state": {"type": "str", "choices": ["begun", "ended", "resumed", "draining", "resuming"], "required": True},
    "action": {"type": "str", "default": "change"},
    "source": {"type": "str", "default": ""},
    "target": {"type": "str", "default": ""},
    "idle": {"type": "bool", "default": True},
    "cards_out": {"type": "list", "elements": "int", "default": []},
    "wait_s": {"type": "int", "default": 0},
    "drain": {"type": "raw", "default": ""},
    "resume": {"type": "raw", "default": ""},
    "set_aside": {"type": "bool", "default": False},
    "replaces": {"type": "list", "elements": "str", "default": []},
    "result": {"type": "str", "choices": ["done", "failed"], "default": "done"},
    "problem": {"type": "str", "default": ""},
    "holder": {"type": "dict", "default": {}},
    "dead": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    if "run" not in options["holder"]:
        module.fail_json(msg="node_change is called through its action plugin: ascend.fleet.node_change")
    try:
        if module.check_mode:
            require_nobodys(options)
            module.exit_json(changed=False, begun=True, processes=[], unclear=[], taken_by={}, drained={})
        if options["state"] == "begun":
            result = begin(options, Node(query, module.get_bin_path))
        else:
            result = STATES[options["state"]](options)
    except REPORTED as error:
        module.fail_json(**failure(error, options["state_dir"]))
    # The lock and the journal are no change of what the node is.
    module.exit_json(changed=False, **result)


def begin(options: Dict[str, Any], node: Node) -> Dict[str, Any]:
    """Return the module's result: the change has begun, or what prevents it."""
    state_dir, root = options["state_dir"], options["ascend_root"]
    kept: Dict[str, Any] = {"processes": [], "unclear": []}
    if options["idle"]:
        kept = in_use(node, options["cards_out"], options["state_dir"])
    busy = any(kept.values())
    kept["drained"] = drained.read(state_dir) or {}
    if busy:
        drained.still_waits(state_dir, options["holder"]["run"])
        return {"begun": False, **kept, "taken_by": {}}
    tree = remember(options)
    change = {"action": options["action"], "from": options["source"], "to": options["target"]}
    require_nobodys(options)
    holder = run_lock.take(state_dir, options["holder"], change, options["dead"])
    if holder:
        return {"begun": False, **kept, "taken_by": holder}
    with module_lock.taken(state_dir, "clearing away what dead runs left"):
        clean(Places.of(options))
        cann_install_record.restore(tree)
        origin.keep(state_dir, tree.names())
        if options["set_aside"]:
            set_aside(os.path.join(root, "env", "current"), options["target"])
    return {"begun": True, **kept, "taken_by": {}}


def remember(options: Dict[str, Any]) -> cann_layout.Tree:
    """Record, once, what the node had before us; return its CANN."""
    state_dir, root, cann_root = options["state_dir"], options["ascend_root"], options["cann_root"]
    places = [cann_root, os.path.join(cann_root, "ascend-toolkit"), *INSTALLERS, root, options["cache_dir"]]
    tree = cann_layout.Tree(cann_root, state_dir)
    cann = {tree.name(version): cann_packages.chips_of(tree, version) for version in tree.versions()}
    tmp_dir = options["tmp_dir"]
    below = (root, options["cache_dir"], state_dir, tmp_dir, cann_root)
    parents = [each for place in below for each in origin.parents(place)]
    origin.remember(state_dir, [*places, state_dir, tmp_dir, ASCEND_ENV, *parents], cann)
    return tree


def drain(options: Dict[str, Any]) -> Dict[str, Any]:
    """Record that this run drains the node; return the run that drained it before."""
    remember(options)
    return claim(options, drains=True)


def resume(options: Dict[str, Any]) -> Dict[str, Any]:
    """Take over the resuming of a drained node; return the run that drained it, or nothing."""
    return claim(options, drains=False)


def claim(options: Dict[str, Any], drains: bool) -> Dict[str, Any]:
    other, earlier = drained.claim(options["state_dir"], options["holder"], options["action"], options["dead"], drains)
    return {"taken_by": other or {}, "drained": earlier or {}}


def resumed(options: Dict[str, Any]) -> Dict[str, Any]:
    """The node gets jobs again."""
    drained.forget(options["state_dir"], options["holder"]["run"])
    return {}


def require_nobodys(options: Dict[str, Any]) -> None:
    """Raise AscendError if users have files in a CANN that is to be replaced, or use it."""
    if options["replaces"]:
        from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove import replaced

        tree = cann_layout.Tree(options["cann_root"], options["state_dir"])
        for version in options["replaces"]:
            replaced.require_nobodys(Node(query, shutil.which), tree, version)


def end(options: Dict[str, Any]) -> Dict[str, Any]:
    """Release the lock; a run that did not get it has nothing to wait for."""
    state_dir, run = options["state_dir"], options["holder"]["run"]
    holder = run_lock.read(state_dir)
    if holder and holder["run"] == run:
        with module_lock.taken(state_dir, "giving the lock back"):
            run_lock.release(state_dir, run, options["result"], options["problem"])
            clean(Places.of(options))
            cann_install_record.restore(cann_layout.Tree(options["cann_root"], state_dir))
    return {"drained": drained.read(state_dir) or {}}


STATES: Dict[str, Callable[[Dict[str, Any]], Dict[str, Any]]] = {
    "ended": end,
    "draining": drain,
    "resuming": resume,
    "resumed": resumed,
}


if __name__ == "__main__":
    main()
