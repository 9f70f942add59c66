# SPDX-License-Identifier: Apache-2.0
"""How much space things take, in blocks of the disk, and how much of it their removal frees.

A file with several names is freed with the last one; a name elsewhere keeps it.
"""

from __future__ import annotations

import os
import stat
from typing import Any, Dict, List, Tuple

from ..node import Node

BLOCK = 512  # bytes; the unit of st_blocks, whatever the file system's is (stat(2))
MB = 1024 * 1024

Names = Dict[Tuple[int, int], int]


def measure(node: Node, rows: List[Dict[str, Any]], freed: bool) -> float:
    """Set each row's ``size_mb``; return their sum. ``freed``: what removing all frees, in this order.

    Otherwise a file counts with its first name. Mounts below a row's path are not counted.
    """
    names: Names = {}
    total = 0
    for row in rows:
        size = _size(node.path(row["path"]), names, freed)
        row["size_mb"] = round(size / MB, 1)
        total += size
    return round(total / MB, 1)


def _size(path: str, names: Names, freed: bool) -> int:
    try:
        top = os.lstat(path)
    except OSError:
        return 0
    size = _counted(top, names, freed)
    folders = [path] if os.path.isdir(path) and not os.path.islink(path) else []
    while folders:
        try:
            entries = os.scandir(folders.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if status.st_dev != top.st_dev:
                    continue
                size += _counted(status, names, freed)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return size


def _counted(status: os.stat_result, names: Names, freed: bool) -> int:
    if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
        key = (status.st_dev, status.st_ino)
        names[key] = names.get(key, 0) + 1
        if names[key] != (status.st_nlink if freed else 1):
            return 0
    return status.st_blocks * BLOCK


def shown(size_mb: float) -> str:
    """Return a size in words: "4.6 GB", "37 MB"."""
    return "%.1f GB" % (size_mb / 1024) if size_mb >= 1000 else "%d MB" % round(size_mb)
