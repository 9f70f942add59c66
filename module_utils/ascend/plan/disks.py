# SPDX-License-Identifier: Apache-2.0
"""What forbids a change because of the file systems that it writes to: read-only, too little room, too few files."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Tuple

from ansible.module_utils.ascend.plan.forms import Facts, Refusal, Step, Wanted, refusal

RECORD_DIR = "/etc/Ascend"  # the toolkit's installer writes its record there, whatever CANN's place is

# Which places a step fills, by the names that release.yml gives their needs (disk_mb).
_FILLED = {"toolkit": ("cann", "tmp", "cache"), "kernels": ("cann", "tmp", "cache"), "environment": ("env",)}
# Which places a step writes to. Every change keeps its lock and its journal in "state".
_WRITTEN = {
    "python": ("env", "cache", "state"),
    "toolkit": ("cann", "tmp", "cache", "state", "record"),
    "kernels": ("cann", "tmp", "cache", "state"),
    "environment": ("env", "cache", "state"),
    "source": ("env", "cache", "state"),
    "ascend-env": ("program", "state"),
    "current": ("env", "state"),
}
# How many files there will be, at least: a toolkit with its kernels has 25,000, and so has an environment.
_FILES = {"cann": 25000, "tmp": 2000, "cache": 100, "env": 25000}

Disk = Dict[str, Any]


def disks(found: Facts, wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    """Return the refusals; a file system that the steps do not write to may be as it likes."""
    refusals = []
    for disk, _, paths in _file_systems(found, wanted, steps, _WRITTEN):
        if disk.get("read_only"):
            refusals.append(_read_only(disk, paths))
    for disk, places, paths in _file_systems(found, wanted, steps, _FILLED):
        refusals += _room(disk, sum(_need_mb(wanted, place, steps) for place in places), paths)
        refusals += _inodes(disk, sum(_FILES[place] for place in places), paths)
    return refusals


def _file_systems(
    found: Facts, wanted: Wanted, steps: List[Step], table: Dict[str, Tuple[str, ...]]
) -> List[Tuple[Disk, List[str], List[str]]]:
    """Return (facts, places, their paths) of each file system; places on one share what it has.

    A place of which the facts do not speak is not judged. One file system may be mounted read-only here and not there.
    """
    where = {"record": RECORD_DIR, "program": os.path.dirname(wanted["ascend_env"]["path"]), **wanted["places"]}
    together: Dict[Any, Tuple[Disk, List[str], List[str]]] = {}
    for place in sorted({place for step in steps for place in table.get(step["component"], ())}):
        disk = found["system"]["disk"].get(where.get(place))
        if disk:
            key = (disk["device"], disk.get("read_only"))
            _, places, paths = together.setdefault(key, (disk, [], []))
            places.append(place)
            paths.append(where[place])
    return [(disk, places, sorted(set(paths))) for disk, places, paths in together.values()]


def _read_only(disk: Disk, paths: List[str]) -> Refusal:
    measured = str(disk.get("path_measured") or paths[0])
    return refusal(
        "system",
        "read-only",
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
    """The release's figure; for the cache what the packages have in the depot, where that is more."""
    need = int(wanted["disk_mb"][place])
    if place != "cache":
        return need
    packages = {step["component"] for step in steps} & {"toolkit", "kernels"}
    size = sum(int(wanted[package].get("size_bytes") or 0) for package in packages)
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
