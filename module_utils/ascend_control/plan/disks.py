# SPDX-License-Identifier: Apache-2.0
"""What forbids a change because of its file systems: read-only, noexec, too little space, too few inodes.

Also warnings about a file system on which nothing changes: the next repair cannot run there, and training ends with "No
space left on device".
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ...ascend.finding import Refusal, refusal
from ...ascend.places import ETC
from .asked import Wanted
from .components import Step, names_of
from .found import Disk, Found

# Which places a step fills, by the names that release.yml gives their needs (disk_mb).
_FILLED = {"toolkit": ("cann", "tmp", "cache"), "kernels": ("cann", "tmp", "cache"), "environment": ("env", "wheels")}
# Which places a step writes to. Every change keeps its lock and its journal in "state".
_WRITTEN = {
    "python": ("env", "cache", "state"),
    "toolkit": ("cann", "tmp", "cache", "state", "record"),
    "kernels": ("cann", "tmp", "cache", "state"),
    "latest": ("cann", "tmp", "state"),
    "environment": ("env", "cache", "state"),
    "source": ("env", "cache", "state"),
    "examples": ("env", "state"),
    "ascend-env": ("program", "state"),
    "rights": ("env", "state"),
    "current": ("env", "state"),
}
# From which places a step, or what it installs, starts programs: noexec forbids shared libraries there as well. The
# installers start what they unpack in "tmp", uv is started from "cache".
_STARTED = {
    "python": ("env",),
    "toolkit": ("cann", "tmp", "env"),
    "kernels": ("cann", "tmp", "env"),
    "environment": ("env", "cache", "cann"),
    "source": ("env", "cache"),
    "ascend-env": ("program",),
    "current": ("env", "cann"),
}
# The variable that names another place; those without one are fixed.
_VARIABLES = {
    "cann": "cann_root",
    "tmp": "ascend_tmp_dir",
    "env": "ascend_root",
    "cache": "ascend_cache_dir",
    "state": "ascend_state_dir",
}
# How many files there will be, at least: a toolkit with its kernels has 25,000, and so has an environment.
_FILES = {"cann": 25000, "tmp": 2000, "cache": 100, "env": 25000, "wheels": 200}
# Where training writes, beside the users' own folders.
_TRAINING = {"/tmp": "/tmp", "/var/tmp": "/var/tmp", "/dev/shm": "/dev/shm"}
# A file system is nearly full with less than this, or than a tenth of it where it is small: one in memory for /tmp.
LOW_MB = 1024
LOW_PART = 10
LOW_FILES = 1000
MB = 1024 * 1024
UNREAD = -1  # the device of a file system that answers with an error (system.py)

FileSystem = tuple[Disk, list[str], list[str]]  # facts, places, their paths


def disks(found: Found, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Return the refusals; file systems that the steps do not use are ignored."""
    refusals = []
    for disk, places, paths in _file_systems(found, wanted, _of(steps, _STARTED), "noexec"):
        if disk.noexec:
            refusals.append(_noexec("noexec", disk, places, paths))
    for disk, _, paths in _file_systems(found, wanted, _of(steps, _WRITTEN), "read_only"):
        if disk.read_only:
            refusals.append(_read_only("read-only", disk, paths))
    for disk, places, paths in _file_systems(found, wanted, _of(steps, _FILLED), "read_only"):
        refusals += _room(disk, sum(_need_mb(wanted, place, steps) for place in places), paths)
        refusals += _inodes(disk, sum(_FILES[place] for place in places), paths)
    return refusals


