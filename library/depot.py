#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module, for the control node: one part of the depot."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: depot
short_description: Fill one part of the depot, on the control node
version_added: "0.1.0"
description:
  - Brings the files of a release into the depot, verified, and enters them into its C(index.json). What is there and
    unchanged is not fetched again. What changed since it was taken is refused, unless a lock tells its sum; then it is
    fetched again.
  - Runs on the control node, as an action within Ansible's own process, so that it can show how far it is.
author:
  - The ascend-fleet authors (@ascend-fleet)
options:
  part:
    description:
      - V(cann) takes CANN's packages, V(python) a relocatable CPython, V(uv) the program uv, V(wheels) every wheel of
        the lock, V(source) an archive of LLaMA-Factory, V(swarm) libtorrent's wheels.
    type: str
    choices: [cann, python, source, swarm, uv, wheels]
    required: true
  folder:
    description: The depot.
    type: path
    required: true
  served:
    description: Whether a web server gives it to the nodes. Refuses a folder above the depot that others cannot enter.
    type: bool
    default: false
  release:
    description: The folder of the release.
    type: path
    required: true
  architecture:
    description: For which nodes, as C(uname -m) says. Not for the part V(source).
    type: str
    choices: [aarch64, x86_64]
  lock:
    description: The lock, for O(part=wheels); relative to the release. Its own when empty.
    type: str
  incoming:
    description: A folder of yours with packages, archives and wheels, taken before anything is downloaded.
    type: path
  cann_sha256:
    description: File name to sha256 of your C(.run) packages.
    type: dict
    default: {}
  python:
    description: An interpreter of yours to make the archive from, for O(part=python).
    type: path
  make_python:
    description:
      - For O(part=python), whether an interpreter of this machine may do where the release's archive cannot be fetched.
        It is warned of as not pinned.
    type: bool
    default: false
  requirements:
    description: The requirements file with the hashes of uv, for O(part=uv).
    type: path
  swarm_requirements:
    description: The requirements file with the hashes of libtorrent, for O(part=swarm).
    type: path
  deep:
    description: Read every file that is there already, instead of those with another size or time.
    type: bool
    default: false
  extra_index:
    description: The package index with torch's +cpu builds, used where a lock names one.
    type: str
  addresses:
    description: Beginnings of addresses, and what is asked in their place.
    type: dict
    default: {}
  source:
    description: Either C(url) and C(version) of a git repository, or C(archive). For O(part=source).
    type: dict
    default: {}
attributes:
  check_mode:
    description: Says what it would take, and writes nothing.
    support: full
  diff_mode:
    description: Shows what it takes.
    support: full
"""

EXAMPLES = r"""
- name: Take every wheel of the lock
  depot:
    part: wheels
    folder: /srv/ascend-depot
    release: releases/8.0.RC1
    architecture: aarch64
"""

RETURN = r"""
taken:
  description: What was taken.
  returned: success
  type: list
  elements: str
  sample: ["Ascend-cann-toolkit_8.0.RC1_linux-aarch64.run"]
"""

ARGUMENT_SPEC = {
    "part": {"type": "str", "choices": ["cann", "python", "source", "swarm", "uv", "wheels"], "required": True},
    "folder": {"type": "path", "required": True},
    "served": {"type": "bool", "default": False},
    "release": {"type": "path", "required": True},
    "architecture": {"type": "str", "choices": ["aarch64", "x86_64"]},
    "lock": {"type": "str"},
    "incoming": {"type": "path"},
    "cann_sha256": {"type": "dict", "default": {}},
    "python": {"type": "path"},
    "make_python": {"type": "bool", "default": False},
    "requirements": {"type": "path"},
    "swarm_requirements": {"type": "path"},
    "deep": {"type": "bool", "default": False},
    "extra_index": {"type": "str"},
    "addresses": {"type": "dict", "default": {}},
    "source": {"type": "dict", "default": {}},
}
REQUIRED_IF = [
    ("part", "cann", ["architecture"]),
    ("part", "python", ["architecture"]),
    ("part", "swarm", ["architecture", "swarm_requirements"]),
    ("part", "uv", ["architecture", "requirements"]),
    ("part", "wheels", ["architecture"]),
    ("part", "source", ["source"]),
]
