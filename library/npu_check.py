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
  - Imports torch and torch_npu in the environment through C(ascend-env), calls C(torch.npu.is_available()), moves a
    tensor to each device and back, and compares versions. It also imports what C(llamafactory-cli train) imports, which
    runs LLaMA-Factory's own check of its dependencies, and runs C(llamafactory-cli version).
  - All of this runs as an account other than root, in a private home that is removed afterwards, without a network.
  - Fails if anything is not as expected, with the name of the symptom if it is known (C(docs/troubleshooting.md)), its
    meaning and a remedy. Never changes anything.
  - In check mode an environment that is absent is not checked.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  environment:
    description: The environment to verify.
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
      - The devices to use, numbered as in C(ASCEND_RT_VISIBLE_DEVICES). All of them if not given.
      - An empty list imports torch, torch_npu and LLaMA-Factory and touches no card.
    type: list
    elements: int
  expected_versions:
    description:
      - The versions that the running interpreter must see, by distribution. Without C(llamafactory), its training is
        not imported.
    type: dict
    default: {}
  users:
    description:
      - Accounts that train. The first one that exists on the node verifies the environment.
      - Without any, the owner of the driver's device files does. It is root only if the owner is root or has no
        account.
    type: list
    elements: str
    default: []
  timeout_s:
    description: How long each of the two programs may take, in seconds.
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
- name: Verify the current environment
  npu_check:
    environment: /opt/ascend/env/current
    expected_devices: 8
    expected_versions:
      torch-npu: "2.1.0.post3"

- name: Verify the environment as alice, on idle cards
  npu_check:
    environment: /opt/ascend/env/current
    expected_devices: 8
    devices: [0, 1, 2, 3]
    users: [alice]
"""

RETURN = r"""
cards:
  description:
    - One dictionary per device with C(index), C(ok), C(name), C(memory_total_mb) (MB) and, if it failed, C(error) (its
      own words), C(symptom) (the symptom's name) and C(remedy) (the next command). The last two are null for an unknown
      error.
    - Empty if something other than the cards failed, or if they were not used.
  returned: always
  type: list
  elements: dict
  sample: [{index: 0, ok: true, name: Ascend910B3, memory_total_mb: 65536, error: null, symptom: null, remedy: null}]
symptom:
  description: The stable name of what is wrong, a row of C(docs/troubleshooting.md), or null if it is unknown.
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
  description: The versions that the running interpreter sees, by distribution.
  returned: success
  type: dict
  sample: {torch: "2.1.0"}
llamafactory:
  description: The version that LLaMA-Factory's own module reports, or null if it was not requested.
  returned: success
  type: str
  sample: "0.9.1"
account:
  description: The account that verified it, C(name), and C(why) it was chosen.
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
