# SPDX-License-Identifier: Apache-2.0
"""One run at a time on a node: a file that says which run of a playbook changes the node, from where, and since when.

A run lasts longer than any process on the node, so the kernel cannot keep this lock (it keeps module_lock.py's). A run
is dead if its process on the control node is gone, as the control node says (``dead``); if the node was rebooted since;
or, for another control node, if it gave no heartbeat for longer than any step takes.

A holder is ``{"run", "who", "control", "machine", "boot", "pid", "started"}``: the playbook's process on its control
node; the file has the fields of ``CHANGE`` besides, ``began`` and ``node_boot``.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import Any, Dict, Optional, Sequence

from .. import atomic, files, times
from ..errors import AscendError
from ..places import DRAINED, RUN
from . import fault_points, journal, module_lock, process

FILE = RUN
STALE_S = 2 * 60 * 60  # longer than the longest step may take
CHANGE = ("action", "from", "to")

Holder = Dict[str, Any]


def read(state_dir: str) -> Optional[Holder]:
    """Return the holder, or None when no run changes the node."""
    content = files.mapping(os.path.join(state_dir, FILE))
    return content if isinstance(content.get("run"), str) else None


def take(state_dir: str, holder: Holder, change: Dict[str, str], dead: Sequence[str] = ()) -> Optional[Holder]:
    """Take the lock for the run of ``holder``; return the run that has it if that is alive, else None.

    ``dead`` are the runs that the control node knows to be dead. What a dead run left running on the node is ended, and
    the journal says that it was interrupted. Raises AscendError if a module that belongs to no run is running.
    """
    with module_lock.alone(state_dir):
        other = read(state_dir)
        others = other["run"] if other and other["run"] != holder["run"] else ""
        if other and others and not is_dead(state_dir, other, dead):
            return other
        module_lock.end_leftovers(state_dir, others)
        with module_lock.taken(state_dir, "taking the lock for a run"):
            if other and others:
                _write_down(state_dir, other, "interrupted", "")
            value = dict(holder, node_boot=process.boot(), began=times.now(), **{key: change[key] for key in CHANGE})
            atomic.write(os.path.join(state_dir, FILE), json.dumps(value, sort_keys=True) + "\n")
            fault_points.reached("run.taken")
    return None


def release(state_dir: str, run: str, result: str, problem: str) -> None:
    """Write the journal's entry and release the lock; do nothing if another run, or none, has it."""
    current = read(state_dir)
    if not current or current["run"] != run:
        return
    _write_down(state_dir, current, result, problem)
    fault_points.reached("run.journalled")
    os.unlink(os.path.join(state_dir, FILE))


def already_taken(holder: Holder) -> AscendError:
    """Return the message for a second run."""
    return AscendError(
        "another run is changing this node",
        wanted="one run at a time",
        found="%s, started by %s, since %s" % (holder.get("action"), holder.get("who"), holder.get("began")),
        where="control node %s, process %s" % (holder.get("control"), holder.get("pid")),
        remedy="wait for it to end, or end it on %s: kill %s; a dead run's lock can be taken over at once from"
        " there, and from another control node %d h after its last step"
        % (holder.get("control"), holder.get("pid"), STALE_S // 3600),
    )


def is_dead(state_dir: str, other: Holder, dead: Sequence[str]) -> bool:
    """Whether the run that wrote ``other`` (with its ``node_boot``) into one of these files is dead."""
    if other["run"] in dead or other.get("node_boot") != process.boot():
        return True
    if module_lock.at_work(state_dir):
        return False
    signs = [0.0]
    for name in (FILE, DRAINED, module_lock.FILE):
        with suppress(FileNotFoundError):
            signs.append(os.path.getmtime(os.path.join(state_dir, name)))
    # A heartbeat of the future was given before the clock was set right, nobody knows when.
    return abs(time.time() - max(signs)) > STALE_S


def _write_down(state_dir: str, other: Holder, result: str, problem: str) -> None:
    """Write the journal's entry, unless a run that was killed while it released the lock has done so."""
    known = {key: str(other.get(key, "")) for key in ("began", "who", "control", "run", *CHANGE)}
    if any(all(entry[key] == known[key] for key in known) for entry in journal.entries(state_dir)):
        return
    journal.append(state_dir, dict(known, ended=times.now(), result=result, problem=problem))
