#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: the models that a node serves."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: serve_models
short_description: Serve models with LLaMA-Factory's API
version_added: "0.3.0"
description:
  - Serves the models of a list on a node, each with C(llamafactory-cli api) as a systemd service that starts at boot,
    or in a session of its own if there is no systemd. A model that is already served as wanted is not touched. A model
    that this module started and that is no longer in the list is stopped.
  - First checks the configs' keys, the files that they name (as the account that serves), the cards and the ports. If
    anything is wrong, it reports all problems together and starts or stops nothing.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  state:
    description: Serve exactly the models of the list, stop the named models (or all), or report what is served.
    type: str
    choices: [served, ended, read]
    required: true
  models:
    description:
      - The models, one dictionary each with C(name), C(config) (what C(llamafactory-cli api) reads), C(port) (8000),
        C(address) (127.0.0.1), C(devices) (by torch's numbers; all if not given) and C(variables).
    type: list
    elements: dict
    default: []
  names:
    description: With O(state=ended), the models to stop. If not given, all of them.
    type: list
    elements: str
    default: []
  user:
    description: The account that serves.
    type: str
  api_key:
    description: The key that clients must send. Required if an address can be reached from other machines.
    type: str
    default: ""
  environment:
    description: The environment. A link is resolved once, so switching C(current) does not affect running services.
    type: path
    default: /opt/ascend/env/current
  ascend_env:
    description: The program that runs a command in an environment.
    type: path
    default: /usr/local/bin/ascend-env
  wait_s:
    description: How long a model may take to answer (action plugin), in seconds; 0 does not wait.
    type: int
    default: 0
attributes:
  check_mode:
    description: Checks everything, and starts and stops nothing.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Serve a model on two cards, for this node alone
  serve_models:
    state: served
    user: ascend-serve
    models:
      - name: llama3
        devices: [0, 1]
        config: {model_name_or_path: /data/models/llama3, template: llama3}
"""

RETURN = r"""
models:
  description: What is served now, as C(serve_status.yml) shows it; in check mode, what is served already.
  returned: success
  type: list
  elements: dict
  sample: [{name: llama3, state: serving, address: 127.0.0.1, port: 8000, devices: [0, 1], account: ascend-serve}]
begun:
  description: The names of the models that were started or restarted.
  returned: state=served
  type: list
  elements: str
ended:
  description: The names of the models that were stopped.
  returned: state=served, state=ended
  type: list
  elements: str
problems:
  description: What prevents it, one dictionary each with C(problem), C(wanted), C(found), C(where) and C(remedy).
  returned: when something does
  type: list
  elements: dict
remarks:
  description: Remarks that prevent nothing.
  returned: state=served
  type: list
  elements: str
"""

import os
from contextlib import nullcontext
from typing import Any, Dict, List, Set

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import atomic, files, rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.accounts import name_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.busy import begun
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment.read import read_environment
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, AscendError, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.cards import read_npu
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.serve import server
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.serve.checks import check, others
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.serve.model import Model, models_of, require_key
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.service import runner, service as services
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train.ready import (
    known_account,
    refusal,
    require_ready,
)

TOOL_S = 60
ARGUMENT_SPEC = {
    **SPEC,
    "state": {"type": "str", "choices": ["served", "ended", "read"], "required": True},
    "models": {"type": "list", "elements": "dict", "default": []},
    "names": {"type": "list", "elements": "str", "default": []},
    "user": {"type": "str"},
    "api_key": {"type": "str", "default": "", "no_log": True},
    "environment": {"type": "path", "default": "/opt/ascend/env/current"},
    "ascend_env": {"type": "path", "default": "/usr/local/bin/ascend-env"},
    "wait_s": {"type": "int", "default": 0},
}
REQUIRED_IF = [("state", "served", ["user"])]


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, required_if=REQUIRED_IF, supports_check_mode=True)
    options = module.params
    node = Node(query, module.get_bin_path)
    try:
        result = act(options, node, module.check_mode)
        names = server.names(options["state_dir"])
        result["models"] = [server.read(options["state_dir"], name, run, node) for name in names]
    except REPORTED as error:
        module.fail_json(**failure(error, options["state_dir"]))
    if result.get("problems"):
        module.fail_json(msg=result.pop("msg"), **result)
    module.exit_json(**result)


def act(options: Dict[str, Any], node: Node, check_mode: bool) -> Dict[str, Any]:
    """Do what is asked, one call at a time per node; of two at once the second would restart what the first began."""
    if options["state"] == "read":
        return {"changed": False}
    with nullcontext() if check_mode else module_lock.taken(options["state_dir"], "serve.yml"):
        return serve(options, node, check_mode) if options["state"] == "served" else end(options, check_mode)


def serve(options: Dict[str, Any], node: Node, check_mode: bool) -> Dict[str, Any]:
    """Check the models and, if nothing is wrong, start to serve them; return the module's result."""
    state_dir = options["state_dir"]
    models = models_of(options["models"])
    require_key(models, options["api_key"])
    known = server.names(state_dir)
    unlisted = [name for name in known if name not in [model.name for model in models]]
    result: Dict[str, Any] = {"changed": bool(unlisted), "begun": [], "ended": unlisted, "remarks": []}
    if models:
        account, home = known_account(node, options["user"], "serve_user")
        environment = os.path.realpath(options["environment"])
        require_ready(state_dir, options["environment"], environment)
        how = server.How(state_dir, account, environment, options["ascend_env"], options["api_key"])
        changing = [model for model in models if not server.is_as(model, how, run)]
        problems = look(node, changing, how, home)
        if problems:
            return {**result, **refusal("Nothing was changed:", problems)}
        result.update(changed=bool(unlisted or changing), begun=[model.name for model in changing])
        result["remarks"] = remarks(node) + services.remarks(how.account, run)
    if check_mode:
        return result
    if models:  # before any is ended: what fails here leaves all as they are
        turn_logs(node, how)
    for name in [*unlisted, *(name for name in result["begun"] if name in known)]:
        server.end(state_dir, name, run)
    if models:
        for model in changing:
            server.begin(model, how, run)
    return result


def look(node: Node, models: List[Model], how: server.How, home: str) -> List[AscendError]:
    """Return what prevents the models from starting; those that are served now may keep what they use."""
    if not models:
        return []
    npu: Any = read_npu(node, TOOL_S)[0]
    begun.add(npu, node, how.state_dir)
    mine: Set[int] = set()
    ports: Set[int] = set()
    for name in server.names(how.state_dir):
        folder = server.place(how.state_dir, name)
        mark = files.mapping(os.path.join(folder, "began.json")).get("mark")
        mine.update(runner.marked(str(mark)) if mark else [])
        if services.alive(folder, run):
            mine.add(services.main_pid(folder, run))
            ports.add(int(server.about(how.state_dir, name)["port"]))
    checkout = read_environment(how.environment)["editable"].get("llamafactory", "")
    free = others(npu, mine)
    return [
        problem for model in models for problem in check(node, model, how, home, checkout, free, model.port in ports)
    ]


def remarks(node: Node) -> List[str]:
    """Return what the node cannot do for its services."""
    found = []
    if not services.has_systemd():
        found.append("the node has no systemd: nothing restarts these programs when they fail, or after a reboot")
    if not node.find("logrotate"):
        found.append("the node has no logrotate: the logs grow without limit")
    return found


def turn_logs(node: Node, how: server.How) -> None:
    """Let logrotate rotate the logs, if it is installed."""
    if os.path.isdir(os.path.dirname(server.LOGROTATE)):
        content = server.logrotate(how.state_dir, how.account, name_of(node, "group", how.account.gid))
        if files.text(server.LOGROTATE) != content:
            atomic.write(server.LOGROTATE, content)


def end(options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    """End the named models, or all; return the module's result. Raises AscendError if one of them is not served."""
    known = server.names(options["state_dir"])
    unknown = [name for name in options["names"] if name not in known]
    if unknown:
        raise AscendError(
            "%s is not served here" % unknown[0],
            wanted="a model that serve.yml started",
            found=", ".join(known) or "none",
            where=os.path.join(options["state_dir"], server.FOLDER),
            remedy="playbooks/serve_status.yml",
        )
    ending = options["names"] or known
    for name in ending if not check_mode else ():
        server.end(options["state_dir"], name, run)
    return {"changed": bool(ending), "ended": ending}


if __name__ == "__main__":
    main()
