#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: remove from a mirror of the depot what no node needs any more."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mirror_prune
short_description: Remove files that no node needs from a mirror of the depot
version_added: "0.2.0"
description:
  - Removes the depot's files that are not O(needed) and that no run of C(site.yml) has sent or requested for
    O(keep_days) days. So files that another control node or inventory uses are kept.
  - Its action plugin finds what is needed from the inventory's variables of all nodes that name this host in
    C(depot_mirror), regardless of C(--limit). If no node does, it fails.
  - Only regular files whose name is a sha256 are removed. A node that requests a file at that moment gets it from the
    depot.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  folder:
    description: The folder of the mirror's files.
    type: path
    required: true
  keep_days:
    description: How many days a file is kept after it was last sent or requested.
    type: int
    default: 30
  needed:
    description: The sha256 of the files to keep in any case; given by the action plugin.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Returns the same files and removes none.
    support: full
  diff_mode:
    description: Names the files that it removes.
    support: full
"""

EXAMPLES = r"""
- name: Prune the mirror
  mirror_prune:
    folder: /srv/ascend-mirror
    keep_days: 30
"""

RETURN = r"""
remove:
  description: What is removed, with C(path), C(size_mb) and C(days) (since a run last requested it).
  returned: success
  type: list
  elements: dict
  sample: [{path: /srv/ascend-mirror/0123..., size_mb: 1204.5, days: 63}]
lines:
  description: All of this for the terminal.
  returned: success
  type: list
  elements: str
"""

import os
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import mirrored, rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC

ARGUMENT_SPEC = {
    **SPEC,
    "folder": {"type": "path", "required": True},
    "keep_days": {"type": "int", "default": 30},
    "needed": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    if not options["needed"]:
        module.fail_json(msg="mirror_prune is called through its action plugin: ascend.fleet.mirror_prune")
    try:
        result = found(options) if module.check_mode else prune(options)
    except REPORTED as error:
        module.fail_json(**failure(error, options["folder"]))
    module.exit_json(**result)


def found(options: Dict[str, Any]) -> Dict[str, Any]:
    """Return the module's result, before anything is done."""
    rows = mirrored.old(options["folder"], options["needed"], options["keep_days"])
    diff = {"before": "".join("%s\n" % row["path"] for row in rows), "after": ""}
    return {
        "changed": bool(rows),
        "remove": rows,
        "lines": mirrored.lines(rows, options["keep_days"]),
        "diff": diff,
    }


def prune(options: Dict[str, Any]) -> Dict[str, Any]:
    """Remove it, while no run makes room for files or takes them in."""
    with module_lock.taken(options["state_dir"], "pruning the mirror"):
        result = found(options)
        for row in result["remove"]:
            os.unlink(row["path"])
    return result


if __name__ == "__main__":
    main()
