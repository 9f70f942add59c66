# SPDX-License-Identifier: Apache-2.0
"""A run as the output plugin watches it: drawn on a terminal, written as events, or reported in a line now and then."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible.utils.color import ANSIBLE_COLOR

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.events import Events
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.output import Output
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.pulse import Pulse
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.region import Region, can_draw
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.watch import WORK, Node, Watch
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.words import batch_over, heartbeat
from ansible_collections.ascend.fleet.plugins.plugin_utils import board

REDRAW_S, BEAT_S = 0.5, 10.0


class Watched:
    """``drawn`` is whether lines are drawn below what is printed."""

    def __init__(self, display: Any, forks: int) -> None:
        self.out = Output(display)
        self.drawn = self._sends = False
        self._display, self._lock = display, display._lock
        self._watch = Watch(forks)
        self._region: Region | None = None
        self._pulse: Pulse | None = None
        self._events: Events | None = None
        self._begun = self._beaten = time.monotonic()

    def begin(self, drawn: bool, events: str | None) -> None:
        """Begin; draw if that is wanted and the terminal can, and write to the file ``events`` if there is one."""
        try:
            self._events = Events(events) if events else None
        except AscendError as error:
            self._display.warning(str(error))
        if drawn and can_draw(sys.stdout, os.environ):
            self._begin_drawing()
        # ansible-runner has locks of its own, which no thread may take where a worker is forked.
        if self._events or "AWX_ISOLATED_DATA_DIR" not in os.environ:
            self._pulse = Pulse(self._lock, REDRAW_S if self.drawn else BEAT_S, self._beat)
            self._pulse.begin()
        atexit.register(self.end)

    def _begin_drawing(self) -> None:
        try:
            from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.frame import Frame
        except ImportError:
            return  # no rich: a control node with the bare collection
        utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        frame = Frame(self._watch, self._bytes_of, bool(ANSIBLE_COLOR), ascii_only=not utf8)
        region = Region(sys.stdout, self._lock, frame.draw)
        if not region.has_room():
            return
        self._region = region
        self.out.region, self.out.note, self.drawn = region, self._note, True
        # The shell wrote meanwhile.
        signal.signal(signal.SIGCONT, lambda *_: region.forget())

    def end(self) -> None:
        """Erase what is drawn. Does nothing in a worker."""
        if self._pulse:
            self._pulse.end()
        if self._region and self.out.region:
            self._region.end()
            self.out.region = None

    def seconds(self) -> float:
        """Return how long the run has gone on."""
        return round(time.monotonic() - self._begun, 1)

    def write(self, event: str, **values: Any) -> None:
        """Write an event, if there is a file for it."""
        problem = self._events.write(event, **values) if self._events else ""
        if problem:
            self._display.warning(problem)

    def begin_batch(
        self, play: str, names: Sequence[str], batch: Sequence[str], sizes: Sequence[int], beside: Mapping[str, int]
    ) -> None:
        """``beside`` are nodes outside of the play, by their state."""
        with self._lock:
            self._watch.begin(play, names, batch, sizes, beside)
        number, batches = self._watch.batch, len(self._watch.sizes)
        self.write("play", play=play, batch=number, batches=batches, nodes=list(batch))

    def end_batch(self, busy: Collection[str]) -> None:
        """Print a line for a batch, unless nothing was done in it and nothing failed."""
        with self._lock:
            worth = self._watch.seconds() >= 1 or self._watch.failed()
            self._watch.end_batch(set(busy))
        if worth and self.drawn and self._watch.play:
            self._display.display(batch_over(self._watch), screen_only=True)

    def begin_task(self, task: str, once: bool, sends_to: int) -> None:
        """``sends_to`` is how many nodes the task sends files to, 0 for most tasks."""
        self._sends = bool(sends_to)
        if sends_to:
            board.share(sends_to, self.drawn)
        with self._lock:
            self._watch.begin_task(task, once)

    def begin_node(self, name: str, task: str) -> None:
        with self._lock:
            self._watch.start(name, task)

    def end_node(
        self, name: str, state: str = WORK, reason: str = "", outcome: str = "", task: str = "", action: str = ""
    ) -> None:
        """A node's task ended; ``outcome`` is empty for a skipped one, which is not an event."""
        with self._lock:
            seconds = self._watch.end(name, state, reason)
        if self._events and outcome:
            node = {"node": name, "play": self._watch.play, "task": task, "action": action}
            self.write("node", **node, outcome=outcome, seconds=round(seconds, 2), message=reason)

    def _note(self, text: str) -> None:
        with self._lock:
            self._watch.note = text

    def _bytes_of(self, node: Node) -> tuple[int, int, float] | None:
        shared = board.shared() if self._sends else None
        return shared.of(node.number, board.now()) if shared else None

    def _beat(self) -> None:
        """Called by the pulse, under the lock."""
        if self._region:
            self._region.draw()
        now = time.monotonic()
        if now - self._beaten < BEAT_S or not self._watch.at_work():
            return
        self._beaten = now
        self._write_progress()
        if not self.drawn and now - self.out.last_shown >= BEAT_S and "AWX_ISOLATED_DATA_DIR" not in os.environ:
            self._display.display(heartbeat(self._watch), screen_only=True)

    def _write_progress(self) -> None:
        watch, shared = self._watch, board.shared() if self._sends else None
        left = watch.left()
        sent, total = shared.bytes() if shared else (0, 0)
        far = {"play": watch.play, "task": watch.task, "counts": watch.count(), "seconds": round(watch.seconds(), 1)}
        left_seconds = None if left is None else round(left, 1)
        self.write("progress", **far, left_seconds=left_seconds, sent_bytes=sent, total_bytes=total)
