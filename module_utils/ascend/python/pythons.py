# SPDX-License-Identifier: Apache-2.0
"""Read the Pythons below /opt/ascend/python from their files; none of them is started."""

from __future__ import annotations

import os
from typing import Dict, List

from ansible.module_utils.ascend import files, manifest
from ansible.module_utils.ascend.node import Finding, finding
from ansible.module_utils.ascend.python import virtualenv
from ansible.module_utils.ascend.python.distributions import listed, shown

RECORD = virtualenv.RECORD
MANIFEST = ".ascend-fleet.files"  # beside the record; Pythons installed before there was one have none
_NO_MORE = (manifest.LOST, manifest.ALTERED)


def read(root: str, deep: bool = False) -> Dict[str, Dict[str, str]]:
    """Return version -> ``{"path", "state": "complete" | "half-installed"}`` of the Pythons in ``root``.

    One that is half-installed has a ``problem`` too, in words. ``deep`` reads every file.
    """
    pythons = {}
    for name in files.folders(root):
        path = os.path.join(root, name)
        pythons[name] = {"path": path, "state": "complete"}
        problem = _problem(path, name, deep)
        if problem:
            pythons[name].update(state="half-installed", problem=problem)
    return pythons


def findings(pythons: Dict[str, Dict[str, str]]) -> List[Finding]:
    """Return a finding for every Python that is half-installed."""
    return [
        finding(
            "python",
            "python-half-installed",
            "Python %s is half-installed" % name,
            "an interpreter that can be run, its record %s, and every file as it was unpacked" % RECORD,
            python["problem"],
            python["path"],
            "ansible-playbook site.yml  # or remove it",
        )
        for name, python in sorted(pythons.items())
        if python["state"] != "complete"
    ]


def remember(unpacked: str, place: str) -> None:
    """Write down every file of a Python that will lie at ``place``. Raises OSError."""
    manifest.record(unpacked, files.folders(unpacked), os.path.join(unpacked, MANIFEST), place=place)


def _problem(path: str, name: str, deep: bool) -> str:
    series = ".".join(name.split(".")[:2])
    if files.mapping(os.path.join(path, RECORD)).get("version") != name:
        return "its record is missing or of another version"
    if not os.access(os.path.join(path, "bin", "python" + series), os.X_OK):
        return "bin/python%s cannot be run" % series
    if not os.access(os.path.join(path, "bin", "pip3"), os.X_OK):
        return "bin/pip3 cannot be run, which CANN's installer calls"
    library = os.path.join(path, "lib", "python" + series)
    if os.path.isdir(library) and not os.path.isfile(os.path.join(library, "os.py")):
        return "lib/python%s has lost the standard library" % series
    differences = manifest.verify(os.path.join(path, MANIFEST), deep, path)
    return shown(listed([each.words for each in differences if each.kind in _NO_MORE]))
