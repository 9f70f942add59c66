# SPDX-License-Identifier: Apache-2.0
"""What a run is doing with its nodes: which are done, which are working on what and since when, and the time left.

It receives the events of Ansible's callbacks, and draws nothing. Times are seconds of ``clock``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

WAITING, WORK, DONE, FAILED, BUSY = "waiting", "in progress", "done", "failed", "busy"
STATES = (DONE, FAILED, BUSY, WORK, WAITING)


@dataclass
class Node:
    """``since`` is when its task began, None between two tasks; ``number`` its position in the play."""

    name: str
    number: int
    state: str = WAITING
    task: str = ""
    since: float | None = None
    reason: str = ""


class Watch:
    """``forks`` is how many nodes run at once. Not thread-safe; the caller locks."""

    def __init__(self, forks: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self._forks = clock, max(1, forks)
        self.play = self.task = self.note = ""
        self.nodes: dict[str, Node] = {}
        self.sizes: list[int] = []
        self.batch = 0  # counted from 1
        self.began = clock()
        self.ended_task = self.of_task = 0
        self._names: list[str] = []
        self._batch: list[str] = []
        self._batch_began = self.began
        self._rounds = self._spent = 0.0
        self._lost: dict[str, str] = {}
        self._beside: dict[str, int] = {}

    def begin(
        self,
        play: str,
        names: Sequence[str],
        batch: Sequence[str],
        sizes: Sequence[int],
        beside: Mapping[str, int] | None = None,
    ) -> None:
        """A batch of a play begins. ``names`` are the nodes of all of its batches, ``sizes`` those batches' sizes.

        ``beside`` are nodes outside of the play: state -> number.
        """
        goes_on = (play, list(names)) == (self.play, self._names) and not any(
            self.nodes[name].state != WAITING for name in batch if name not in self._lost
        )
        now = self.clock()
        if not goes_on:
            self.nodes = {name: Node(name, number) for number, name in enumerate(names)}
            for name in self._lost.keys() & self.nodes.keys():
                self.nodes[name].state, self.nodes[name].reason = FAILED, self._lost[name]
            self.play, self._names, self.sizes = play, list(names), list(sizes)
            self.batch, self.began, self._rounds, self._spent = 0, now, 0.0, 0.0
        self._beside = dict(beside or {})
        self.batch += 1
        self._batch, self._batch_began = list(batch), now
        self.task = self.note = ""

    def end_batch(self, busy: Collection[str] = ()) -> None:
        """The batch is over: its nodes are done, except those that failed or are ``busy``."""
        for node in self._of_batch():
            node.since = None
            if node.state != FAILED:
                node.state = BUSY if node.name in busy else DONE
        if self._batch:
            self._spent += self.clock() - self._batch_began
            self._rounds += self._round(len(self._batch))
        self._batch = []

    def begin_task(self, task: str, once: bool = False) -> None:
        """A task begins, for only one node if it runs ``once``."""
        self.task, self.note, self.ended_task = task, "", 0
        self.of_task = 1 if once else sum(node.state != FAILED for node in self._of_batch())

    def start(self, name: str, task: str) -> None:
        """A node begins a task, even one that failed and is being rescued."""
        node = self._node(name)
        node.state, node.task, node.since = WORK, task, self.clock()

    def end(self, name: str, state: str = WORK, reason: str = "") -> float:
        """A node's task ended, and the node is ``state`` now; return the seconds that the task took."""
        node = self._node(name)
        took = self.clock() - node.since if node.since is not None else 0.0
        node.state, node.since, node.reason = state, None, reason
        self.ended_task += 1
        self._lost.pop(name, None)
        if state == FAILED:
            self._lost[name] = reason
        return took

    def count(self) -> dict[str, int]:
        """Return how many nodes are in each state: the play's, and those beside it."""
        counts = {state: self._beside.get(state, 0) for state in STATES}
        for node in self.nodes.values():
            counts[node.state] += 1
        return counts

    def at_work(self) -> list[Node]:
        """Return the nodes that have a task now, the slowest first."""
        return sorted(
            (node for node in self.nodes.values() if node.since is not None), key=lambda node: node.since or 0
        )

    def failed(self) -> list[Node]:
        """Return the nodes that failed, the latest last."""
        return [self.nodes[name] for name in self._lost if name in self.nodes]

    def seconds(self) -> float:
        """Return how long the play has gone on."""
        return self.clock() - self.began

    def left(self) -> float | None:
        """Return the seconds until the play is over, from the number of nodes that are done; None if unknown.

        In batches, nodes proceed in step, ``forks`` at once, so earlier batches show how long a round takes. Otherwise
        the number of nodes decides, once as many are done as run at once.
        """
        now = self.clock()
        if len(self.sizes) > 1:
            if not self._rounds or not self._batch:
                return None
            one = self._spent / self._rounds
            coming = one * sum(self._round(size) for size in self.sizes[self.batch :])
            here = one * self._round(len(self._batch)) - (now - self._batch_began)
            return coming + here if here > 0 else None
        open_ = sum(node.state in (WAITING, WORK) for node in self.nodes.values())
        done = len(self.nodes) - open_
        if not done or done < min(self._forks, len(self.nodes) / 2):
            return None
        return (now - self.began) / done * open_

    def _round(self, size: int) -> float:
        return max(1.0, size / self._forks)

    def _of_batch(self) -> list[Node]:
        return [self.nodes[name] for name in self._batch if name in self.nodes]

    def _node(self, name: str) -> Node:
        # A host that the play added while it ran.
        return self.nodes.setdefault(name, Node(name, -1))
