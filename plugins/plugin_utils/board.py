# SPDX-License-Identifier: Apache-2.0
"""How far the sending of files is, over all nodes: in memory that Ansible's worker processes share.

The output plugin lays it out before it forks the workers, each of which writes what is its own. Without that plugin a
node has a board for itself.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from typing import NamedTuple

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import size_text, time_text

TERMINAL_S, LOG_S = 0.5, 10.0  # between two lines
_CLOCK = struct.Struct("=d")  # when the last line was shown
_NODE = struct.Struct("=QQd")  # bytes to send, bytes sent, when that began


class _Node(NamedTuple):
    total: int
    sent: int
    began: float


class Board:
    """``terminal`` is whether one line is drawn again and again, or plain ones are added."""

    def __init__(self, nodes: int, terminal: bool = False) -> None:
        self.nodes = nodes
        self.terminal = terminal
        self._memory = mmap.mmap(-1, _CLOCK.size + nodes * _NODE.size)

    def set(self, number: int, total: int, sent: int, began: float) -> None:
        """Say how far the node of that number is."""
        _NODE.pack_into(self._memory, _CLOCK.size + number * _NODE.size, total, sent, began)

    def line(self, now: float) -> str:
        """Return the line that is due, or nothing."""
        (last,) = _CLOCK.unpack_from(self._memory)
        if now - last < (TERMINAL_S if self.terminal else LOG_S):
            return ""
        _CLOCK.pack_into(self._memory, 0, now)
        # The first one is no news, in a log.
        return self.text(now) if last or self.terminal else ""

    def text(self, now: float) -> str:
        """Return how far all nodes are that have begun: how much, how fast, how long it takes."""
        size = self.nodes * _NODE.size
        found = _NODE.iter_unpack(self._memory[_CLOCK.size : _CLOCK.size + size])
        begun = [node for node in map(_Node._make, found) if node.total]
        total, sent = sum(node.total for node in begun), sum(node.sent for node in begun)
        done = len([node for node in begun if node.sent == node.total])
        rate = sent / max(now - min((node.began for node in begun), default=now), 0.001)
        left = f", {time_text((total - sent) / rate)} left" if rate else ""
        return (
            f"sent to {done} of {len(begun)} nodes: {size_text(sent)} of {size_text(total)}, {size_text(rate)}/s{left}"
        )


_shared: list[Board] = []


def share(nodes: int) -> None:
    """Lay out a board for so many nodes. Called where the workers are forked."""
    _shared[:] = [Board(nodes, sys.stdout.isatty())]


def shared() -> Board | None:
    """Return the board that all workers share; None without the output plugin."""
    return _shared[0] if _shared else None


def now() -> float:
    """Return the time, the same in all processes."""
    return time.monotonic()
