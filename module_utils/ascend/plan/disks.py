# SPDX-License-Identifier: Apache-2.0
"""What forbids a change because of the file systems that it uses: read-only, noexec, too little room, too few files.

And what the operator is told of a file system on which nothing is to be changed: the next repair cannot run there, and
training ends with "No space left on device".
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, Tuple

from ansible.module_utils.ascend.plan.forms import Facts, Refusal, Step, Wanted, refusal

RECORD_DIR = "/etc/Ascend"  # the toolkit's installer writes its record there, whatever CANN's place is

# Which places a step fills, by the names that release.yml gives their needs (disk_mb).
_FILLED = {"toolkit": ("cann", "tmp", "cache"), "kernels": ("cann", "tmp", "cache"), "environment": ("env",)}
# Which places a step writes to. Every change keeps its lock and its journal in "state".
_WRITTEN = {
    "python": ("env", "cache", "state"),
    "toolkit": ("cann", "tmp", "cache", "state", "record"),
    "kernels": ("cann", "tmp", "cache", "state"),
    "latest": ("cann", "tmp", "state"),
    "environment": ("env", "cache", "state"),
    "source": ("env", "cache", "state"),
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
_FILES = {"cann": 25000, "tmp": 2000, "cache": 100, "env": 25000}
# Where training writes, beside the users' own folders.
_TRAINING = {"/tmp": "/tmp", "/var/tmp": "/var/tmp", "/dev/shm": "/dev/shm"}
# A file system is nearly full with less than this, or than a tenth of it where it is small: one in memory for /tmp.
LOW_MB = 1024
LOW_PART = 10
LOW_FILES = 1000
UNREAD = -1  # the device of a file system that answers with an error (system.py)

Disk = Dict[str, Any]
FileSystem = Tuple[Disk, List[str], List[str]]  # facts, places, their paths


def disks(found: Facts, wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    """Return the refusals; a file system that the steps do not use may be as it likes."""
    refusals = []
    for disk, places, paths in _file_systems(found, wanted, _of(steps, _STARTED), "noexec"):
        if disk.get("noexec"):
            refusals.append(_noexec("noexec", disk, places, paths))
    for disk, _, paths in _file_systems(found, wanted, _of(steps, _WRITTEN), "read_only"):
        if disk.get("read_only"):
            refusals.append(_read_only("read-only", disk, paths))
    for disk, places, paths in _file_systems(found, wanted, _of(steps, _FILLED), "read_only"):
        refusals += _room(disk, sum(_need_mb(wanted, place, steps) for place in places), paths)
        refusals += _inodes(disk, sum(_FILES[place] for place in places), paths)
    return refusals


def nearly_full(found: Facts, wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    """Return the warnings: what keeps the next repair from running, or training. What is refused is not told twice."""
    refused = {path for each in disks(found, wanted, steps) for path in each["subject"].split(", ")}
    written = [place for places in _WRITTEN.values() for place in places]
    started = [place for places in _STARTED.values() for place in places]
    told: List[Refusal] = []
    for disk, _, paths in _file_systems(found, wanted, [*written, *_TRAINING], "read_only"):
        if refused.isdisjoint(paths):
            told += _state(disk, paths)
    for disk, places, paths in _file_systems(found, wanted, started, "noexec"):
        if disk.get("noexec") and refused.isdisjoint(paths):
            told.append(_noexec("mounted-noexec", disk, places, paths))
    return told


def _state(disk: Disk, paths: List[str]) -> List[Refusal]:
    """One of them at a time: a disk that failed is read-only because of that, and a full one has no inodes either."""
    listed = ", ".join(paths)
    there = str(disk.get("path_measured") or paths[0])
    total, inodes = disk.get("total_mb"), disk.get("free_inodes")
    if disk["device"] == UNREAD:
        problem, want, have = "the file system of %s answers with an error" % listed, "one that can be read", "an error"
        remedy = "dmesg | tail -n 30; findmnt -T %s  # then the disk's, or the file server's, service" % there
        return [refusal("system", "disk-error", problem, want, have, remedy, there, listed)]
    if disk.get("read_only"):
        return [_read_only("mounted-read-only", disk, paths)]
    low_mb = LOW_MB if total is None else min(LOW_MB, total // LOW_PART)
    if disk["free_mb"] < low_mb:
        problem = "the file system of %s is nearly full: the next repair cannot run, and training dies" % listed
        want, have = "%d MB free" % low_mb, "%d MB free" % disk["free_mb"]
        remedy = "df -h %s; du -xh --max-depth=2 %s | sort -h | tail  # then make room" % (there, there)
        return [refusal("system", "disk-low", problem, want, have, remedy, there, listed)]
    if inodes is not None and 0 <= inodes < LOW_FILES:
        problem = "hardly another file can be made in %s: the next repair cannot run, and training dies" % listed
        want, have = "%d free inodes" % LOW_FILES, "%d free inodes" % inodes
        remedy = "df -i %s; du -x --inodes --max-depth=2 %s | sort -n | tail  # then remove small files" % (
            there,
            there,
        )
        return [refusal("system", "inodes-low", problem, want, have, remedy, there, listed)]
    return []


def _of(steps: List[Step], table: Dict[str, Tuple[str, ...]]) -> List[str]:
    return [place for step in steps for place in table.get(step["component"], ())]


def _file_systems(found: Facts, wanted: Wanted, places: Iterable[str], option: str) -> List[FileSystem]:
    """Return each file system of the places; places on one share what it has.

    A place of which the facts do not speak is not judged. One file system may be mounted with ``option`` here and
    without it there.
    """
    program = os.path.dirname(wanted["ascend_env"]["path"])
    where = {"record": RECORD_DIR, "program": program, **_TRAINING, **wanted["places"]}
    together: Dict[Any, FileSystem] = {}
    for place in sorted(set(places)):
        disk = found["system"]["disk"].get(where.get(place))
        if disk:
            unread = disk["device"] == UNREAD  # which of them it is, nobody knows
            key = (disk["device"], where[place] if unread else disk.get(option))
            _, names, paths = together.setdefault(key, (disk, [], []))
            names.append(place)
            paths.append(where[place])
    return [(disk, names, sorted(set(paths))) for disk, names, paths in together.values()]


def _noexec(check: str, disk: Disk, places: List[str], paths: List[str]) -> Refusal:
    """The names of the variables come from the places: one disk may hold several."""
    names = [_VARIABLES[place] for place in places if place in _VARIABLES]
    elsewhere = "or name another place: %s in the inventory" % ", ".join(sorted(set(names)))
    measured = str(disk.get("path_measured") or paths[0])
    remount = "mount -o remount,exec $(findmnt -no TARGET -T %s)" % measured
    listed = ", ".join(paths)
    return refusal(
        "system",
        check,
        "programs are started from %s, and its file system is mounted noexec" % listed,
        "one mounted without noexec",
        "noexec",
        remount + ("  # " + elsewhere if names else ""),
        measured,
        listed,
    )


def _read_only(check: str, disk: Disk, paths: List[str]) -> Refusal:
    measured = str(disk.get("path_measured") or paths[0])
    return refusal(
        "system",
        check,
        "the file system of %s is read-only" % ", ".join(paths),
        "one that can be written to",
        "read-only",
        "findmnt -T %s; dmesg | tail -n 30  # an error of the disk? else: mount -o remount,rw on its TARGET" % measured,
        measured,
        ", ".join(paths),
    )


def _room(disk: Disk, need: int, paths: List[str]) -> List[Refusal]:
    if disk["free_mb"] >= need:
        return []
    listed = ", ".join(paths)
    remedy = "free some space or mount a larger disk there: df -h %s" % " ".join(paths)
    found = "%d MB free" % disk["free_mb"]
    problem = "too little room for %s" % listed
    return [refusal("system", "disk", problem, "%d MB free" % need, found, remedy, listed, listed)]


def _need_mb(wanted: Wanted, place: str, steps: List[Step]) -> int:
    """The release's figure; for the cache what the packages have in the depot, where that is more.

    A bundle (.zip) is unpacked beside itself there.
    """
    need = int(wanted["disk_mb"][place])
    if place != "cache":
        return need
    size = 0
    for package in {step["component"] for step in steps} & {"toolkit", "kernels"}:
        file = wanted[package]
        size += int(file.get("size_bytes") or 0) * (2 if str(file.get("url", "")).endswith(".zip") else 1)
    return max(need, -(-size // (1024 * 1024)))


def _inodes(disk: Disk, need: int, paths: List[str]) -> List[Refusal]:
    """A file system may have room, and no room for another file. -1: files are not counted there."""
    free = disk.get("free_inodes")
    if free is None or free < 0 or free >= need:
        return []
    listed = ", ".join(paths)
    remedy = "df -i %s  # remove folders of many small files there" % " ".join(paths)
    problem = "too few files can be made in %s" % listed
    found = "%d free inodes" % free
    return [refusal("system", "inodes", problem, "%d free inodes" % need, found, remedy, listed, listed)]
