# SPDX-License-Identifier: Apache-2.0
"""Tell one process of one machine from any other: numbers are given again, a number and its start time are not."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import List, Optional

from ansible.module_utils.ascend import files

GRACE_S = 3.0  # between asking a process to end and ending it
LOOK_S = 0.05


def started(pid: int) -> Optional[int]:
    """Return when a process started, in clock ticks since the machine's start; None where there is no such process.

    Field 22 of /proc/<pid>/stat (proc(5)); the second one, a name in brackets, may hold anything. A process that has
    ended and is not yet buried counts as gone.
    """
    fields = (files.text("/proc/%d/stat" % pid) or "").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 and fields[0] not in ("Z", "X") else None


def boot() -> str:
    """Return what names this start of the machine: another one after each, also of a container."""
    return "%s:%s" % ((files.text("/proc/sys/kernel/random/boot_id") or "").strip(), started(1))


def holders(path: str) -> List[int]:
    """Return the processes, but for this one, that have the file open."""
    try:
        wanted = os.stat(path)
    except OSError:
        return []
    found = []
    for name in files.names("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        folder = "/proc/%s/fd" % name
        for number in files.names(folder):
            with suppress(OSError):
                there = os.stat(os.path.join(folder, number))
                if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino):
                    found.append(int(name))
                    break
    return found


def end(pids: List[int]) -> List[int]:
    """End processes, also those that ignore being asked; return those that hang in the kernel, which nothing ends."""
    left = {pid: started(pid) for pid in pids}
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        until = time.monotonic() + GRACE_S
        while left and time.monotonic() < until:
            left = {pid: start for pid, start in left.items() if start is not None and started(pid) == start}
            time.sleep(LOOK_S)
    return sorted(left)
