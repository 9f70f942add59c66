# SPDX-License-Identifier: Apache-2.0
"""Read the operating system of a node: architecture, C library, room on disk, owners of CANN's directories."""

from __future__ import annotations

import os
import platform
import stat
from typing import Any, Dict, List, Optional

from ansible.module_utils.ascend import files
from ansible.module_utils.ascend.node import Node

# What the runtimes leave: Docker's and podman's own files, and words in the path of the first process's control group.
_CONTAINER_FILES = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
_CONTAINER_GROUPS = ("kubepods", "docker", "containerd", "libpod", "lxc")


def read_system(node: Node, cann_root: str, places: List[str]) -> Dict[str, Any]:
    """Return the facts of the subset ``system``; ``places`` are the paths whose free space is wanted."""
    release = files.pairs(files.text(node.path("/etc/os-release")))
    return {
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "glibc": _glibc(),
        "distribution": release.get("ID"),
        "distribution_version": release.get("VERSION_ID"),
        "container": _container(node),
        "disk": {place: _disk(node, place) for place in places},
        "paths": [_path(node, path) for path in _and_parents(cann_root)],
    }


def _container(node: Node) -> Optional[str]:
    """Return the runtime of the container that this is, or None on bare metal."""
    for path, runtime in _CONTAINER_FILES.items():
        if os.path.exists(node.path(path)):
            return runtime
    groups = files.text(node.path("/proc/1/cgroup")) or ""
    return next((word for word in _CONTAINER_GROUPS if word in groups), None)


def _disk(node: Node, place: str) -> Dict[str, Any]:
    """Return the room where ``place`` lies or will lie: free MB for root's use and the file system's device number.

    A mount that answers with an error (a stale NFS) has no room that could be counted on: 0 MB.
    """
    path = place
    while not os.path.exists(node.path(path)) and path != "/":
        path = os.path.dirname(path)
    try:
        room = os.statvfs(node.path(path))
        device = os.stat(node.path(path)).st_dev
    except OSError:
        return {"path_measured": path, "free_mb": 0, "device": -1}
    return {"path_measured": path, "free_mb": room.f_bavail * room.f_frsize // (1024 * 1024), "device": device}


def _path(node: Node, path: str) -> Dict[str, Any]:
    try:
        status = os.stat(node.path(path))
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
