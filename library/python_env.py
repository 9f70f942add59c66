#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: an environment exactly as its lock."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: python_env
short_description: Make a virtual environment exactly as its lock, offline, and make it current
version_added: "0.1.0"
description:
  - Builds the environment with uv from the depot's wheels, hashes required, bytecode compiled. What the lock does not
    name is removed; what differs is replaced; nothing else is touched.
  - A checkout of LLaMA-Factory (O(source_url)) is brought back to its archive, file by file. What was edited is kept,
    in C(edited) of the environment; what training left in the checkout stays where it is.
  - With O(current=true) the link C(current) beside the environment is led to it, atomically, and C(previous) to where
    it led before. Without O(lock) that is all that happens.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  path:
    description: The environment.
    type: path
    required: true
  state:
    description: Whether it shall be there.
    type: str
    choices: [absent, present]
    default: present
  release:
    description: The release it is made for; kept in its receipt.
    type: str
  python:
    description: The interpreter it is made with.
    type: path
  cann_home:
    description: The folder of the CANN version it is made for; C(ascend-env) sources that version's set_env.sh.
    type: path
  lock:
    description: The lock's text, a requirements file in which every distribution is pinned and hashed.
    type: str
  lock_digest:
    description:
      - What names the lock in the environment's receipt. Without it, the digest of O(lock).
      - A depot's lock has the hashes of its own wheels alone, so a plan gives the digest of the release's lock.
    type: str
  wheelhouse:
    description: The depot's folder of wheels (http, https or file).
    type: str
  uv_url:
    description: Where the depot gives the program uv.
    type: str
  uv_sha256:
    description: Its sha256, in hexadecimal.
    type: str
  uv_size_bytes:
    description: Its size in bytes.
    type: int
  source_url:
    description: Where the depot gives an archive of LLaMA-Factory to install editable, instead of the lock's release.
    type: str
  source_sha256:
    description: Its sha256, in hexadecimal.
    type: str
  source_size_bytes:
    description: Its size in bytes.
    type: int
  depot_proxy:
    description: The proxy through which the depot is asked, as http://host:port. Empty asks it directly.
    type: str
    default: ""
  examples:
    description:
      - The examples' texts by their names, folders included. What an earlier version of this project had and these
        have not is removed. Without it they are left as they are.
    type: dict
  current:
    description: Lead the link C(current) beside the environment to it.
    type: bool
    default: false
  idle:
    description:
      - Ask the cards before the link is led to another environment, and fail where processes use them. The result then
        has C(busy). What was built stays.
    type: bool
    default: false
  cards_out:
    description: NPU ids of cards that are out of use, of which it need not be known whether a process uses them.
    type: list
    elements: int
    default: []
  replace_python:
    description: Make the environment anew when it runs another Python than O(python).
    type: bool
    default: false
  deep:
    description: Hold every file of every distribution to its sum, and have those replaced that differ.
    type: bool
    default: false
  timeout_s:
    description: Longest time for each run of uv, in seconds.
    type: int
    default: 3600
attributes:
  check_mode:
    description: Says what would change, and writes nothing.
    support: full
  diff_mode:
    description: Shows how the environment differs from its lock, and where the link leads.
    support: full
"""

EXAMPLES = r"""
- name: Build the environment
  python_env:
    path: /opt/ascend/env/8.0.RC1-0123456789ab
    release: "8.0.RC1"
    python: /opt/ascend/python/3.10.13/bin/python3
    cann_home: /usr/local/Ascend/ascend-toolkit/8.0.RC1
    lock: "{{ lookup('ansible.builtin.file', 'lock-aarch64.txt') }}"
    wheelhouse: http://192.0.2.1:8080/wheels/8.0.RC1-aarch64
    uv_url: http://192.0.2.1:8080/uv/uv-aarch64
    uv_sha256: "{{ uv_sha256 }}"
    uv_size_bytes: "{{ uv_size_bytes }}"

- name: Make it current
  python_env:
    path: /opt/ascend/env/8.0.RC1-0123456789ab
    current: true
    idle: true
"""

RETURN = r"""
differences:
  description: How the environment differed from what is wanted, in words; empty when it did not.
  returned: success
  type: list
  elements: str
  sample: ["torch is missing"]
kept:
  description: Folder that keeps what of the checkout was edited and replaced; empty when nothing was.
  returned: success
  type: str
  sample: /opt/ascend/env/8.0.RC1-0123456789ab/edited/20250131T235959Z
