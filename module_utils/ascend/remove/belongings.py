# SPDX-License-Identifier: Apache-2.0
"""What users have in an environment or in a CANN version, which no removal may delete unasked.

Results of training are in a checkout (``src/LLaMA-Factory/saves``), edits beside it (``edited/``), custom operators in
CANN (``opp/vendors``). What Python writes when it runs does not count.
"""

from __future__ import annotations

import fnmatch
import os
from typing import List, Set, Tuple

from .. import files, manifest
from ..cann import layout as cann_layout
from ..environment import build as environment, checkout, checkout_manifest, checkout_restore, read as environment_read

# What uv, wheels and this project put at an environment's top.
_OURS = ("bin", "include", "lib", "lib64", "share", "etc", "man", "pyvenv.cfg", "CACHEDIR.TAG", ".gitignore", ".lock")
_JOURNAL = "var"  # of CANN's installers, which is not in their manifest


def of_environment(here: str) -> List[str]:
    """Return the paths, relative to the environment, of what users have in it; a folder stands for its content."""
    own = (*environment.USERS, *_OURS, environment_read.CANN_HOME, ".ascend-fleet*", "*.part", "__pycache__")
    found = [
        name for name in files.names(here) if not _matches(name, own) and _contains_files(os.path.join(here, name))
    ]
    found += [checkout_restore.EDITED] if _contains_files(os.path.join(here, checkout_restore.EDITED)) else []
    above, name = os.path.split(environment.CHECKOUT)
    others = [other for other in files.names(os.path.join(here, above)) if other != name]
    found += [os.path.join(above, other) for other in others if _contains_files(os.path.join(here, above, other))]
    return found + [os.path.join(environment.CHECKOUT, path) for path in _of_checkout(here)]


def _of_checkout(here: str) -> List[str]:
    place = os.path.join(here, environment.CHECKOUT)
    if not os.path.lexists(place):
        return []
    manifest = checkout_manifest.load(os.path.join(here, checkout_manifest.MANIFEST % environment.NAME))
    if not manifest or os.path.islink(place):
        return [os.curdir]
    edited = [
        path for path in checkout_manifest.edits(place, manifest.files) if os.path.lexists(os.path.join(place, path))
    ]
    commit = checkout.commit(place)
    edited += [checkout_restore.GIT] if commit and commit != manifest.commit else []
    known = set(manifest.files)
    return edited + [path for path in _added(place, known, checkout_manifest.INSTALLED) if path not in edited]


def of_cann(state_dir: str, home: str, version: str) -> List[str]:
    """Return the paths, relative to a version's folder, of files that no installer put there."""
    names = ["toolkit"] + ["kernels-" + chip for chip in cann_layout.recorded_chips(state_dir, version)]
    known: Set[str] = set()
    for name in names:
        listed = manifest.paths(cann_layout.manifest_path(state_dir, name, version))
        if listed is None:
            return [os.curdir]
        known.update(listed)
    return _added(home, known, ("__pycache__", "*.pyc", _JOURNAL))


def _added(root: str, known: Set[str], without: Tuple[str, ...]) -> List[str]:
    """Return unknown paths below ``root``; a folder without known content counts as one path."""
    folders = set()
    for path in known:
        folder = os.path.dirname(path)
        while folder and folder not in folders:
            folders.add(folder)
            folder = os.path.dirname(folder)
    found = []
    for folder, inner, names in os.walk(root):
        inside = os.path.relpath(folder, root)
        within = []
        for name in sorted(inner + names):
            path = os.path.normpath(os.path.join(inside, name))
            if path in known or _matches(name, without):
                continue
            if path in folders and name in inner and not os.path.islink(os.path.join(folder, name)):
                within.append(name)
            elif _contains_files(os.path.join(folder, name)):
                found.append(path)
        inner[:] = within
    return found


def _contains_files(path: str) -> bool:
    """Whether it is or contains a file or a link; a folder that cannot be read may contain some."""
    if os.path.islink(path) or not os.path.isdir(path):
        return os.path.lexists(path)
    refused: List[OSError] = []
    for folder, inner, names in os.walk(path, onerror=refused.append):
        if names or any(os.path.islink(os.path.join(folder, name)) for name in inner):
            return True
    return bool(refused)


def _matches(name: str, patterns: Tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
