# SPDX-License-Identifier: Apache-2.0
"""Who uses the cards: processes that npu-smi names, or that have a device file open; owner and command from /proc."""

from __future__ import annotations

import os
import pwd
import re
import stat
from contextlib import suppress
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from .. import files
from ..masking import masked
from ..node import Node
from ..text import cut, one_line
from .npu_smi import Device, NpuSmiInfo, Process

SHOWN = 32  # processes in the facts; their count stands beside them
MOST_CHARACTERS = 100  # of a command line
# Not davinci_manager, nor hisi_hdc: what only watches the cards opens those. From outside, a container's /dev is seen
# as its own, or below its root.
_DEVICE_FILE = re.compile(r"/v?davinci([0-9]{1,4})(?: \(deleted\))?$")
_MEMORY = 1  # major number of /dev/null, /dev/zero, ... (the kernel's admin-guide/devices.txt)
# What a container's runtime writes into the path of a control group: 64 hexadecimal digits.
_CONTAINER = re.compile(r"[0-9a-f]{64}")


def read_processes(node: Node, listed: Iterable[Process]) -> List[Dict[str, Any]]:
    """Return npu-smi's processes, one entry per process, with the chips that it uses.

    ``{"pid", "name", "user", "command", "container", "chips": [[npu_id, chip_id, memory_mb], ...]}``; user and command
    are None if /proc has no such process, because it ended meanwhile or its number is another container's.
    """
    chips: Dict[int, List[List[Optional[int]]]] = {}
    names: Dict[int, str] = {}
    for process in listed:
        chips.setdefault(process.pid, []).append([process.npu_id, process.chip_id, process.memory_mb])
        names.setdefault(process.pid, process.name)
    return [{**described(node, pid, names[pid]), "chips": chips[pid]} for pid in sorted(chips)]


def read_file_users(node: Node) -> List[Dict[str, Any]]:
    """Return the processes that have /dev/davinci<N> open, in the same form; N stands for the NPU id.

    npu-smi does not report them if it hangs, fails or is too old, nor those of every container. Needs root; takes some
    6 us per open file on the node. In a container a device file may have another name, so the device itself decides.
    """
    devices = {_device(path): number for path, number in _device_files(node).items()}
    devices.pop(None, None)
    found: Dict[int, Set[int]] = {}
    for name in files.names(node.path("/proc")):
        if not name.isdigit():
            continue
        folder = node.path("/proc/%s/fd" % name)
        for number in files.names(folder):
            path = os.path.join(folder, number)
            device = _device_number(path, files.link(path) or "", devices)
            if device is not None:
                found.setdefault(int(name), set()).add(device)
    return [
        {**described(node, pid), "chips": [[device, None, None] for device in sorted(found[pid])]}
        for pid in sorted(found)
    ]


def _device_files(node: Node) -> Dict[str, int]:
    """Return the driver's device files of cards, with their numbers."""
    found = ((name, _DEVICE_FILE.search("/" + name)) for name in files.names(node.path("/dev")))
    return {node.path("/dev/" + name): int(match.group(1)) for name, match in found if match}


def _device(path: str) -> Optional[int]:
    """Return the kernel's number of the device; None for other files and memory devices (/dev/null masks a card)."""
    with suppress(OSError):
        status = os.stat(path)
        if stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) != _MEMORY:
            return status.st_rdev
    return None


def _device_number(path: str, target: str, devices: Dict[Optional[int], int]) -> Optional[int]:
    """Return the number of the driver's device that ``path`` of /proc has open, None if it is another file."""
    device = _device(path) if "/dev/" in target and devices else None
    if device in devices:
        return devices[device]
    match = _DEVICE_FILE.search(target)
    return int(match.group(1)) if match else None


def by_device(devices: Sequence[Device]) -> Dict[int, int]:
    """Return the NPU ids by the numbers of device files; empty if the table does not show which is which."""
    cards = [device.npu_id for device in devices]
    for numbers in ([device.phy_id for device in devices], [device.device_id for device in devices], cards):
        known = [number for number in numbers if number is not None]
        if len(set(known)) == len(cards):
            return dict(zip(known, cards))
    return {}


def with_cards(file_users: List[Dict[str, Any]], numbers: Dict[int, int]) -> List[Dict[str, Any]]:
    """Return the processes with NPU ids, if known, instead of the numbers of device files."""
    return [
        {**each, "chips": [[numbers.get(number, number), None, None] for number, _, _ in each["chips"]]}
        for each in file_users
    ]


def unclear(node: Node, info: Optional[NpuSmiInfo], answered: bool, file_users: List[Dict[str, Any]]) -> List[int]:
    """Return the NPU ids of cards that may be in use, because unknown is not idle.

    These are the cards that npu-smi reports as neither; all of them if it reports nothing, or if there is a process, or
    an unreadable row, of an unknown card.
    """
    if info is None or not info.devices:
        return sorted(set(_device_files(node).values()))
    chips: Dict[int, Set[Optional[int]]] = {}
    for device in info.devices:
        chips.setdefault(device.npu_id, {None}).add(device.chip_id)
    numbers = by_device(info.devices)
    lost = any(card not in chips for card in info.unread_processes)
    lost = lost or any(process.chip_id not in chips.get(process.npu_id, ()) for process in info.processes)
    lost = lost or any(chip[0] not in numbers for each in file_users for chip in each["chips"])
    if lost or not answered:
        return sorted(chips)
    spoken = set(info.idle).union(process.npu_id for process in info.processes)
    return sorted((set(chips) - spoken).union(card for card in info.unread_processes if card is not None))


def merged(listed: List[Dict[str, Any]], file_users: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the processes that npu-smi names or that have device files open, each with the cards that either says."""
    known = {process["pid"]: process for process in file_users}
    both = []
    for process in listed:
        cards = {chip[0] for chip in process["chips"]}
        more = known.pop(process["pid"], {"chips": []})["chips"]
        both.append({**process, "chips": process["chips"] + [chip for chip in more if chip[0] not in cards]})
    return sorted([*both, *known.values()], key=lambda each: int(each["pid"]))


def described(node: Node, pid: int, name: str = "") -> Dict[str, Any]:
    """Return a process as ``read_processes`` does, without its chips; an empty ``name`` is filled from /proc."""
    place = node.path("/proc/%d" % pid)
    command = _command(os.path.join(place, "cmdline"))
    groups = _CONTAINER.search(files.text(os.path.join(place, "cgroup")) or "")
    return {
        "pid": pid,
        "name": name or (files.text(os.path.join(place, "comm")) or "").strip(),
        "user": _owner(place),
        "command": command,
        "container": groups.group()[:12] if groups else None,
    }


def _owner(place: str) -> Optional[str]:
    try:
        uid = os.stat(place).st_uid
    except OSError:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _command(path: str) -> Optional[str]:
    """Return the command line on one line, its secrets masked, then shortened."""
    content = files.text(path)
    if content is None:
        return None
    return cut(one_line(masked(content).replace("\0", " ")), MOST_CHARACTERS)


def bounded(processes: List[Dict[str, Any]]) -> Tuple[List[Dict[str, Any]], int]:
    """Return (the first SHOWN processes, how many there are)."""
    return processes[:SHOWN], len(processes)
