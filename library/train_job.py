#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: a training run on a node that continues without the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: train_job
short_description: Start, inspect and stop a training run on a node
version_added: "0.3.0"
description:
  - Starts C(llamafactory-cli train) in an environment as a systemd unit, or in a session of its own if there is no
    systemd. The run continues without the control node.
  - First checks the config's keys, the files that it names (as the account that trains), the cards and the disk space
    for checkpoints. If anything is wrong, it reports all problems together and starts nothing.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  state:
    description: Start the run, stop it with all its processes, or read its state.
    type: str
    choices: [begun, ended, read]
    required: true
  name:
    description: The run's name.
    type: str
    required: true
  user:
    description: The account that trains.
    type: str
  config:
    description: The config's text, as LLaMA-Factory reads it.
    type: str
  config_values:
    description: The config's parsed values.
    type: dict
    default: {}
  devices:
    description: The devices to use, by torch's numbers. If not given, all of them.
    type: list
    elements: int
    default: []
  folder:
    description:
      - The folder in which the run starts; relative paths in the config start there. If not given, the account's home.
    type: path
  environment:
    description: The environment. A link is resolved once, so switching C(current) does not affect the run.
    type: path
    default: /opt/ascend/env/current
  ascend_env:
    description: The program that runs a command in an environment.
    type: path
    default: /usr/local/bin/ascend-env
  variables:
    description: More environment variables for the run.
    type: dict
    default: {}
  accelerate:
    description:
      - The text of a config for accelerate, which then launches the run (FSDP) instead of C(llamafactory-cli). The
        numbers of processes and nodes and the rendezvous are passed beside it and override the config.
    type: str
    default: ""
  resume:
    description: Resume from the newest complete checkpoint.
    type: bool
    default: false
  peers:
    description:
      - For a run on several nodes, this node's C(rank), the C(count) of nodes, the C(address) and C(port) at which rank
        0 listens for the others, a shared C(token), and the C(interface) over which they connect, as in
        C(HCCL_SOCKET_IFNAME). C(MASTER_PORT) is the port before C(port).
    type: dict
    default: {}
  follow:
    description: With O(state=read), show the log as it grows until the run ends (action plugin).
    type: bool
    default: false
attributes:
  check_mode:
    description: Checks everything, and starts and stops nothing.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Train as alice on two cards
  train_job:
    state: begun
    name: llama3-lora
    user: alice
    config: "{{ lookup('ansible.builtin.file', 'my.yaml') }}"
    config_values: "{{ lookup('ansible.builtin.file', 'my.yaml') | from_yaml }}"
    devices: [0, 1]
"""

RETURN = r"""
run:
  description: The run, as C(train_status.yml) shows it; empty in check mode.
  returned: success
  type: dict
  sample: {name: llama3-lora, state: running, account: alice, devices: [0, 1], progress: {current_steps: 10}}
problems:
  description:
    - What prevents the run from starting, one dictionary each with C(problem), C(wanted), C(found), C(where) and
      C(remedy).
  returned: when it is not begun
  type: list
  elements: dict
remarks:
  description: Remarks that prevent nothing.
  returned: state=begun
  type: list
  elements: str
removed:
  description:
    - Names of ended runs whose folders were removed; the newest 20 are kept. The results of training are not touched.
  returned: state=begun, when it is begun
  type: list
  elements: str
memory_mb:
  description: The estimated memory that a card needs in MB, by part and in C(all); null if the model is not known.
  returned: state=begun
  type: dict
