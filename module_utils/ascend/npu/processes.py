# SPDX-License-Identifier: Apache-2.0
"""Who uses the cards: processes that npu-smi names, or that hold a device file, with owner and command from /proc."""

from __future__ import annotations

import os
import pwd
import re
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

from ansible.module_utils.ascend import files
from ansible.module_utils.ascend.masking import masked
from ansible.module_utils.ascend.node import Node
from ansible.module_utils.ascend.npu.npu_smi import Process

SHOWN = 32  # processes in the facts; their count stands beside them
MOST_CHARACTERS = 100  # of a command line
# Not davinci_manager, nor hisi_hdc: what only watches the cards holds those. From outside, a container's /dev is seen
# as its own, or below its root.
_DEVICE_FILE = re.compile(r"/v?davinci([0-9]{1,4})(?: \(deleted\))?$")
# What a container's runtime writes into the path of a control group: 64 hexadecimal digits.
_CONTAINER = re.compile(r"[0-9a-f]{64}")


def read_processes(node: Node, listed: Iterable[Process]) -> List[Dict[str, Any]]:
    """Return npu-smi's processes, one entry a process, with the chips it holds.

    ``{"pid", "name", "user", "command", "container", "chips": [[npu_id, chip_id, memory_mb], ...]}``; user and command
    are None where /proc has no such process: it ended meanwhile, or its number is another container's.
    """
    chips: Dict[int, List[List[Optional[int]]]] = {}
    names: Dict[int, str] = {}
    for process in listed:
        chips.setdefault(process.pid, []).append([process.npu_id, process.chip_id, process.memory_mb])
        names.setdefault(process.pid, process.name)
    return [{**described(node, pid, names[pid]), "chips": chips[pid]} for pid in sorted(chips)]


def read_holders(node: Node) -> List[Dict[str, Any]]:
    """Return the processes that hold /dev/davinci<N> open, in the same form; N stands for the NPU id.

    npu-smi says nothing of them where it hangs, fails, or is too old, nor of every container's. Needs root; takes some
    6 us a file that is open on the node.
    """
    found: Dict[int, Set[int]] = {}
    for name in files.names(node.path("/proc")):
        if not name.isdigit():
            continue
        folder = node.path("/proc/%s/fd" % name)
        for number in files.names(folder):
            match = _DEVICE_FILE.search(files.link(os.path.join(folder, number)) or "")
            if match:
                found.setdefault(int(name), set()).add(int(match.group(1)))
    return [
        {**described(node, pid), "chips": [[device, None, None] for device in sorted(found[pid])]}
        for pid in sorted(found)
    ]


def merged(listed: List[Dict[str, Any]], holders: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the processes that npu-smi names, and the holders of device files that it does not name."""
    known = {process["pid"] for process in listed}
    return sorted(listed + [each for each in holders if each["pid"] not in known], key=lambda each: int(each["pid"]))


def described(node: Node, pid: int, name: str = "") -> Dict[str, Any]:
    """Return a process as ``read_processes`` does, without its chips; ``name`` is what /proc says where it is empty."""
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
    words = " ".join(masked(content).replace("\0", " ").split())
    return words if len(words) <= MOST_CHARACTERS else words[: MOST_CHARACTERS - 3] + "..."


def bounded(processes: List[Dict[str, Any]]) -> Tuple[List[Dict[str, Any]], int]:
    """Return (the first SHOWN processes, how many there are)."""
    return processes[:SHOWN], len(processes)
