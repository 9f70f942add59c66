# SPDX-License-Identifier: Apache-2.0
"""Compare an environment's files with the sizes and times that they had when it was built.

The builder records them (``damage.remember``), for as many files as can be checked every night.
"""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Set, Tuple

from .. import manifest
from ..text import listed
from .distributions import ALTERED, Problem, shown
from .virtualenv import FILES


def verify(here: str, known: List[Problem]) -> Tuple[List[Problem], List[str]]:
    """Return what differs, one problem per package, and what others cannot use.

    ``here`` is the environment's path on this machine. What the ``known`` problems mention is left out, and so is what
    vanished with its package.
    """
    different: Dict[Tuple[str, str], List[str]] = {}
    closed = []
    expected = "\n".join(problem.words for problem in known)
    for each in manifest.verify(os.path.join(here, FILES), False, here):
        if each.kind == manifest.CLOSED:
            closed.append(each.words)
        elif each.kind in (manifest.LOST, manifest.ALTERED, manifest.UNREADABLE):
            name, file = _in_site(each.path)
            what = "missing" if each.kind == manifest.LOST else "altered" if each.path else each.words
            lost_above = what == "missing" and not os.path.isdir(os.path.dirname(os.path.join(here, each.path)))
            if file and (file in expected or (lost_above and not os.path.isdir(_upper(here, each.path, file)))):
                continue
            different.setdefault((name, what), []).append(file)
    return [_problem(name, what, files) for (name, what), files in sorted(different.items())], closed


def _problem(name: str, what: str, files: List[str]) -> Problem:
    if not files[0]:
        return Problem(ALTERED, shown(what), subject=FILES)  # of the manifest itself
    number = "1 file" if len(files) == 1 else "%d files" % len(files)
    words = shown("%s: %s %s: %s" % (name, number, what, listed(sorted(files))))
    return Problem(ALTERED, words, subject="%s %s" % (name, what))


def _in_site(relative: str) -> Tuple[str, str]:
    """Return the top-level package, and the path in site-packages; "bin" for a program."""
    inside = relative.partition("/site-packages/")[2] or relative
    return inside.partition("/")[0].partition(".")[0] or "the environment", inside


def _upper(here: str, relative: str, inside: str) -> str:
    """Return the folder whose loss ``record_file.missing_uppers`` detects."""
    site = relative[: len(relative) - len(inside)]
    return os.path.join(here, site, *inside.split("/")[:2])


def suspects(path: str) -> Optional[Set[str]]:
    """Return the paths of files that changed since it was built; None if their state was not recorded."""
    if not os.path.lexists(os.path.join(path, FILES)):
        return None
    found = manifest.verify(os.path.join(path, FILES), False, path)
    if any(each.kind in (manifest.ALTERED, manifest.UNREADABLE) and not each.path for each in found):
        return None
    return {each.path for each in found if each.kind not in (manifest.CLOSED, manifest.UNREAD)}
