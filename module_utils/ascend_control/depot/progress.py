# SPDX-License-Identifier: Apache-2.0
"""The progress of filling the depot, in one line that a terminal redraws and a log repeats every few seconds."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

REDRAW_S = 0.25
LINE_S = 10.0
RATE_OVER_S = 20.0  # the rate is that of the last seconds: an average since the beginning hides a stall
_UNITS = ((10**9, "GB", 2), (10**6, "MB", 1), (10**3, "kB", 0))


class Progress:
    """Counts bytes and files of simultaneous downloads, and shows them with ``write``.

    ``write(text, end)`` prints a text as it is; ``end`` is whether a new line follows. ``clock`` returns seconds.
    """

    def __init__(
        self, write: Callable[[str, bool], None], terminal: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._terminal, self._clock = write, terminal, clock
        self._lock = threading.Lock()
        self._drawn = 0  # the width of the line that lies on the terminal
        self.begin("", 0)

    @property
    def every_s(self) -> float:
        """How often to call ``show``, in seconds."""
        return REDRAW_S if self._terminal else LINE_S

    def begin(self, what: str, files: int) -> None:
        """Start again, for ``files`` files named by ``what``."""
        self._what, self._files, self._files_done = what, files, 0
        self._size = self._done = self._kept = 0
        self._started = self._shown = self._clock()
        self._seen: deque[tuple[float, int]] = deque([(self._started, 0)])

    def expect(self, size_bytes: int) -> None:
        """A size became known, or (negative) was another one."""
        with self._lock:
            self._size += size_bytes

    def keep(self, size_bytes: int) -> None:
        """Count bytes from an earlier run, or (negative) stop counting them."""
        with self._lock:
            self._kept += size_bytes
            self._done += size_bytes

    def add(self, size_bytes: int) -> None:
        """So many bytes came."""
        with self._lock:
            self._done += size_bytes

    def file_done(self) -> None:
        with self._lock:
            self._files_done += 1

    def show(self) -> None:
        """Show how far it is, when it is time."""
        now = self._clock()
        if now - self._shown < self.every_s * 0.9:
            return
        self._shown = now
        self._put(self._line(now), end=not self._terminal)

    def end(self) -> None:
        """Leave one line that says what came, in which time."""
        seconds = self._clock() - self._started
        came = self._done - self._kept
        kept = f", {size_text(self._kept)} were already there" if self._kept > 0 else ""
        rate = f" ({size_text(came / seconds)}/s)" if seconds >= 1 else ""
        self._put(
            f"{self._what}: {_files(self._files)}, {size_text(came)} in {time_text(seconds)}{rate}{kept}", end=True
        )

    def give_up(self) -> None:
        """Leave the last line that was drawn, so that an error begins on a new line."""
        if self._drawn:
            self._put(self._line(self._clock()), end=True)

    def say(self, text: str) -> None:
        """Show a line of its own."""
        self._put(text, end=True)

    def _line(self, now: float) -> str:
        with self._lock:
            done, size, files = self._done, self._size, self._files_done
            came = done - self._kept
        self._seen.append((now, came))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_OVER_S:
            self._seen.popleft()
        since, before = self._seen[0]
        rate = max(0.0, (came - before) / (now - since)) if now > since else 0.0
        parts = [f"{size_text(done)} of {size_text(size)}" if size else size_text(done)]
        parts += [f"{files} of {_files(self._files)}", f"{size_text(rate)}/s"]
        if rate and size >= done:
            parts.append(f"{time_text((size - done) / rate)} left")
        return f"{self._what}: {', '.join(parts)}"

    def _put(self, text: str, end: bool) -> None:
        if not self._terminal:
            self._write(text, end)
            return
        self._write("\r" + text.ljust(self._drawn), end)
        self._drawn = 0 if end else len(text)


def silent() -> Progress:
    """A progress that nobody sees."""
    return Progress(lambda _text, _end: None)


def size_text(size_bytes: float) -> str:
    """Return a number of bytes as a person reads it: 2.91 GB."""
    for unit, name, digits in _UNITS:
        if size_bytes >= unit:
            return f"{size_bytes / unit:.{digits}f} {name}"
    return f"{size_bytes:.0f} B"


def time_text(seconds: float) -> str:
    """Return a time as 0:52, or 1:02:33."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"