"""

import os
from typing import Any, Dict, List, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.busy.in_use import require_idle
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import (
    build as environment,
    examples,
    lock,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, AscendError, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC

ARGUMENT_SPEC = {
    **SPEC,
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
    "release": {"type": "str"},
    "python": {"type": "path"},
    "cann_home": {"type": "path"},
    "lock": {"type": "str"},
    "lock_digest": {"type": "str"},
    "wheelhouse": {"type": "str"},
    "uv_url": {"type": "str"},
    "uv_sha256": {"type": "str"},
    "uv_size_bytes": {"type": "int"},
    "source_url": {"type": "str"},
    "source_sha256": {"type": "str"},
    "source_size_bytes": {"type": "int"},
    "depot_proxy": {"type": "str", "default": ""},
    "current": {"type": "bool", "default": False},
    "idle": {"type": "bool", "default": False},
    "cards_out": {"type": "list", "elements": "int", "default": []},
    "replace_python": {"type": "bool", "default": False},
    "examples": {"type": "dict"},
    "deep": {"type": "bool", "default": False},
    "timeout_s": {"type": "int", "default": 3600},
}
BUILD = ("lock", "release", "python", "cann_home", "wheelhouse", "uv_url", "uv_sha256", "uv_size_bytes")
REQUIRED_TOGETHER = [BUILD, ("source_url", "source_sha256", "source_size_bytes")]


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, required_together=REQUIRED_TOGETHER, supports_check_mode=True)
    options = module.params
    try:
        result = ensure(options, module.check_mode, Node(query, module.get_bin_path))
    except REPORTED as error:
        module.fail_json(**failure(error, options["path"]))
    module.exit_json(**result)


def ensure(options: Dict[str, Any], check_mode: bool, node: Node) -> Dict[str, Any]:
    """Read, plan, apply; return the module's result."""
    path = options["path"]
    link = os.path.join(os.path.dirname(path), "current")
    wanted = wanted_of(options) if options["lock"] and options["state"] == "present" else None
    differences = environment.problems(wanted, options["deep"]) if wanted else []
    current = environment.read_current(link)
    unlike = options["state"] == "present" and examples_differ(options)
    switch = options["state"] == "present" and options["current"] and current != path
    remove = options["state"] == "absent" and os.path.lexists(path)
    kept = ""
    if not check_mode and (remove or differences or unlike or switch):
        with module_lock.taken(options["state_dir"], "environment %s" % os.path.basename(path)) as run:
            if remove:
                remove_environment(path, current)
            if wanted and differences:
                kept = environment.build(wanted, run, options["deep"])
            if unlike:
                examples.write(path, options["examples"])
            if switch:
                if options["idle"]:
                    words = "`current` still points to %s" % (current or "none")
                    require_idle(node, options["cards_out"], options["state_dir"], words)
                environment.make_current(path, link)
    before: List[str] = list(differences)
    after: List[str] = []
    if remove:
        before, after = ["%s is there" % path], ["%s is absent" % path]
    if unlike:
        before.append("other examples")
    if switch:
        before.append("current -> %s" % current)
        after.append("current -> %s" % path)
    return {
        "changed": bool(differences or unlike or switch or remove),
        "differences": differences,
        "kept": kept,
        "diff": {"before": "".join(line + "\n" for line in before), "after": "".join(line + "\n" for line in after)},
    }


def examples_differ(options: Dict[str, Any]) -> bool:
    """Whether the examples are given, and the environment has others."""
    return options["examples"] is not None and examples.read(options["path"]) != examples.digest(options["examples"])


def wanted_of(options: Dict[str, Any]) -> environment.Wanted:
    """Return what the options ask for."""
    source = None
    if options["source_url"]:
        source = DepotFile(
            options["source_url"], options["source_sha256"], options["source_size_bytes"], options["depot_proxy"]
        )
    return environment.Wanted(
        path=options["path"],
        release=options["release"],
        python=options["python"],
        cann_home=options["cann_home"],
        lock=options["lock"],
        lock_digest=options["lock_digest"] or lock.digest(options["lock"]),
        wheelhouse=options["wheelhouse"],
        uv=DepotFile(options["uv_url"], options["uv_sha256"], options["uv_size_bytes"], options["depot_proxy"]),
        source=source,
        cache_dir=options["cache_dir"],
        timeout_s=options["timeout_s"],
        replace_python=options["replace_python"],
    )


def remove_environment(path: str, current: Optional[str]) -> None:
    """Remove an environment, never the one that is current."""
    if current == path:
        raise AscendError(
            "the current environment is not removed", wanted="another current environment", found=path, where=path
        )
    environment.remove(path)


if __name__ == "__main__":
    main()
