# SPDX-License-Identifier: Apache-2.0
"""Which processes use a folder: what they run, have open or mapped, their working folder, and their arguments.

A Python of an environment that has loaded nothing from it yet shows only in its command line and its variables, like a
shell below ``ascend-env`` between two trainings. Needs root to see other users' processes.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .. import files, mounts
from ..mounts import Mount
from ..node import Node
from ..npu.processes import described

# Variables by which a program finds its libraries; PWD and the like only tell where a shell once was.
_NAMES = r"PATH|VIRTUAL_ENV|LD_LIBRARY_PATH|LD_PRELOAD|PYTHON[A-Z]+|ASCEND_\w+|TOOLCHAIN_HOME"
_VARIABLES = re.compile(r"(?:%s)=(.*)" % _NAMES, re.DOTALL)
_DELETED = " (deleted)"

Process = Dict[str, Any]


class _View(NamedTuple):
    """How the processes of one mount namespace see the machine, and the names that the folders have there."""

    mounts: List[Mount]
    names: List[Tuple[str, str]]  # (path seen there, folder)


def users(node: Node, folders: List[str]) -> Dict[str, List[Process]]:
    """Return the processes that use each of the folders; unused folders are left out.

    A process is ``{"pid", "name", "user", "command", "container", "how"}``: ``how`` is exe, cwd, root, mounted, mapped,
    open, command or environment. One that ends meanwhile uses nothing.
    """
    proc = node.path("/proc")
    own = mounts.read(os.path.join(proc, "self", "mountinfo"))
    places = {folder: mounts.place(own, os.path.realpath(node.path(folder))) for folder in folders}
    here = files.link(os.path.join(proc, "self", "ns", "mnt"))
    views: Dict[Any, _View] = {here: _view(own, places)}
    found: Dict[str, List[Process]] = {}
    for pid in sorted(int(name) for name in files.names(proc) if name.isdigit()):
        folder = os.path.join(proc, str(pid))
        space = files.link(os.path.join(folder, "ns", "mnt")) or here
        if space not in views:
            views[space] = _view(mounts.read(os.path.join(folder, "mountinfo")) or own, places)
        for used, how in sorted(_used(folder, views[space], places, space != here).items()):
            found.setdefault(used, []).append(dict(described(node, pid), how=how))
    return found


def _view(mounted: List[Mount], places: Dict[str, Tuple[str, str]]) -> _View:
    names = [(name, folder) for folder, place in places.items() for name in mounts.seen_at(mounted, *place)]
    return _View(mounted, names)


def _used(process: str, view: _View, places: Dict[str, Tuple[str, str]], foreign: bool) -> Dict[str, str]:
    """Return folder -> how it is used, for those folders that the process uses."""
    found: Dict[str, str] = {}
    if foreign:  # what is mounted into a container alone is used by it, whether a file is open or not
        for point in {mount.point: mount for mount in view.mounts}.values():
            for folder, place in places.items():
                if point.device == place[0] and files.is_in(point.root, place[1]):
                    found[folder] = "mounted"
    for how, path in _paths(process, [name for name, _folder in view.names]):
        for name, folder in view.names:
            if folder in found or not files.is_in(path, name):
                continue
            device, inside = mounts.place(view.mounts, path)
            if device == places[folder][0] and files.is_in(inside, places[folder][1]):
                found[folder] = how
    return found


def _paths(process: str, names: List[str]) -> Iterator[Tuple[str, str]]:
    """Yield (how, path) of a process's files, as it sees them; texts are split if they contain a name."""
    for how in ("exe", "cwd", "root"):
        yield how, _alive(files.link(os.path.join(process, how)))
    text = files.text(os.path.join(process, "maps")) or ""
    if any(name in text for name in names):
        for path in {line.split(None, 5)[5] for line in text.splitlines() if line.count("/")}:
            yield "mapped", _alive(path)
    folder = os.path.join(process, "fd")
    for number in files.names(folder):
        yield "open", _alive(files.link(os.path.join(folder, number)))
    text = files.text(os.path.join(process, "cmdline")) or ""
    if any(name in text for name in names):
        for word in re.split("[\0=,:]", text):
            yield "command", word
    text = files.text(os.path.join(process, "environ")) or ""
    if any(name in text for name in names):
        for variable in text.split("\0"):
            match = _VARIABLES.match(variable)
            for word in match.group(1).split(":") if match else ():
                yield "environment", word


def _alive(path: Optional[str]) -> str:
    """A removed file can still be in use; its name shows where it was."""
    path = path or ""
    return path[: -len(_DELETED)] if path.endswith(_DELETED) else path
