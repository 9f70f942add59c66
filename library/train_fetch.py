#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: fetch a training run's log and the trainer's files to the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: train_fetch
short_description: Fetch the files of a training run to the control node
version_added: "0.3.0"
description:
  - Reads, as the account that trains, a run's log, its trainer_state.json (of its end, or of its newest checkpoint) and
    its trainer_log.jsonl, and writes them below O(folder) on the control node, with train.json, which describes the run
    and how it ended. It works during the run and after it.
  - Secrets are masked on the node. The config and the job, which may contain some, are not read.
  - Of a log above 16 MB, only the beginning, the part around the first error and the end are fetched. Any other file
    above 16 MB is not fetched, and is named.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  name:
    description: The run's name.
    type: str
    required: true
  folder:
    description:
      - A folder on the control node, in which each node's files get a folder named by its rank and name (action
        plugin).
    type: path
    required: true
attributes:
  check_mode:
    description: Reads everything and writes nothing on the control node.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Fetch a run's files
  train_fetch:
    name: llama3-lora
    folder: reports/train/llama3-lora
"""

RETURN = r"""
run:
  description: The run, as C(train_status.yml) shows it.
  returned: success
  type: dict
  sample: {name: llama3-lora, state: failed, account: alice, rank: 0, nodes: 1, error: "RuntimeError: EI0006"}
remarks:
  description: Which of its files are odd, too large or missing, one sentence each.
  returned: success
  type: list
  elements: str
folder:
  description: The folder of the files on the control node.
  returned: success
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.accounts import account as account_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train import fetch, job

ARGUMENT_SPEC = {
    **SPEC,
    "name": {"type": "str", "required": True},
    "folder": {"type": "path", "required": True},
}


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    node = Node(query, module.get_bin_path)
    try:
        found = job.read(options["state_dir"], options["name"], run, node)
        account, why = account_of(node, str(found["account"]))
        if account is None:
            brought = fetch.Brought({}, ["the account %s is not known: %s" % (found["account"], why or "none")], "")
        else:
            place = job.place(options["state_dir"], options["name"])
            output = os.path.join(str(found["folder"]), str(found["output_dir"]))
            asked = fetch.Run(job.log_of(place), output, job.since(place), int(found.get("rank") or 0))
            brought = fetch.read(asked, account)
    except REPORTED as error:
        module.fail_json(**failure(error, options["state_dir"]))
    found["error"] = brought.error
    module.exit_json(changed=False, run=found, files=brought.files, remarks=brought.remarks)


if __name__ == "__main__":
    main()
