#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: a matmul and all_reduce under torchrun, on one node or as one of several."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rack_run
short_description: Run a matmul and all_reduce under torchrun, on one node or together with others
version_added: "0.1.0"
description:
  - Starts one rank per card under torchrun in the environment, through C(ascend-env), as the account that trains. Each
    rank multiplies two matrices, then all ranks run C(all_reduce) in several sizes, whose results are checked and
    timed. With O(rounds), pairs of nodes do so as well. Changes nothing.
  - With O(device=npu) it runs on the cards with HCCL. With O(device=cpu) the same program runs on the CPU with gloo,
    for nodes with simulated cards; this says nothing about the cards.
  - If one rank fails, all ranks of all nodes are stopped within seconds. The result is what the ranks answer; only a
    node on which nothing could be started fails.
author:
  - The ascend-fleet authors (@ascend-fleet)
options:
  environment:
    description: The environment to run in.
    type: path
    required: true
  ascend_env:
    description: The program ascend-env.
    type: path
    default: /usr/local/bin/ascend-env
  device:
    description: The device of the tensors, which also selects the back end.
    type: str
    choices: [npu, cpu]
    default: npu
  devices:
    description: The devices to use, numbered as in C(ASCEND_RT_VISIBLE_DEVICES), with one rank each.
    type: list
    elements: int
    required: true
  counts:
    description: How many ranks each node of the job has, in order. Empty for this node alone.
    type: list
    elements: int
    default: []
  node:
    description: Which of the nodes in O(counts) this one is, from 0 on.
    type: int
    default: 0
  master_address:
    description: The first node's address; used only with O(counts).
    type: str
    default: ""
  master_port:
    description: The port on which the first node's torchrun listens.
    type: int
    default: 29500
  sizes:
    description: The sizes of all_reduce in bytes.
    type: list
    elements: int
    required: true
  repeats:
    description: How often each size is repeated for timing.
    type: int
    default: 5
  rounds:
    description: Lists of pairs of nodes; the pairs of a round run in parallel.
    type: list
    elements: list
    default: []
  interface:
    description: The interface for C(HCCL_SOCKET_IFNAME) and C(GLOO_SOCKET_IFNAME), by its full name.
    type: str
    default: ""
  users:
    description: Accounts that train; the first one that exists on the node runs the test.
    type: list
    elements: str
    default: []
  tmp_dir:
    description: The folder for the private home in which it runs.
    type: path
    default: /var/tmp
  timeout_s:
    description: How long the whole call may take, in seconds; then everything is stopped.
    type: int
    default: 300
attributes:
  check_mode:
    description: Also runs in check mode, because it changes nothing.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Test this node alone, without a rendezvous
  rack_run:
    environment: /opt/ascend/env/current
    devices: [0, 1, 2, 3, 4, 5, 6, 7]
    sizes: [1048576]

- name: Test as the second of two nodes
  rack_run:
    environment: /opt/ascend/env/current
    devices: [0, 1, 2, 3, 4, 5, 6, 7]
    counts: [8, 8]
    node: 1
    master_address: 192.0.2.11
    sizes: [1048576, 268435456]
    interface: bond0
"""

RETURN = r"""
ranks:
  description:
    - What this node's ranks did. C(ok); C(sizes), bytes to seconds of one all_reduce, of the slowest rank; C(pairs),
      C([[node, node], seconds]); C(seconds) of the whole; C(account).
    - Of a failure C(error) (a rank's own words), C(at), C(kind) (killed, own, timeout, left), C(first) (whether it was
      the first of all nodes' errors, null if unknown), C(symptom), C(remedy), and C(silent), the nodes that did not
      respond.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.probe_account import prover
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.rack.run import Job, run_job

ARGUMENT_SPEC = {
    "environment": {"type": "path", "required": True},
    "ascend_env": {"type": "path", "default": "/usr/local/bin/ascend-env"},
    "device": {"type": "str", "choices": ["npu", "cpu"], "default": "npu"},
    "devices": {"type": "list", "elements": "int", "required": True},
    "counts": {"type": "list", "elements": "int", "default": []},
    "node": {"type": "int", "default": 0},
    "master_address": {"type": "str", "default": ""},
    "master_port": {"type": "int", "default": 29500},
    "sizes": {"type": "list", "elements": "int", "required": True},
    "repeats": {"type": "int", "default": 5},
    "rounds": {"type": "list", "elements": "list", "default": []},
    "interface": {"type": "str", "default": ""},
    "users": {"type": "list", "elements": "str", "default": []},
    "tmp_dir": {"type": "path", "default": "/var/tmp"},
    "timeout_s": {"type": "int", "default": 300},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    alone = not options["counts"]
    job = Job(
        options["ascend_env"],
        options["environment"],
        options["device"],
        options["devices"],
        [len(options["devices"])] if alone else options["counts"],
        0 if alone else options["node"],
        None if alone else (options["master_address"], options["master_port"]),
        options["sizes"],
        options["repeats"],
        options["rounds"],
        options["interface"],
        options["timeout_s"],
        options["tmp_dir"],
    )
    try:
        ranks = run_job(run, job, prover(Node(query, module.get_bin_path), options["users"]))
    except REPORTED as error:
        module.fail_json(**failure(error, options["environment"]))
    module.exit_json(changed=False, ranks=ranks)


if __name__ == "__main__":
    main()
