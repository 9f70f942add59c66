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
  - Adds the files of a release to the depot, verified, and lists them in its C(index.json). Unchanged files are not
    fetched again. A file that has changed since it was added is refused, or fetched again if a lock has its checksum.
  - Runs on the control node, as an action within Ansible's own process, so that it can show its progress.
author:
  - The ascend-fleet authors (@ascend-fleet)
options:
  part:
    description:
      - V(cann) adds CANN's packages, V(python) a relocatable CPython, V(uv) the program uv, V(wheels) every wheel of
        the lock, V(source) an archive of LLaMA-Factory, V(swarm) libtorrent's wheels.
    type: str
    choices: [cann, python, source, swarm, uv, wheels]
    required: true
  folder:
    description: The depot.
    type: path
    required: true
  served:
    description:
      - Whether a web server serves it to the nodes. If so, parent folders of the depot that others cannot enter are
        refused.
    type: bool
    default: false
  release:
    description: The folder of the release.
    type: path
    required: true
  architecture:
    description: The architecture of the nodes, as in C(uname -m). Not used for O(part=source).
    type: str
    choices: [aarch64, x86_64]
  lock:
    description: The lock for O(part=wheels), relative to the release. Empty for the release's own.
    type: str
  incoming:
    description: A folder with your own packages, archives and wheels, used before anything is downloaded.
    type: path
  cann_sha256:
    description: The sha256 of your own C(.run) packages, by file name.
    type: dict
    default: {}
  python:
    description: Your own interpreter from which to build the archive, for O(part=python).
    type: path
  make_python:
    description:
      - For O(part=python), whether an interpreter of this machine may be used if the release's archive cannot be
        fetched. A warning says that it is not pinned.
    type: bool
    default: false
  requirements:
    description: The requirements file with the hashes of uv, for O(part=uv).
    type: path
  swarm_requirements:
    description: The requirements file with the hashes of libtorrent, for O(part=swarm).
    type: path
  deep:
    description: Read every existing file, instead of only those with a changed size or time.
    type: bool
    default: false
  extra_index:
    description: The package index with torch's +cpu builds, used where a lock names one.
    type: str
  addresses:
    description: Prefixes of addresses, and what to use instead.
    type: dict
    default: {}
  source:
    description: Either C(url) and C(version) of a git repository, or C(archive). For O(part=source).
    type: dict
    default: {}
attributes:
  check_mode:
    description: Reports what it would add and writes nothing.
    support: full
  diff_mode:
    description: Shows what it adds.
    support: full
"""

EXAMPLES = r"""
- name: Add every wheel of the lock
  depot:
    part: wheels
    folder: /srv/ascend-depot
    release: releases/8.0.RC1
    architecture: aarch64
"""

RETURN = r"""
taken:
  description: What was added.
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