def nearly_full(found: Found, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Return the warnings about what will prevent the next repair or training. Refusals are not repeated."""
    refused = {path for each in disks(found, wanted, steps) for path in each["subject"].split(", ")}
    written = [place for places in _WRITTEN.values() for place in places]
    started = [place for places in _STARTED.values() for place in places]
    found_full: list[Refusal] = []
    for disk, _, paths in _file_systems(found, wanted, [*written, *_TRAINING], "read_only"):
        if refused.isdisjoint(paths):
            found_full += _state(disk, paths)
    for disk, places, paths in _file_systems(found, wanted, started, "noexec"):
        if disk.noexec and refused.isdisjoint(paths):
            found_full.append(_noexec("mounted-noexec", disk, places, paths))
    return found_full


def _state(disk: Disk, paths: list[str]) -> list[Refusal]:
    """Only one of them at a time, because a failed disk is also read-only, and a full one also has no inodes."""
    listed = ", ".join(paths)
    measured = disk.path_measured or paths[0]
    total, inodes = disk.total_mb, disk.free_inodes
    if disk.device == UNREAD:
        problem, want, have = f"the file system of {listed} returns errors", "a readable file system", "an error"
        remedy = f"dmesg | tail -n 30; findmnt -T {measured}  # then have the disk or the file server serviced"
        return [refusal("system", "disk-error", problem, want, have, remedy, measured, listed)]
    if disk.read_only:
        return [_read_only("mounted-read-only", disk, paths)]
    low_mb = LOW_MB if total is None else min(LOW_MB, total // LOW_PART)
    if disk.free_mb < low_mb:
        problem = f"the file system of {listed} is nearly full: the next repair cannot run, and training dies"
        want, have = f"{low_mb} MB free", f"{disk.free_mb} MB free"
        remedy = f"df -h {measured}; du -xh --max-depth=2 {measured} | sort -h | tail  # then make room"
        return [refusal("system", "disk-low", problem, want, have, remedy, measured, listed)]
    if inodes is not None and 0 <= inodes < LOW_FILES:
        problem = f"the file system of {listed} is nearly out of inodes: the next repair cannot run, and training dies"
        want, have = f"{LOW_FILES} free inodes", f"{inodes} free inodes"
        remedy = (
            f"df -i {measured}; du -x --inodes --max-depth=2 {measured} | sort -n | tail  # then remove small files"
        )
        return [refusal("system", "inodes-low", problem, want, have, remedy, measured, listed)]
    return []


def _of(steps: list[Step], table: dict[str, tuple[str, ...]]) -> list[str]:
    return [place for step in steps for place in table.get(step["component"], ())]


def _file_systems(found: Found, wanted: Wanted, places: Iterable[str], option: str) -> list[FileSystem]:
    """Return each file system of the places; places on the same one share its space.

    Places without facts are not judged. One file system may be mounted with ``option`` in one place and without it in
    another.
    """
    program = os.path.dirname(wanted.ascend_env.path)
    where = {
        "record": ETC,
        "program": program,
        **_TRAINING,
        **asdict(wanted.places),
        "cann": _cann_place(found, wanted),
    }
    where |= {"wheels": wanted.places.cache} if _are_sent(found, wanted) else {}
    together: dict[Any, FileSystem] = {}
    for place in sorted(set(places)):
        disk = found.system.disk.get(where[place]) if place in where else None
        if disk:
            unread = disk.device == UNREAD  # which of them it is, nobody knows
            key = (disk.device, where[place] if unread else getattr(disk, option))
            _, names, paths = together.setdefault(key, (disk, [], []))
            names.append(place)
            paths.append(where[place])
    return [(disk, names, sorted(set(paths))) for disk, names, paths in together.values()]


def _cann_place(found: Found, wanted: Wanted) -> str:
    """Return the place whose disk CANN will use: the folder beside has its own disk, or the root's."""
    return wanted.cann_base if wanted.cann_base in found.system.disk else wanted.places.cann


def _noexec(name: str, disk: Disk, places: list[str], paths: list[str]) -> Refusal:
    """The names of the variables come from the places, because one disk may have several."""
    names = [_VARIABLES[place] for place in places if place in _VARIABLES]
    elsewhere = f"or set another place: {', '.join(sorted(set(names)))} in the inventory"
    measured = disk.path_measured or paths[0]
    remount = f"mount -o remount,exec $(findmnt -no TARGET -T {measured})"
    listed = ", ".join(paths)
    return refusal(
        "system",
        name,
        f"programs start from {listed}, but its file system is mounted noexec",
        "a file system mounted without noexec",
        "noexec",
        remount + ("  # " + elsewhere if names else ""),
        measured,
        listed,
    )


def _read_only(name: str, disk: Disk, paths: list[str]) -> Refusal:
    measured = disk.path_measured or paths[0]
    return refusal(
        "system",
        name,
        f"the file system of {', '.join(paths)} is read-only",
        "a writable file system",
        "read-only",
        f"findmnt -T {measured}; dmesg | tail -n 30  # a disk error? if not: mount -o remount,rw on its TARGET",
        measured,
        ", ".join(paths),
    )


def _room(disk: Disk, need: int, paths: list[str]) -> list[Refusal]:
    if disk.free_mb >= need:
        return []
    listed = ", ".join(paths)
    remedy = f"df -h {' '.join(paths)}  # free some space, or mount a larger disk there"
    found = f"{disk.free_mb} MB free"
    problem = f"too little room for {listed}"
    return [refusal("system", "disk", problem, f"{need} MB free", found, remedy, listed, listed)]


def _need_mb(wanted: Wanted, place: str, steps: list[Step]) -> int:
    """The release's figure; for the cache the packages' size in the depot, if that is more.

    A bundle (.zip) is unpacked beside itself there.
    """
    if place == "wheels":
        return -(-wanted.environment.wheels_bytes // MB)
    need = int(wanted.disk_mb[place])
    if place != "cache":
        return need
    size = 0
    todo = names_of(steps)
    for name, file in (("toolkit", wanted.toolkit), ("kernels", wanted.kernels)):
        if name in todo:
            size += file.size_bytes * (2 if file.url.endswith(".zip") else 1)
    return max(need, -(-size // MB))


def _are_sent(found: Found, wanted: Wanted) -> bool:
    """Whether wheels are sent to the node. For a repair they may be there already; sending checks the space."""
    return bool(wanted.environment.wheels_bytes) and wanted.environment.name not in found.environments.all


def _inodes(disk: Disk, need: int, paths: list[str]) -> list[Refusal]:
    """A file system may have space but no inode left. -1: files are not counted there."""
    free = disk.free_inodes
    if free is None or free < 0 or free >= need:
        return []
    listed = ", ".join(paths)
    remedy = f"df -i {' '.join(paths)}  # remove folders of many small files there"
    problem = f"the file system of {listed} has too few free inodes"
    found = f"{free} free inodes"
    return [refusal("system", "inodes", problem, f"{need} free inodes", found, remedy, listed, listed)]
