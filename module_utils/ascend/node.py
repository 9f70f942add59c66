# SPDX-License-Identifier: Apache-2.0
"""How the readers reach a node, and the form in which they report what is wrong with it."""

from __future__ import annotations

import os
from typing import Callable, List, NamedTuple, Optional

from .command import Result

Run = Callable[[List[str], float], Result]

At = Callable[..., None]


def nobody_asks(_words: str, _limit_s: Optional[float] = None) -> None:
    """Used without a time limit, when nobody asks what is being read."""


class Node(NamedTuple):
    """``run(argv, timeout_s)`` runs a program there, ``find(name)`` returns a program's path or None.

    ``root`` is the folder with the node's files: "/", except in tests and replayed captures. ``at(words)`` says what is
    read from now on, for whoever limits the time (``bounded.whole``); ``at(words, limit_s)`` limits that part.
    """

    run: Run
    find: Callable[[str], Optional[str]]
    root: str = "/"
    at: At = nobody_asks

    def path(self, path: str) -> str:
        """Return where the node's absolute ``path`` is."""
        return path if self.root == "/" else os.path.join(self.root, path.lstrip("/"))
