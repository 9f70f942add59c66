# SPDX-License-Identifier: Apache-2.0
"""For which run the scheduler has drained this node: written before it is asked to, and kept until that is undone.

The scheduler's commands run on the control node, and a run may die between them, so the next run finds here that the
node must be resumed. The file has the fields of a holder (run_lock.py), ``action``, ``began`` (UTC, when the node was
drained) and ``node_boot``. It contains no command, because a node must never choose what the control node runs.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Optional, Sequence, Tuple

from .. import atomic, files, times
from ..places import DRAINED
from . import module_lock, process, run_lock
from .run_lock import Holder


def read(state_dir: str) -> Optional[Holder]:
    """Return for which run the node is, or may be, drained; None if it is not."""
    content = files.mapping(os.path.join(state_dir, DRAINED))
    return content if isinstance(content.get("run"), str) else None


def claim(
    state_dir: str, holder: Holder, action: str, dead: Sequence[str] = (), drains: bool = True
) -> Tuple[Optional[Holder], Optional[Holder]]:
    """Record that the node is drained for the run of ``holder``; without ``drains``, only take over an existing record.

    Returns (the live run that has the node, or None; the earlier record, or None). If there is a live run, nothing is
    written. ``dead`` are the runs that the control node knows to be dead.
    """
    with module_lock.alone(state_dir):
        earlier = read(state_dir)
        if not (drains or earlier):
            return None, None
        for other in (run_lock.read(state_dir), earlier):
            if other and other["run"] != holder["run"] and not run_lock.is_dead(state_dir, other, dead):
                return other, earlier
        began = (earlier or {}).get("began") or times.now()
        value = dict(holder, action=action, began=began, node_boot=process.boot())
        atomic.write(os.path.join(state_dir, DRAINED), json.dumps(value, sort_keys=True) + "\n")
    return None, earlier


def still_waits(state_dir: str, run: str) -> None:
    """Give a heartbeat of a run that drained the node and waits for the end of its jobs."""
    current = read(state_dir)
    if current and current["run"] == run:
        with suppress(OSError):  # the next one comes soon; only hours without any count
            os.utime(os.path.join(state_dir, DRAINED))


def forget(state_dir: str, run: str) -> None:
    """Forget it, because the node gets jobs again; another run's record stays."""
    with module_lock.alone(state_dir):
        current = read(state_dir)
        if current and current["run"] == run:
            os.unlink(os.path.join(state_dir, DRAINED))
