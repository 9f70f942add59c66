# SPDX-License-Identifier: Apache-2.0
"""Read the operating system of a node: architecture, C library, limits, room on disk, owners of CANN's folders."""

from __future__ import annotations

import os
import platform
import re
import resource
import stat
import time
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence

from . import files, needs, ssh_certificate
from .errors import AscendError
from .node import Node
from .settings import node_settings

if TYPE_CHECKING:
    from .shapes import Disk, Folder, System

# What the runtimes leave: Docker's and podman's own files, and words in the path of the first process's control group.
_CONTAINER_FILES = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
_CONTAINER_GROUPS = ("kubepods", "docker", "containerd", "libpod", "lxc")
# Of a training job: open files and processes of its data loaders, memory that devices read, stacks of its threads.
_LIMITS = {
    "nofile": resource.RLIMIT_NOFILE,
    "nproc": resource.RLIMIT_NPROC,
    "memlock": resource.RLIMIT_MEMLOCK,
    "stack": resource.RLIMIT_STACK,
}
UNLIMITED = -1
UNREAD = -1  # the device of a file system that answers with an error
MB = 1024 * 1024
DISK_S = 20.0  # for what a file system says of itself: none that can be worked with takes as long
_SETTING = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
# Programs that keep the clock, as the kernel cuts their names: by the network (NTP), and by a clock of the card (PTP).
_KEEPERS = (
    "chronyd",
    "ntpd",
    "systemd-timesyn",
    "ptp4l",
    "phc2sys",
    "ts2phc",
    "timemaster",
    "ptpd",
    "ptpd2",
    "sfptpd",
    "sptp",
)
_SYNCHRONISED = {"yes": True, "no": False}  # what systemd prints, since 239


def read_system(
    node: Node, installed_to: str, places: List[str], timeout_s: float, kernel_settings: Sequence[str] = ()
) -> System:
    """Return the facts of the subset ``system``; ``places`` are the paths whose free space is wanted.

    ``installed_to`` is the innermost folder that CANN's installers may be given; they check it and its parents.

    ``kernel_settings`` are sysctl's names; raises AscendError if one is invalid.
    """
    release = files.pairs(files.text(node.path("/etc/os-release")))
    synchronised = _time_synchronised(node, timeout_s)
    return {
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "glibc": _glibc(),
        "distribution": release.get("ID"),
        "distribution_version": release.get("VERSION_ID"),
        "container": _container(node),
        "disk": {place: _disk(node, place) for place in places},
        "paths": [_path(node, path) for path in _and_parents(installed_to)],
        "limits": limits(),
        "kernel_settings": {name: _kernel_setting(node, name) for name in kernel_settings},
        **node_settings.read(node),
        "lacking": needs.lacking(node),
        "package_manager": needs.manager(node),
        "time_synchronised": synchronised,
        "time_keepers": [] if synchronised else _time_keepers(node),
        "time_s": int(time.time()),
        **ssh_certificate.facts(node),
    }


def _container(node: Node) -> Optional[str]:
    """Return the runtime of the container that this is, or None on bare metal."""
    for path, runtime in _CONTAINER_FILES.items():
        if os.path.exists(node.path(path)):
            return runtime
    groups = files.text(node.path("/proc/1/cgroup")) or ""
    return next((word for word in _CONTAINER_GROUPS if word in groups), None)


def _disk(node: Node, place: str) -> Disk:
    """Return the space where ``place`` is or will be: free MB for root's use and the file system's device number.

    ``read_only`` and ``noexec`` are the mount's; ``free_inodes`` is -1 if files are not counted. A file system that
    answers with an error (a stale NFS) has 0 MB, and the rest is unknown.
    """
    path = place
    node.at(place, DISK_S)
    try:
        while path != "/" and not _exists(node.path(path)):
            path = os.path.dirname(path)
        room = os.statvfs(node.path(path))
        device = os.stat(node.path(path)).st_dev
    except OSError:
        return {
            "path_measured": path,
            "free_mb": 0,
            "total_mb": None,
            "device": UNREAD,
            "read_only": None,
            "noexec": None,
            "free_inodes": None,
        }
    return {
        "path_measured": path,
        "free_mb": room.f_bavail * room.f_frsize // MB,
        "total_mb": room.f_blocks * room.f_frsize // MB,
        "device": device,
        "read_only": bool(room.f_flag & os.ST_RDONLY),
        "noexec": bool(room.f_flag & os.ST_NOEXEC),
        "free_inodes": room.f_favail if room.f_files else UNLIMITED,
    }


def _exists(path: str) -> bool:
    """Whether something exists. A mount that answers with an error does: its parent is another disk."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _path(node: Node, path: str) -> Folder:
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


def limits() -> Dict[str, List[int]]:
    """Return the soft and the hard limits of the session in which this runs, -1 for unlimited."""
    return {name: [_limit(value) for value in resource.getrlimit(number)] for name, number in _LIMITS.items()}


def _limit(value: int) -> int:
    return UNLIMITED if value == resource.RLIM_INFINITY else value


def _kernel_setting(node: Node, name: str) -> Optional[str]:
    """Return a setting's value, several numbers separated by one blank; None if the kernel has no such setting."""
    if not _SETTING.fullmatch(name):
        raise AscendError(
            "not the name of a kernel setting",
            wanted="a name such as vm.max_map_count",
            found=repr(name),
            remedy="sysctl -a  # lists the names",
        )
    return node_settings.kernel_setting(node, name)


def _time_synchronised(node: Node, timeout_s: float) -> Optional[bool]:
    """Return whether something keeps the clock in step, as systemd knows it; None if it does not say."""
    program = node.find("timedatectl")
    if not program:
        return None
    result = node.run([program, "show", "--property=NTPSynchronized", "--value"], timeout_s)
    return _SYNCHRONISED.get(result.output.strip()) if result.code == 0 else None


def _time_keepers(node: Node) -> List[str]:
    """Return which programs that keep clocks are running, because systemd does not know those that use PTP."""
    processes = (name for name in files.names(node.path("/proc")) if name.isdigit())
    names = {(files.text(node.path("/proc/%s/comm" % process)) or "").strip() for process in processes}
    return [name for name in _KEEPERS if name in names]
