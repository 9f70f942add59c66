# SPDX-License-Identifier: Apache-2.0
"""Tell one process of one machine from any other by its number and start time, because numbers alone are reused."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import Any, Dict, List, Optional

from .. import files

GRACE_S = 3.0  # between asking a process to end and ending it
LOOK_S = 0.05
BOOT_ID = 64  # characters to ask for: the kernel has no memory for large questions to /proc/sys


def started(pid: int) -> Optional[int]:
    """Return when a process started, in clock ticks since the machine's start; None if there is no such process.

    Field 22 of /proc/<pid>/stat (proc(5)); the second, a name in brackets, may contain anything. A zombie counts as
    gone.
    """
    fields = (files.text("/proc/%d/stat" % pid) or "").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 and fields[0] not in ("Z", "X") else None


def known(pid: int) -> Dict[str, Optional[int]]:
    """Return a lasting identifier of a process: ``{"pid", "started"}``."""
    return {"pid": pid, "started": started(pid)}


def runs(process: Dict[str, Any]) -> bool:
    """Whether the recorded process (``known``) still exists and is the same."""
    pid = process.get("pid")
    return isinstance(pid, int) and started(pid) is not None and started(pid) == process.get("started")


def hidden(pid: int) -> bool:
    """Whether there is a process of another user that /proc does not show (mounted with hidepid, proc(5))."""
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError) as error:
        return isinstance(error, PermissionError)
    return False


def kernel_boot() -> str:
    """Return what names this start of the kernel, to every user."""
    return (files.text("/proc/sys/kernel/random/boot_id", BOOT_ID) or "").strip()


def boot() -> str:
    """Return an identifier of this boot of the machine, which also changes when a container restarts. Needs root."""
    return "%s:%s" % (kernel_boot(), started(1))


def users(path: str) -> List[int]:
    """Return the processes, except this one, that hold the file's lock (flock(2)), directly or by inheritance.

    Processes that only wait for the lock, or inherited a lock that was released, do not count.
    """
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
                status = os.stat(os.path.join(folder, number))
                if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino) and _locked(name, number):
                    found.append(int(name))
                    break
    return found


def with_sessions(pids: List[int]) -> List[int]:
    """Return the processes and, for those that lead a session (as programs of ``command.run`` do), the whole session.

    A grandchild may have closed the inherited file.
    """
    leaders = {pid for pid in pids if _session(pid) == pid}
    others = [int(name) for name in files.names("/proc") if name.isdigit() and _session(int(name)) in leaders]
    return sorted({*pids, *others})


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _locked(pid: str, number: str) -> bool:
    """Whether a process's open file has a lock; the kernel shows that at the file (proc(5), fdinfo)."""
    return "FLOCK" in (files.text("/proc/%s/fdinfo/%s" % (pid, number)) or "")


def end(pids: List[int]) -> List[int]:
    """End processes, also those that ignore SIGTERM; return those that hang in the kernel, which nothing can end."""
    left = _same({pid: started(pid) for pid in pids})
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        until = time.monotonic() + GRACE_S
        while left and time.monotonic() < until:
            time.sleep(LOOK_S)
            left = _same(left)
    return sorted(left)


def _same(known: Dict[int, Optional[int]]) -> Dict[int, Optional[int]]:
    """Return those of the processes that still exist and are the same."""
    return {pid: start for pid, start in known.items() if start is not None and started(pid) == start}
