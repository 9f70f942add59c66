#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: prove an environment on every card."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: npu_check
short_description: Run torch-npu in an environment on every card
version_added: "0.1.0"
description:
  - Imports torch and torch_npu in the environment, through C(ascend-env), asks C(torch.npu.is_available()), moves a
    tensor to each device and back, compares versions, imports what C(llamafactory-cli train) imports, which runs
    LLaMA-Factory's own check of its dependencies, and runs C(llamafactory-cli version).
  - All this is done as an account that is not root, in a private home that is removed afterwards, without a network.
  - Fails when anything is not as expected, with the name of the symptom as far as it is known
    (C(docs/troubleshooting.md)), what it means and what helps. Never changes anything.
  - In check mode an environment that is absent is not checked.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  environment:
    description: The environment to prove.
    type: path
    required: true
  ascend_env:
    description: The program ascend-env.
    type: path
    default: /usr/local/bin/ascend-env
  expected_devices:
    description: How many devices there are, as npu-smi counts chips.
    type: int
    required: true
  devices:
    description:
      - The devices to use, by the numbers that C(ASCEND_RT_VISIBLE_DEVICES) takes. All of them where this is not given.
      - An empty list imports torch, torch_npu and LLaMA-Factory and touches no card.
    type: list
    elements: int
  expected_versions:
    description:
      - Distribution to version, as the running interpreter must see them. Without C(llamafactory) its training is not
        imported.
    type: dict
    default: {}
  users:
    description:
      - Accounts that train. The first one that the node knows proves the environment.
      - Without any, the owner of the driver's device files does; root only where that is root, or has no account.
    type: list
    elements: str
    default: []
  timeout_s:
    description: Longest time for each of the two programs, in seconds.
    type: int
    default: 600
attributes:
  check_mode:
    description: Checks as always; an environment that is absent is skipped.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Prove the current environment
  npu_check:
    environment: /opt/ascend/env/current
    expected_devices: 8
    expected_versions:
      torch-npu: "2.1.0.post3"

- name: Prove it as alice, on the cards that nobody uses
  npu_check:
    environment: /opt/ascend/env/current
    expected_devices: 8
    devices: [0, 1, 2, 3]
    users: [alice]
"""

RETURN = r"""
cards:
  description:
    - A dictionary a device with C(index), C(ok), C(name), C(memory_total_mb) (MB), and, where it failed, its own words
      C(error), the name of the symptom C(symptom) and the next command C(remedy); the last two are null where the words
      are unknown.
    - Empty when it is not the cards that fail, and when they were not used.
  returned: always
  type: list
  elements: dict
  sample: [{index: 0, ok: true, name: Ascend910B3, memory_total_mb: 65536, error: null, symptom: null, remedy: null}]
symptom:
  description: The stable name of what is wrong, a row of C(docs/troubleshooting.md), or null where it is unknown.
  returned: failure
  type: str
  sample: device-start-failed
problem:
  description: What is wrong, in words.
  returned: failure
  type: str
wanted:
  description: What was expected.
  returned: failure
  type: str
found:
  description: What was found instead, in the failing program's own words.
  returned: failure
  type: str
where:
  description: The environment.
  returned: failure
  type: str
remedy:
  description: The next command to type.
  returned: failure
  type: str
  sample: npu-smi info
versions:
  description: Distribution to version, as the running interpreter sees them.
  returned: success
  type: dict
  sample: {torch: "2.1.0"}
llamafactory:
  description: The version that LLaMA-Factory's own module says, or null when it was not asked for.
  returned: success
  type: str
  sample: "0.9.1"
account:
  description: Who proved it, C(name), and C(why) that account.
  returned: success
  type: dict
  sample: {name: HwHiAiUser, why: the owner of the device files; ascend_users names nobody}
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_probe import Proof, prove
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.probe_account import prover
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC

ARGUMENT_SPEC = {
    **SPEC,
    "environment": {"type": "path", "required": True},
    "ascend_env": {"type": "path", "default": "/usr/local/bin/ascend-env"},
    "expected_devices": {"type": "int", "required": True},
    "devices": {"type": "list", "elements": "int"},
    "expected_versions": {"type": "dict", "default": {}},
    "users": {"type": "list", "elements": "str", "default": []},
    "timeout_s": {"type": "int", "default": 600},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    if module.check_mode and not (os.path.isdir(options["environment"]) and os.path.exists(options["ascend_env"])):
        module.exit_json(changed=False, skipped=True, cards=[], versions={}, llamafactory=None, account=None)
    proof = Proof(
        options["ascend_env"],
        options["environment"],
        options["expected_devices"],
        options["devices"],
        options["expected_versions"],
        options["timeout_s"],
        options["tmp_dir"],
    )
    try:
        result = prove(run, proof, prover(Node(query, module.get_bin_path), options["users"]))
    except REPORTED as error:
        module.fail_json(**failure(error, options["environment"]))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
