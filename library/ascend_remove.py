#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: remove a release, what is old, or everything that the project installed, and nothing else."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ascend_remove
short_description: Remove a release, old versions, or everything that this project installed on a node
version_added: "0.1.0"
description:
  - Without O(release) and O(everything) it prunes. It keeps the current environment, O(keep) others (the previous one
    first, then the newest) and what these need. It removes the other environments, the CANN versions, Pythons and
    cached files no longer needed by anything that is kept, and the leftovers of interrupted runs.
  - What is current, used by a process or contains users' files is never pruned. If you name it explicitly, the whole
    removal is refused, unless O(force) is set. A folder with a file system mounted in it is always refused.
  - Only what this project installed is removed. A CANN version counts as ours if a manifest says so; its own
    uninstaller then removes it. Other people's files beside ours are kept, with their folders.
  - If it is interrupted at any point, the next call continues.
  - In check mode it returns what would be removed, kept and refused, and does not fail on a refusal.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  release:
    description:
      - The release to remove, with all its environments, their packages in the cache, and its CANN version and Python
        if no environment that is kept needs them.
    type: str
    default: ""
  everything:
    description: Remove everything that this project installed on the node.
    type: bool
    default: false
  keep:
    description: How many environments to keep besides the current one, without O(release) and O(everything).
    type: int
    default: 2
  force:
    description: Also remove what is current, in use or contains users' files. Pruning never removes what is current.
    type: bool
    default: false
  timeout_s:
    description: How long each of CANN's uninstallers may take, in seconds.
    type: int
    default: 1800
attributes:
  check_mode:
    description: Returns the same selection and changes nothing.
    support: full
  diff_mode:
    description: The table in RV(lines) shows more than a diff would.
    support: none
"""

EXAMPLES = r"""
- name: Show what pruning would remove and how much space that frees
  ascend_remove:
  check_mode: true

- name: Remove a release
  ascend_remove:
    release: 8.0.RC1

- name: Remove everything of this project, including what is current
  ascend_remove:
    everything: true
    force: true
"""

RETURN = r"""
remove:
  description:
    - What is removed, in order, each with C(kind), C(name), C(path), C(size_mb) and C(reason).
    - The kinds are environment, CANN, kernels, Python, cache, leftover, and with O(everything) link, program, log,
      state and CANN's file.
    - C(size_mb) is the space that the removal frees, in MB of 1048576 bytes; a file with another hard link frees none.
  returned: always
  type: list
  elements: dict
  sample:
    - kind: environment
      name: 8.0.RC1-0123456789ab
      path: /opt/ascend/env/8.0.RC1-0123456789ab
      size_mb: 4710.5
      reason: not current, not among the 2 kept
keep:
  description: What is kept and why, in the same form.
  returned: always
  type: list
  elements: dict
refusals:
  description: Why nothing is removed, in the form of a plan's refusals. Outside check mode the module fails with them.
  returned: always
  type: list
  elements: dict
freed_mb:
  description: The space that it frees or has freed, in MB.
  returned: always
  type: float
  sample: 9421.3
lines:
  description: All of this as a table for the terminal.
  returned: always
  type: list
  elements: str
notes:
  description: Remarks, e.g. which version CANN's C(latest) now points to.
  returned: always
  type: list
  elements: str
"""

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, AscendError, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.in_time import in_time
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC, Places
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove import apply, sizes, survey, words
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove.chosen import Asked
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove.selection import select

LIMIT_S = 900  # to measure what there is: 100,000 files of a release, on a disk that is busy
ARGUMENT_SPEC = {
    **SPEC,
    "release": {"type": "str", "default": ""},
    "everything": {"type": "bool", "default": False},
    "keep": {"type": "int", "default": 2},
    "force": {"type": "bool", "default": False},
    "timeout_s": {"type": "int", "default": 1800},
}


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    places = Places.of(options)
    asked = Asked(options["release"], options["everything"], options["keep"], options["force"])
    node = Node(query, module.get_bin_path)
    try:
        if asked.release and asked.everything:
            raise AscendError("two kinds of removal at once", wanted="a release or everything", found=asked.release)
        result = in_time(LIMIT_S, lambda at: look(node._replace(at=at), places, asked))
        if result["refusals"] and not module.check_mode:
            first = result["refusals"][0]
            error = AscendError(**{name: first[name] for name in ("problem", "wanted", "found", "where", "remedy")})
            module.fail_json(msg=str(error), **dict(error.as_dict(), **result))
        if result["remove"] and not module.check_mode:
            with module_lock.taken(places.state_dir, "removing " + asked.words()) as run:
                result["notes"] = apply.apply(node, places, asked, run, options["timeout_s"])
    except REPORTED as error:
        module.fail_json(**failure(error, places.state_dir))
    module.exit_json(changed=bool(result["remove"]), **result)


def look(node: Node, places: Places, asked: Asked) -> Dict[str, Any]:
    """Return the module's result, before anything is done."""
    result: Dict[str, Any] = dict(select(survey.read(node, places), asked))
    freed_mb = sizes.measure(node, result["remove"], freed=True)
    sizes.measure(node, result["keep"], freed=False)
    return dict(result, freed_mb=freed_mb, lines=words.lines(result, freed_mb), notes=[])


if __name__ == "__main__":
    main()
