# SPDX-License-Identifier: Apache-2.0
"""What an installer put on the node, remembered, so that a lost or shortened file is seen later.

A manifest is JSON: ``{"schema": 1, "root": path, "files": {relative path: size in bytes or "-> target" of a link}}``.
"""

from __future__ import annotations

import json
import os
import stat
from typing import Dict, Iterable, List, Union

Entry = Union[int, str]


def record(root: str, tops: Iterable[str], path: str, without: Iterable[str] = ()) -> int:
    """Write to ``path`` every file and link below ``root``/<each of tops>; return how many. Written atomically.

    ``without`` are folders below ``root`` that are left out: they belong to another package.
    """
    foreign = tuple(folder + os.sep for folder in without)
    files: Dict[str, Entry] = {}
    for top in tops:
        for relative in _walk(root, top):
            if relative.startswith(foreign):
                continue
            entry = _entry(os.path.join(root, relative))
            if entry is not None:
                files[relative] = entry
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    partial = path + ".part"
    with open(partial, "w", encoding="utf-8") as stream:
        json.dump({"schema": 1, "root": root, "files": files}, stream, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)
    return len(files)


def verify(path: str) -> List[str]:
    """Return in words what differs from the manifest at ``path``; empty when nothing does or there is no manifest.

    A manifest that cannot be read is a difference: what it held is not known to be there.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            manifest = json.load(stream)
        root, files = manifest["root"], manifest["files"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        return ["manifest %s is unreadable: %s" % (path, error)]
    problems = []
    for relative in sorted(files):
        problem = _difference(relative, _entry(os.path.join(root, relative)), files[relative])
        if problem:
            problems.append(problem)
    return problems


def _difference(relative: str, found: Union[Entry, None], wanted: Entry) -> str:
    if found == wanted:
        return ""
    if found is None:
        return "missing %s" % relative
    if isinstance(found, int) and isinstance(wanted, int):
        return "%s has %d bytes, not %d" % (relative, found, wanted)
    return "%s is %s, not %s" % (relative, found, wanted)


def _entry(path: str) -> Union[Entry, None]:
    """Return the size of a file, "-> target" of a link, None for what is neither or absent."""
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return "-> " + os.readlink(path)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _walk(root: str, top: str) -> Iterable[str]:
    start = os.path.join(root, top)
    if os.path.islink(start) or os.path.isfile(start):
        yield top
        return
    for folder, folders, names in os.walk(start):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in names + links:
            # Written by Python when it runs, not by the installer: their sizes change with the interpreter.
            if not name.endswith(".pyc"):
                yield os.path.relpath(os.path.join(folder, name), root)
