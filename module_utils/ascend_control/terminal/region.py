# SPDX-License-Identifier: Apache-2.0
"""Lines at the bottom of a terminal that are redrawn while other text is printed above them.

No terminal setting is changed that would have to be restored: whatever ends the run, the cursor is visible, at the
beginning of an empty line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

LEAST_ROWS, LEAST_COLUMNS = 10, 40
ABOVE = 4  # rows that are left to what is printed above


def can_draw(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether a person watches a terminal that can draw: not a pipe, CI, or AWX, which creates its own."""
    terminal = environment.get("TERM", "dumb") not in ("", "dumb", "unknown")
    ci = environment.get("CI", "").lower() not in ("", "0", "false")
    return stream.isatty() and terminal and not ci and "AWX_ISOLATED_DATA_DIR" not in environment


class Region:
    """``frame(width, height)`` returns the lines; ``lock`` is the lock of the terminal's other writers."""

    def __init__(self, stream: TextIO, lock: Any, frame: Callable[[int, int], list[str]]) -> None:
        self._stream, self._lock, self._frame = stream, lock, frame
        self._drawn = 0  # lines that lie on the terminal, above the cursor
        self._lines: list[str] = []
        self._away = 0
        self._gone = False

    def has_room(self) -> bool:
        """Whether the terminal has a size that is known and large enough."""
        return self._size() is not None

    def draw(self) -> None:
        """Draw the present state, unless a prompt or another program has the terminal."""
        with self._lock:
            if not self._away and not self._gone and self._in_foreground():
                size = self._size()
                self._lines = self._frame(*size) if size else []
                self._put(self._lines)

    def end(self) -> None:
        """Take the lines away, for good."""
        with self._lock:
            self._put([])
            self._gone = True

    def forget(self) -> None:
        """Treat the terminal's content as somebody else's, because the process was stopped and the shell wrote."""
        self._drawn = 0

    @contextmanager
    def above(self) -> Iterator[None]:
        """Let others write; the lines come back below."""
        with self._lock:
            self._put([])
            try:
                yield
            finally:
                if not self._away and not self._gone:
                    self._put(self._lines)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Leave the terminal to a prompt."""
        with self._lock:
            self._away += 1
            self._put([])
        try:
            yield
        finally:
            with self._lock:
                self._away -= 1

    def _size(self) -> tuple[int, int] | None:
        """Return the width and the height of the lines; None if there is no room, or nobody to see them."""
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return None
        # The last column stays free: some terminals go on to the next line there.
        return (columns - 1, rows - ABOVE) if columns >= LEAST_COLUMNS and rows >= LEAST_ROWS else None

    def _in_foreground(self) -> bool:
        with suppress(OSError):  # not the terminal that controls this process
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        return True

    def _put(self, lines: list[str]) -> None:
        """Draw lines over what is on the terminal."""
        if not lines and not self._drawn:
            return
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        # Line by line: what is cleared as a whole screen, tmux keeps in its history.
        rest = max(0, self._drawn - len(lines))
        below = "\x1b[K\n" * rest + (f"\x1b[{rest}A" if rest else "") + "\x1b[K"
        text = f"\r{up}" + "".join(f"{line}\x1b[K\n" for line in lines) + below
        self._drawn = len(lines)
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._drawn, self._gone = 0, True  # so is the terminal
