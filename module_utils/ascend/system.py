# SPDX-License-Identifier: Apache-2.0
"""Read the operating system of a node: architecture, C library, room on disk, owners of CANN's directories."""

from __future__ import annotations

import os
import platform
import stat
from typing import Any, Dict, List, Optional


def read_system(cann_root: str, places: List[str]) -> Dict[str, Any]:
    """Return the facts of the subset ``system``; ``places`` are the paths whose free space is wanted."""
    release = _os_release()
    return {
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "glibc": _glibc(),
        "distribution": release.get("ID"),
        "distribution_version": release.get("VERSION_ID"),
        "disk": {place: _disk(place) for place in places},
        "paths": [_path(path) for path in _and_parents(cann_root)],
    }


def _disk(place: str) -> Dict[str, Any]:
    """Return the room where ``place`` lies or will lie: free MB for root's use and the file system's device number."""
    path = place
    while not os.path.exists(path):
        path = os.path.dirname(path)
    room = os.statvfs(path)
    return {
        "path_measured": path,
        "free_mb": room.f_bavail * room.f_frsize // (1024 * 1024),
        "device": os.stat(path).st_dev,
    }


def _path(path: str) -> Dict[str, Any]:
    try:
        status = os.stat(path)
    except OSError:
        return {"path": path, "exists": False, "uid": None, "mode": None}
    return {"path": path, "exists": True, "uid": status.st_uid, "mode": "%04o" % stat.S_IMODE(status.st_mode)}


def _and_parents(path: str) -> List[str]:
    paths = [path]
    while os.path.dirname(paths[-1]) != paths[-1]:
        paths.append(os.path.dirname(paths[-1]))
    return paths


def _glibc() -> Optional[str]:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (OSError, ValueError):
        return None  # another C library
    return version if name == "glibc" else None


def _os_release() -> Dict[str, str]:
    pairs = {}
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                key, equals, value = line.strip().partition("=")
                if equals:
                    pairs[key] = value.strip("\"'")
    except OSError:
        return {}
    return pairs
