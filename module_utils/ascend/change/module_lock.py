# SPDX-License-Identifier: Apache-2.0
"""One change at a time on a node: a lock that the kernel keeps as long as anything of the change runs.

The programs that a change starts (installers, uv) inherit it. So if the module is killed and its installer keeps
working, the lock stays taken, and the next run knows that it must not begin beside it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Dict, Iterator, List

from .. import files, times
from ..command import Result, run as run_program
from ..errors import AscendError
from ..places import RUN
from . import fault_points, process

FILE = "changing"
WAIT_S = 2.0  # for another one that only looks at the lock
TAKE_S = 15.0  # for another one that takes a run's lock, and may have to end what a dead run left
LOOK_S = 0.1

Run = Callable[..., Result]


@contextmanager
def taken(state_dir: str, what: str, wait_s: float = WAIT_S) -> Iterator[Run]:
    """Take the module lock for one change, which ``what`` names for whoever finds the lock taken after ``wait_s``.

    Raises AscendError if another module keeps it. Yields ``command.run`` for the programs of the change.
    """
    path = os.path.join(state_dir, FILE)
    os.makedirs(state_dir, mode=0o755, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(handle, path, wait_s)
        mine = {"pid": os.getpid(), "started": process.started(os.getpid()), "what": what, "since": times.now()}
        _write(handle, dict(mine, run=files.mapping(os.path.join(state_dir, RUN)).get("run")))
        fault_points.follow(state_dir)
        try:
            yield partial(_run, path, handle)
        finally:
            os.ftruncate(handle, 0)
            # Said, not left to closing: a program that the installer left behind has the file open as well.
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def _run(path: str, handle: int, argv: List[str], timeout_s: float, **options: Any) -> Result:
    """Run a program of the change; if it misses its time, processes that left its group are ended, too."""
    result = run_program(argv, timeout_s, keep=handle, **options)
    if result.timed_out:
        process.end(process.with_sessions(process.users(path)))
    return result


def at_work(state_dir: str) -> Dict[str, Any]:
    """Return what the holder wrote, or nothing if the lock is free; does not take it."""
    path = os.path.join(state_dir, FILE)
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return {}
    try:
        return {} if _try(handle) else files.mapping(path) or {"what": "a change"}
    finally:
        os.close(handle)


@contextmanager
def alone(state_dir: str) -> Iterator[None]:
    """Keep out others that take a run lock: of two that find a dead run's, one would end the other as a leftover.

    The state folder itself is locked for that. Raises AscendError if another one does not end.
    """
    os.makedirs(state_dir, mode=0o755, exist_ok=True)
    handle = os.open(state_dir, os.O_RDONLY)
    try:
        _lock(handle, os.path.join(state_dir, FILE), TAKE_S)
        yield
        fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def end_leftovers(state_dir: str, run: str) -> None:
    """End what still runs for the dead run ``run``, or what a killed module of any run left.

    Raises AscendError when something cannot be ended.
    """
    path = os.path.join(state_dir, FILE)
    holder = at_work(state_dir)
    if not holder or (holder.get("run") != run and _alive(holder)):
        return
    # A module that has just got the lock has not yet written its own name over that of a dead one.
    time.sleep(LOOK_S)
    if at_work(state_dir) != holder:
        return
    stuck = process.end(process.with_sessions(process.users(path)))
    if stuck:
        raise AscendError(
            "cannot end the processes of a dead run",
            wanted="no process of an earlier change",
            found="process %s hangs in the kernel" % ", ".join(str(pid) for pid in stuck),
            where=path,
            remedy="cat /proc/%d/stack; dmesg | tail  # then reboot the node" % stuck[0],
        )


def _lock(handle: int, path: str, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while not _try(handle):
        if time.monotonic() > until:
            raise _already_taken(path)
        time.sleep(LOOK_S)


def _already_taken(path: str) -> AscendError:
    holder = files.mapping(path)
    alive = _alive(holder)
    who = "%s, process %s%s" % (holder.get("what", "a change"), holder.get("pid", "?"), "" if alive else " (dead)")
    return AscendError(
        "another change is running on this node",
        wanted="one change at a time",
        found="%s, since %s" % (who, holder.get("since", "?")),
        where=path,
        remedy="wait for it to end" if alive else "run the playbook again: it ends the processes of the dead run",
    )


def _alive(holder: Dict[str, Any]) -> bool:
    """Whether the module that wrote this may be alive."""
    pid = holder.get("pid")
    return not isinstance(pid, int) or process.started(pid) == holder.get("started")


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(handle: int, value: Dict[str, Any]) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, (json.dumps(value, sort_keys=True) + "\n").encode(), 0)
