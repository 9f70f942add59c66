# SPDX-License-Identifier: Apache-2.0
"""The progress of bringing files to all nodes, in memory that Ansible's worker processes share.

The output plugin creates it before the workers are forked, and each worker writes its own part. Without that plugin a
node has its own board.
"""

from __future__ import annotations

import mmap
import struct
import time
from typing import NamedTuple

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import size_text, time_text

LOG_S = 10.0  # between two lines
_CLOCK = struct.Struct("=d")  # when the last line was shown
_NODE = struct.Struct("=QQd")  # bytes to send, bytes sent, when that began


class _Node(NamedTuple):
    total: int
    sent: int
    began: float


class Board:
    """``watched`` is whether the output plugin draws it; else a line is shown now and then."""

    def __init__(self, nodes: int, watched: bool = False) -> None:
        self.nodes = nodes
        self.watched = watched
        self._memory = mmap.mmap(-1, _CLOCK.size + nodes * _NODE.size)

    def set(self, number: int, total: int, sent: int, began: float) -> None:
        """Set the progress of the node with that number."""
        _NODE.pack_into(self._memory, _CLOCK.size + number * _NODE.size, total, sent, began)

    def line(self, now: float) -> str:
        """Return the line that is due, or nothing."""
        (last,) = _CLOCK.unpack_from(self._memory)
        if self.watched or now - last < LOG_S:
            return ""
        _CLOCK.pack_into(self._memory, 0, now)
        # The first one is no news.
        return self.text(now) if last else ""

    def of(self, number: int, now: float) -> tuple[int, int, float] | None:
        """Return a node's bytes to send, the bytes sent, and the bytes per second; None if it has not begun."""
        if not 0 <= number < self.nodes:
            return None
        node = _Node(*_NODE.unpack_from(self._memory, _CLOCK.size + number * _NODE.size))
        return (node.total, node.sent, node.sent / max(now - node.began, 0.001)) if node.total else None

    def bytes(self) -> tuple[int, int]:
        """Return the bytes sent, and the bytes to send, of all nodes that have begun."""
        begun = self._begun()
        return sum(node.sent for node in begun), sum(node.total for node in begun)

    def text(self, now: float) -> str:
        """Return the progress of all nodes that have begun: how much, how fast, and the time left."""
        begun = self._begun()
        sent, total = self.bytes()
        done = len([node for node in begun if node.sent == node.total])
        rate = sent / max(now - min((node.began for node in begun), default=now), 0.001)
        left = f", {time_text((total - sent) / rate)} left" if rate else ""
        far = f"{size_text(sent)} of {size_text(total)}, {size_text(rate)}/s{left}"
        return f"{done} of {len(begun)} nodes have their files: {far}"

    def _begun(self) -> list[_Node]:
        found = _NODE.iter_unpack(self._memory[_CLOCK.size : _CLOCK.size + self.nodes * _NODE.size])
        return [node for node in map(_Node._make, found) if node.total]


_shared: list[Board] = []


def share(nodes: int, watched: bool) -> None:
    """Create a board for so many nodes. Called in the process that forks the workers."""
    _shared[:] = [Board(nodes, watched)]


def shared() -> Board | None:
    """Return the board that all workers share; None without the output plugin."""
    return _shared[0] if _shared else None


def now() -> float:
    """Return the time, the same in all processes."""
    return time.monotonic()
