# SPDX-License-Identifier: Apache-2.0
"""Find the distribution's own Pythons by the names of their files; none of them is started.

An environment may be made with one of them (``ascend_python: system``). CANN's installer then calls ``python3`` and
``pip3`` from the same folder, so the planner needs to know which of the two exist and belong to that Python.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Dict, List

from .. import files
from ..environment import virtualenv
from ..node import Node

if TYPE_CHECKING:
    from ..shapes import SystemPython

FOLDERS = ("/usr/bin", "/usr/local/bin")  # the distribution's comes first, whatever PATH says

_PROGRAM = re.compile(r"python(3\.[0-9]{1,3})")
_MOST_LINE = 200


def read(node: Node) -> Dict[str, SystemPython]:
    """Return series ("3.11") -> ``{"path", "lacks"}``; the first folder with a series wins.

    ``lacks`` names what CANN's installer would not find beside it: "python3", "pip3", or both.
    """
    found: Dict[str, SystemPython] = {}
    for folder in FOLDERS:
        for name in files.names(node.path(folder)):
            match = _PROGRAM.fullmatch(name)
            if match and match.group(1) not in found and files.is_program(_resolved(node, folder, name)):
                found[match.group(1)] = {"path": os.path.join(folder, name), "lacks": _missing(node, folder, name)}
    return dict(sorted(found.items(), key=lambda item: int(item[0].partition(".")[2])))


def _missing(node: Node, folder: str, name: str) -> List[str]:
    program, pip = _resolved(node, folder, name), _resolved(node, folder, "pip3")
    missing = []
    if not _same(_resolved(node, folder, "python3"), program):
        missing.append("python3")
    if not files.is_program(pip) or not _is_for(node, pip, program):
        missing.append("pip3")
    return missing


def _is_for(node: Node, script: str, program: str) -> bool:
    """Whether a script's first line names that program; one that names no Python (a wrapper) is trusted."""
    line = (files.text(script, _MOST_LINE) or "").partition("\n")[0]
    match = re.match(r"#!\s*(/\S*)/(python3[0-9.]*)(?:\s|$)", line)
    return not match or _same(_resolved(node, match.group(1), match.group(2)), program)


def _resolved(node: Node, folder: str, name: str) -> str:
    return virtualenv.resolved(node.path(os.path.join(folder, name)), node.path)


def _same(one: str, other: str) -> bool:
    """/bin is a link to /usr/bin on most systems."""
    return one == other or (os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other))
