#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: take away a release, what is old, or everything of the project's, and nothing else."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ascend_remove
short_description: Remove a release, what is old, or everything that this project put on a node
version_added: "0.1.0"
description:
  - Without O(release) and O(everything) it prunes. The current environment stays, the O(keep) newest others stay (the
    one that was current before is the first of them), and what these need. Other environments go, and so do CANN
    versions, Pythons and files of the cache that nothing needs which stays, and what interrupted runs left.
  - What is current, in use by a process, or holds users' files is never pruned, and where it is asked for by name the
    whole removal is refused, unless O(force). Where a file system is mounted in something, that is refused in any case.
  - Only what this project made is removed. A CANN version is when a manifest tells that it was installed by this
    project; then its own uninstaller is run. Other people's files beside ours stay, with the folders in which they lie.
  - May be interrupted at any moment; the next call goes on.
  - In check mode it returns what would be removed, what stays and what is refused, and does not fail for a refusal.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  release:
    description:
      - The release to remove. All its environments, its CANN version and its Python where no environment that stays
        needs them, and their packages in the cache.
    type: str
    default: ""
  everything:
    description: Remove everything that this project put on the node.
    type: bool
    default: false
  keep:
    description: How many environments stay beside the current one when O(release) and O(everything) are not given.
    type: int
    default: 2
  force:
    description: Remove also what is current, in use, or holds users' files. Pruning never removes what is current.
    type: bool
    default: false
  timeout_s:
    description: Longest time for each uninstaller of CANN, in seconds.
    type: int
    default: 1800
attributes:
  check_mode:
    description: Returns the same selection and changes nothing.
    support: full
  diff_mode:
    description: The table in RV(lines) says more than a difference would.
    support: none
"""

EXAMPLES = r"""
- name: Show what pruning would remove and how much room that gives
  ascend_remove:
  check_mode: true

- name: Remove a release
  ascend_remove:
    release: 8.0.RC1

- name: Remove everything of the project's, also what is current
  ascend_remove:
    everything: true
    force: true
"""

RETURN = r"""
remove:
  description:
    - What goes, in the order of removal, each with C(kind), C(name), C(path), C(size_mb) and C(reason).
    - The kinds are environment, CANN, kernels, Python, cache, leftover, and with O(everything) link, program, log,
      state and CANN's file.
    - C(size_mb) is the room that the removal frees, in MB of 1048576 bytes; a file with another name elsewhere frees
      none.
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
  description: What stays and why, in the same form.
  returned: always
  type: list
  elements: dict
refusals:
  description: Why nothing is removed, as a plan has refusals. Outside of check mode the module fails with them.
  returned: always
  type: list
  elements: dict
freed_mb:
  description: The room that it frees or has freed, in MB.
  returned: always
  type: float
  sample: 9421.3
lines:
  description: All of that as a table for the terminal.
  returned: always
  type: list
  elements: str
notes:
  description: What else there is to know, e.g. where CANN's C(latest) leads now.
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