"""

import json
import os
from typing import Any, Dict, Tuple

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.busy import begun
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Account, query, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment.read import read_environment
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.cards import read_npu
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.service import service as services
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train import job
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train.checks import Asked, Seen, check, output_dir
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train.ready import (
    known_account,
    refusal,
    require_ready,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train.together import check as check_together

TOOL_S = 60
ARGUMENT_SPEC = {
    **SPEC,
    "state": {"type": "str", "choices": ["begun", "ended", "read"], "required": True},
    "name": {"type": "str", "required": True},
    "user": {"type": "str"},
    "config": {"type": "str"},
    "config_values": {"type": "dict", "default": {}},
    "devices": {"type": "list", "elements": "int", "default": []},
    "folder": {"type": "path"},
    "environment": {"type": "path", "default": "/opt/ascend/env/current"},
    "ascend_env": {"type": "path", "default": "/usr/local/bin/ascend-env"},
    "variables": {"type": "dict", "default": {}},
    "accelerate": {"type": "str", "default": ""},
    "resume": {"type": "bool", "default": False},
    # The token among them is checked by the runners alone, and is not logged (no_log of the task).
    "peers": {"type": "dict", "default": {}},
    "follow": {"type": "bool", "default": False},
}
REQUIRED_IF = [("state", "begun", ["user", "config"])]


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, required_if=REQUIRED_IF, supports_check_mode=True)
    options = module.params
    node = Node(query, module.get_bin_path)
    try:
        if options["state"] == "read":
            result = {"changed": False, "run": job.read(options["state_dir"], options["name"], run, node)}
        elif options["state"] == "ended":
            result = end(options, node, module.check_mode)
        else:
            result = begin(options, node, module.check_mode)
    except REPORTED as error:
        module.fail_json(**failure(error, options["state_dir"]))
    if result.get("problems"):
        module.fail_json(msg=result.pop("msg"), **result)
    module.exit_json(**result)


def begin(options: Dict[str, Any], node: Node, check_mode: bool) -> Dict[str, Any]:
    """Check the run and, if nothing is wrong, start it; return the module's result."""
    account, home = known_account(node, options["user"], "train_user")
    folder = options["folder"] or home
    environment = os.path.realpath(options["environment"])
    require_ready(options["state_dir"], options["environment"], environment)
    seen, cards = look(options, node, account, folder, environment)
    together, by_interface = check_together(node, options["peers"]) if options["peers"] else ([], {})
    seen = seen._replace(problems=seen.problems + together)
    learnt = {"remarks": seen.remarks + services.remarks(account, run), "memory_mb": seen.memory_mb}
    if seen.problems:
        return {"changed": False, **refusal("The run was not started:", seen.problems), **learnt}
    if check_mode:
        return {"changed": True, "run": {}, **learnt}
    training = job.Training(
        name=options["name"],
        account=account,
        home=home,
        folder=folder,
        config=with_checkpoint(options["config"], seen.resume_from),
        output_dir=output_dir(options["config_values"], folder, account),
        environment=environment,
        ascend_env=options["ascend_env"],
        devices=options["devices"],
        variables={**by_interface, **{str(key): str(value) for key, value in options["variables"].items()}},
        peers=options["peers"] or None,
        accelerate=options["accelerate"],
        ranks=int(options["variables"].get("NPROC_PER_NODE", cards)),
    )
    removed = job.prune(options["state_dir"], run, options["name"])
    job.begin(options["state_dir"], training, run)
    begun = job.read(options["state_dir"], options["name"], run, node)
    return {"changed": True, "run": begun, "removed": removed, **learnt}


def end(options: Dict[str, Any], node: Node, check_mode: bool) -> Dict[str, Any]:
    """End the run; return the module's result."""
    before = job.read(options["state_dir"], options["name"], run, node)
    # Of one that is lost, its ranks may be at work still: the runner alone was killed.
    goes_on = before["state"] in ("running", "lost")
    if check_mode or not goes_on:
        if not check_mode:  # else systemd shows one that failed among its failed units for good
            services.forget(job.place(options["state_dir"], options["name"]), run)
        return {"changed": goes_on, "run": before}
    changed = job.end(options["state_dir"], options["name"], run)
    return {"changed": changed, "run": job.read(options["state_dir"], options["name"], run, node)}


def look(options: Dict[str, Any], node: Node, account: Account, folder: str, environment: str) -> Tuple[Seen, int]:
    """Return what the checks saw, and how many cards the run has on this node."""
    npu: Any = read_npu(node, TOOL_S)[0]
    begun.add(npu, node, options["state_dir"])
    devices = npu["devices"]
    chosen = [devices[index] for index in options["devices"] if index < len(devices)] or devices
    checkouts = read_environment(environment)["editable"]
    asked = Asked(
        config=options["config_values"],
        folder=folder,
        account=account,
        environment=environment,
        checkout=checkouts.get("llamafactory", ""),
        devices=options["devices"],
        cards=len(chosen) * int(options["peers"].get("count", 1)),
        card_memory_mb=min([int(each["hbm_total_mb"] or each["memory_total_mb"] or 0) for each in chosen] or [0]),
        resume=options["resume"],
        fsdp="fsdp" in options["accelerate"].lower(),
    )
    return check(asked, npu), len(chosen)


def with_checkpoint(config: str, checkpoint: str) -> str:
    """Return the config that resumes from a checkpoint; the path is written as JSON, which is YAML too."""
    if not checkpoint:
        return config
    return "%s\nresume_from_checkpoint: %s\n" % (config.rstrip("\n"), json.dumps(checkpoint))


if __name__ == "__main__":
    main()
