# SPDX-License-Identifier: Apache-2.0
"""Find what in an environment's site-packages adds modules of other folders (profiles.py does this for sessions).

What site-packages can contain: ``*.pth`` files (module ``site``: a line is a folder, or code when it begins with
``import``), ``*.egg-link`` files, and the modules sitecustomize and usercustomize, run at every start.
"""

from __future__ import annotations

import os
import re
from typing import List

from .. import files
from ..text import listed
from .checkout import linked_path
from .distributions import Problem, shown

LEAK = "environment-leak"
CUSTOM = ("sitecustomize", "usercustomize")

_QUOTED_PATH = re.compile(r"[\"'](/[^\"']*)[\"']")


def site_leaks(site: str, names: List[str], own: List[str]) -> List[Problem]:
    """Return what in a site-packages folder adds folders that are outside of all ``own`` ones.

    ``own`` are the environment and its editable checkouts.
    """
    problems = []
    for name in names:
        path = os.path.join(site, name)
        if name.endswith(".pth"):
            folders = [] if _normal(name) else _foreign_lines(site, path, own)
            if folders:
                words = "%s adds %s to sys.path" % (name, listed(folders))
                problems.append(Problem(LEAK, shown(words), path, name))
        elif name.endswith(".egg-link"):
            words = "%s points to %s" % (name, linked_path(path) or "no folder")
            problems.append(Problem(LEAK, shown(words), path, name))
        elif name.partition(".")[0] in CUSTOM and name.partition(".")[2] in ("", "py", "pyc"):
            problems.append(Problem(LEAK, "every Python of the environment runs %s" % name, path, name))
    return problems


def _normal(name: str) -> bool:
    """Whether it belongs to an installer; an editable one's folder is in its dist-info. site skips hidden ones."""
    return name.startswith(("__editable__", ".")) or name == "distutils-precedence.pth" or name.endswith("-nspkg.pth")


def _foreign_lines(site: str, path: str, own: List[str]) -> List[str]:
    found = []
    for line in (files.text(path) or "").splitlines():
        line = line.strip()
        if line.startswith(("import ", "import\t")):
            folders = _QUOTED_PATH.findall(line)
        else:
            folders = [os.path.normpath(os.path.join(site, line))] if line and not line.startswith("#") else []
        found += [
            folder for folder in folders if not any(files.is_in(os.path.normpath(folder), place) for place in own)
        ]
    return list(dict.fromkeys(found))
