# SPDX-License-Identifier: Apache-2.0
"""Where file systems are mounted, for one process's view of the machine: proc(5), /proc/<pid>/mountinfo.

Two containers may see one file under two names, or two files under one; the file system's device and the path in it
identify a file for all.
"""

from __future__ import annotations

import os
import re
from typing import List, NamedTuple, Tuple

from . import files


class Mount(NamedTuple):
    """The folder ``root`` of the file system ``device`` ("8:1") of a ``kind`` ("ext4") is seen at ``point``."""

    point: str
    device: str
    root: str
    kind: str = ""


def read(path: str) -> List[Mount]:
    """Return the mounts in a mountinfo file, in its order; of two at one point the later one is visible."""
    found = []
    for line in (files.text(path) or "").splitlines():
        fields = line.split(" ")
        if len(fields) > 5:
            kind = fields[fields.index("-") + 1 :][:1] if "-" in fields else []
            found.append(Mount(_plain(fields[4]), fields[2], _plain(fields[3]), "".join(kind)))
    return found


def of(mounts: List[Mount], path: str) -> Mount:
    """Return the mount that contains an absolute path, judged only by the names; an empty one if none is known."""
    best = Mount("", "", "")
    for mount in mounts:
        if files.is_in(path, mount.point) and len(mount.point) >= len(best.point):
            best = mount
    return best


def place(mounts: List[Mount], path: str) -> Tuple[str, str]:
    """Return (device, path in its file system) of an absolute path; ("", path) if no mount is known."""
    best = of(mounts, path)
    return best.device, _joined(best.root, path[len(best.point.rstrip("/")) :]) if best.point else path


def seen_at(mounts: List[Mount], device: str, path: str) -> List[str]:
    """Return the paths at which a folder of a file system, or a part of it, is mounted."""
    found = []
    for mount in mounts:
        if mount.device != device:
            continue
        if files.is_in(path, mount.root):
            found.append(_joined(mount.point, path[len(mount.root.rstrip("/")) :]))
        elif files.is_in(mount.root, path):
            found.append(mount.point)
    return found or ([] if device else [path])


def within(mounts: List[Mount], folder: str) -> List[str]:
    """Return where something is mounted at or below a folder; its files do not belong to the folder."""
    return sorted({mount.point for mount in mounts if files.is_in(mount.point, folder)})


def _joined(folder: str, rest: str) -> str:
    return os.path.join(folder, rest.lstrip("/")).rstrip("/") or "/"


def _plain(text: str) -> str:
    r"""A blank is written ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)
