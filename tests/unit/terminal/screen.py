# SPDX-License-Identifier: Apache-2.0
"""A command on a terminal, and what a person sees there: a real pty, read by pyte."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte


def set_size(file: int, columns: int = 80, rows: int = 24) -> None:
    """Give a pty a size, which it has not by itself."""
    fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Terminal:
    """A process on a pty of that size. ``seen`` is all that came, ``lines()`` what the screen shows now."""

    def __init__(self, argv: Sequence[str], columns: int, rows: int, environment: Mapping[str, str], cwd: Path) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=100_000)
        self.stream = pyte.ByteStream(self.screen)
        self.seen = b""
        self.code: int | None = None
        self.process, self._file = pty.fork()
        if not self.process:
            set_size(0, columns, rows)
            os.chdir(cwd)
            os.execvpe(argv[0], list(argv), dict(environment))

    def resize(self, columns: int, rows: int) -> None:
        set_size(self._file, columns, rows)
        self.screen.resize(rows, columns)

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    def history(self) -> list[str]:
        """What was scrolled away, and the screen."""
        top = ["".join(line[at].data for at in range(self.screen.columns)).rstrip() for line in self.screen.history.top]
        return top + self.lines()

    def until(self, true: Callable[[Terminal], bool], most_s: float = 60.0) -> None:
        """Read until something is so, or the process has ended."""
        end = time.monotonic() + most_s
        while time.monotonic() < end and not true(self):
            if not self._read():
                return
        assert true(self), "\n".join(self.history())

    def wait(self, seconds: float) -> None:
        """Read what comes in that time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._read():
            pass

    def ends(self, most_s: float = 120.0) -> int:
        """Read to the end; return the exit code."""
        end = time.monotonic() + most_s
        while self._read():
            if time.monotonic() > end:
                os.killpg(self.process, signal.SIGKILL)
                raise AssertionError("it does not end:\n" + "\n".join(self.history()[-60:]))
        _, status = os.waitpid(self.process, 0)
        os.close(self._file)
        self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def _read(self) -> bool:
        if not select.select([self._file], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self._file, 65536)
        except OSError:  # the last process that had it open has ended
            return False
        self.seen += data
        self.stream.feed(data)
        return bool(data)
