# SPDX-License-Identifier: Apache-2.0
"""Read the Pythons below /opt/ascend/python from their files; none of them is started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, Tuple

from .. import files, manifest, rights
from ..environment import virtualenv
from ..environment.distributions import shown
from ..finding import Finding, finding
from ..text import listed

if TYPE_CHECKING:
    from ..shapes import Python

RECEIPT = virtualenv.RECEIPT
MANIFEST = virtualenv.FILES  # beside the receipt; Pythons installed before there was one have none
_NO_MORE = (manifest.LOST, manifest.ALTERED)
_DECIDING = ("bin", "bin/python3", "bin/pip3", "lib")


def read(pythons_dir: str, deep: bool = False) -> Dict[str, Python]:
    """Return version -> ``{"path", "state": "complete" | "half-installed"}`` of the Pythons in ``root``.

    A half-installed one also has a ``problem`` as text; ``closed`` is what others cannot use. ``deep`` reads every
    file.
    """
    pythons: Dict[str, Python] = {}
    for name in files.folders(pythons_dir):
        path = os.path.join(pythons_dir, name)
        pythons[name] = {"path": path, "state": "complete"}
        problem, closed = _problem(path, name, deep)
        if problem:
            pythons[name].update({"state": "half-installed", "problem": problem})
        if closed:
            pythons[name].update({"closed": shown(closed)})
    return pythons


def findings(pythons: Dict[str, Python]) -> List[Finding]:
    """Return a finding for every Python that is half-installed, or that others cannot use."""
    found = [
        rights.closed_finding("python", "Python %s" % name, python["closed"], python["path"])
        for name, python in sorted(pythons.items())
        if "closed" in python
    ]
    return found + [
        finding(
            "python",
            "python-half-installed",
            "Python %s is half-installed" % name,
            "an interpreter that runs, its receipt %s, and every file as it was unpacked" % RECEIPT,
            python["problem"],
            python["path"],
            "ansible-playbook site.yml  # or remove it",
        )
        for name, python in sorted(pythons.items())
        if python["state"] != "complete"
    ]


def remember(unpacked: str, place: str) -> None:
    """Record every file of a Python that will be at ``place``. Raises OSError."""
    manifest.write(unpacked, files.folders(unpacked), os.path.join(unpacked, MANIFEST), place=place)


def _problem(path: str, name: str, deep: bool) -> Tuple[str, str]:
    """Return what is wrong, and what others cannot use, as text."""
    differences = manifest.verify(os.path.join(path, MANIFEST), deep, path)
    closed = rights.closed([path] + [os.path.join(path, part) for part in _DECIDING])
    words = [each._replace(path=os.path.relpath(each.path, path)).words() for each in closed]
    words += [each.words for each in differences if each.kind == manifest.CLOSED]
    problem = _main_problem(path, name) or shown(listed([each.words for each in differences if each.kind in _NO_MORE]))
    return problem, listed(list(dict.fromkeys(words)))


def _main_problem(path: str, name: str) -> str:
    series = ".".join(name.split(".")[:2])
    if files.mapping(os.path.join(path, RECEIPT)).get("version") != name:
        return "its receipt is missing, or from another version"
    if not files.is_program(os.path.join(path, "bin", "python" + series)):
        return "bin/python%s cannot be run" % series
    if not files.is_program(os.path.join(path, "bin", "pip3")):
        return "bin/pip3, which CANN's installer calls, cannot be run"
    library = os.path.join(path, "lib", "python" + series)
    if os.path.isdir(library) and not os.path.isfile(os.path.join(library, "os.py")):
        return "lib/python%s lacks the standard library" % series
    return ""
