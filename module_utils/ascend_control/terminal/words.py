# SPDX-License-Identifier: Apache-2.0
"""A run in one line, for logs and wherever nothing can be drawn."""

from __future__ import annotations

from ...ascend.text import one_line
from ..depot.progress import time_text
from .watch import FAILED, STATES, Watch


def heartbeat(watch: Watch) -> str:
    """Return the run in one line, for a log."""
    counts = watch.count()
    shown = ", ".join(f"{counts[state]:,} {state}" for state in STATES if counts[state])
    nodes = watch.at_work()
    slowest = f"; slowest: {nodes[0].name}, {time_text(watch.clock() - (nodes[0].since or 0))}" if nodes else ""
    return one_line(f"{watch.play}: {shown}; {times(watch)}; {watch.task}{slowest}")


def batch_over(watch: Watch) -> str:
    """Return what stays of a batch when it is over."""
    counts = watch.count()
    batch = f", batch {watch.batch} of {len(watch.sizes)}" if len(watch.sizes) > 1 else ""
    shown = ", ".join(f"{counts[state]:,} {state}" for state in STATES if counts[state])
    what = "" if list(watch.nodes) == ["localhost"] and not counts[FAILED] else f", {shown}"
    return one_line(f"{watch.play}{batch}: {time_text(watch.seconds())}{what}")


def times(watch: Watch) -> str:
    """Return how long the play has gone on, and how long it still takes."""
    left = watch.left()
    return f"{time_text(watch.seconds())}, {'time left unknown' if left is None else time_text(left) + ' left'}"
