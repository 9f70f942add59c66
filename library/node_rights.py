#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: let everybody who uses the node use what is installed."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: node_rights
short_description: Allow every user of a node to read, run and enter what is installed
version_added: "0.1.0"
description:
  - Adds the owner's rights to read and run files, and to list and enter folders, for the group and others where
    missing. It removes no right and makes nothing writable.
  - Links are not changed, nor are files that users created in an environment's LLaMA-Factory checkout.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  paths:
    description: Folders and files, without their contents. Missing ones are skipped.
    type: list
    elements: path
    default: []
  trees:
    description: Folders with all their contents.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description: Reports what would change and changes nothing.
    support: full
  diff_mode:
    description: Shows the first files and folders that were closed.
    support: full
"""

EXAMPLES = r"""
- name: Open an environment to all users
  node_rights:
    paths: [/opt/ascend, /opt/ascend/env]
    trees: [/opt/ascend/env/8.0.RC1-0123456789ab]
"""

RETURN = r"""
opened:
  description: How many files and folders were opened to others (in check mode, would be).
  returned: success
  type: int
  sample: 0
"""

import os
from typing import Any, Dict, List

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import build as environment
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC

ARGUMENT_SPEC = {
    **SPEC,
    "paths": {"type": "list", "elements": "path", "default": []},
    "trees": {"type": "list", "elements": "path", "default": []},
}


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = ensure(module.params, module.check_mode)
    except REPORTED as error:
        module.fail_json(**failure(error, ", ".join(module.params["trees"])))
    module.exit_json(**result)


def ensure(options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    """Read, plan, apply; return the module's result."""
    found: List[rights.Closed] = list(rights.own(os.path.realpath(path) for path in options["paths"]))
    for tree in options["trees"]:
        found += environment.closed_to_others(tree)
    if found and not check_mode:
        with module_lock.taken(options["state_dir"], "the rights of others"):
            rights.open_to_all(found)
    before = "closed to others: %s\n" % rights.listed(found) if found else ""
    return {"changed": bool(found), "opened": len(found), "diff": {"before": before, "after": ""}}


if __name__ == "__main__":
    main()
