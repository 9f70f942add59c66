#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: an environment exactly as its lock."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: python_env
short_description: Build a virtual environment that matches its lock exactly, offline, and make it current
version_added: "0.1.0"
description:
  - Builds the environment with uv from the depot's wheels, requires hashes and compiles bytecode. It removes what the
    lock does not name, replaces what differs and touches nothing else.
  - A LLaMA-Factory checkout (O(source_url)) is restored from its archive, file by file. Edited files are saved to
    C(edited) of the environment; training output in the checkout is not touched.
  - With O(current=true) the link C(current) beside the environment is switched to it atomically, and C(previous) is
    pointed at the environment before. Without O(lock) nothing else happens.
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
    description: Whether the environment must exist.
    type: str
    choices: [absent, present]
    default: present
  release:
    description: The release of the environment; stored in its receipt.
    type: str
  python:
    description: The interpreter of the environment.
    type: path
  cann_home:
    description: The folder of the environment's CANN version; C(ascend-env) sources that version's set_env.sh.
    type: path
  lock:
    description: The lock's text, a requirements file that pins and hashes every distribution.
    type: str
  lock_digest:
    description:
      - The digest that names the lock in the environment's receipt. Without it, the digest of O(lock).
      - A depot's lock has only the hashes of its own wheels, so a plan passes the digest of the release's lock.
    type: str
  wheelhouse:
    description: The depot's folder of wheels (http, https or file).
    type: str
  uv_url:
    description: The address of the program uv in the depot.
    type: str
  uv_sha256:
    description: Its sha256, in hexadecimal.
    type: str
  uv_size_bytes:
    description: Its size in bytes.
    type: int
  source_url:
    description:
      - The address of a LLaMA-Factory archive in the depot, to install in editable mode instead of the lock's release.
    type: str
  source_sha256:
    description: Its sha256, in hexadecimal.
    type: str
  source_size_bytes:
    description: Its size in bytes.
    type: int
  depot_proxy:
    description: The proxy between the node and the depot, as http://host:port. If empty, the node connects directly.
    type: str
    default: ""
  examples:
    description:
      - The texts of the examples by name, including folders. Examples of an earlier version of this project that are
        not among them are removed. If not given, the examples are not changed.
    type: dict
  current:
    description: Point the link C(current) beside the environment at it.
    type: bool
    default: false
  idle:
    description:
      - Check the cards before the link is switched to another environment, and fail if processes use them. The result
        then has C(busy). What was built is kept.
    type: bool
    default: false
  cards_out:
    description: NPU ids of cards that are out of use, which need not be known to be idle.
    type: list
    elements: int
    default: []
  replace_python:
    description: Rebuild the environment if it uses a Python other than O(python).
    type: bool
    default: false
  deep:
    description:
      - Verify every file of every distribution against its recorded checksum, and replace the distributions that
        differ.
    type: bool
    default: false
  timeout_s:
    description: How long each run of uv may take, in seconds.
    type: int
    default: 3600
attributes:
  check_mode:
    description: Reports what would change and writes nothing.
    support: full
  diff_mode:
    description: Shows how the environment differs from its lock, and where the link points.
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

- name: Make the environment current
  python_env:
    path: /opt/ascend/env/8.0.RC1-0123456789ab
    current: true
    idle: true
"""

RETURN = r"""
differences:
  description: How the environment differed from what is wanted, in words; empty if it did not.
  returned: success
  type: list
  elements: str
  sample: ["torch is missing"]
kept:
  description: The folder with the checkout's edited files that were replaced; empty if there were none.
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
        before, after = ["%s exists" % path], ["%s is absent" % path]
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
