# SPDX-License-Identifier: Apache-2.0
"""How far a fill is, as a person reads it: one line that is redrawn on a terminal, plain lines in a log."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import (
    LINE_S,
    Progress,
    size_text,
    time_text,
)

MB = 10**6


class Shown:
    """What was written, and a clock that stands until it is set."""

    def __init__(self, terminal: bool) -> None:
        self.written: list[tuple[str, bool]] = []
        self.now = 100.0
        self.progress = Progress(lambda text, end: self.written.append((text, end)), terminal, lambda: self.now)

    @property
    def last(self) -> str:
        return self.written[-1][0]

    def after(self, seconds: float, size_bytes: int = 0) -> None:
        self.now += seconds
        self.progress.add(size_bytes)
        self.progress.show()


def of_a_fill(terminal: bool) -> Shown:
    shown = Shown(terminal)
    shown.progress.begin("wheels", 3)
    shown.progress.expect(1000 * MB)
    return shown


def test_a_log_has_a_line_every_some_seconds() -> None:
    shown = of_a_fill(terminal=False)
    for _ in range(25):
        shown.after(1, 10 * MB)
    assert [text for text, _ in shown.written] == [
        "wheels: 90.0 MB of 1.00 GB, 0 of 3 files, 10.0 MB/s, 1:31 left",
        "wheels: 180.0 MB of 1.00 GB, 0 of 3 files, 10.0 MB/s, 1:22 left",
    ]
    assert all(end for _, end in shown.written)
    assert shown.progress.every_s == LINE_S


def test_a_terminal_has_one_line() -> None:
    shown = of_a_fill(terminal=True)
    shown.after(0.1, MB)
    assert shown.written == [], "it is redrawn a few times a second, not for each block"
    for _ in range(8):
        shown.after(0.25, 5 * MB)
    assert [end for _, end in shown.written] == [False] * 8
    assert all(text.startswith("\rwheels: ") for text, _ in shown.written)
    widths = [len(text) for text, _ in shown.written]
    assert all(later >= earlier for earlier, later in pairwise(widths)), "nothing old is left"
    shown.progress.end()
    assert shown.written[-1][1]
    assert shown.last.startswith("\rwheels: 3 files, 41.0 MB in 0:02")


def test_the_rate_is_that_of_the_last_seconds() -> None:
    shown = of_a_fill(terminal=False)
    for _ in range(12):
        shown.after(10, 50 * MB)
    assert "5.0 MB/s" in shown.last
    for _ in range(2):
        shown.after(10)
    assert "0 B/s" in shown.last
    assert "left" not in shown.last


def test_what_was_there_is_no_speed() -> None:
    shown = of_a_fill(terminal=False)
    shown.progress.keep(500 * MB)
    shown.after(10, 10 * MB)
    assert shown.last == "wheels: 510.0 MB of 1.00 GB, 0 of 3 files, 1.0 MB/s, 8:10 left"
    shown.progress.end()
    assert shown.last == "wheels: 3 files, 10.0 MB in 0:10 (1.0 MB/s), 500.0 MB were already there"


def test_sizes_that_are_not_known_yet() -> None:
    shown = Shown(terminal=False)
    shown.progress.begin("CANN", 1)
    shown.after(10, 20 * MB)
    assert shown.last == "CANN: 20.0 MB, 0 of 1 file, 2.0 MB/s"
    shown.progress.expect(100 * MB)
    shown.after(10, 20 * MB)
    assert shown.last == "CANN: 40.0 MB of 100.0 MB, 0 of 1 file, 2.0 MB/s, 0:30 left"


@pytest.mark.parametrize("terminal", [False, True])
def test_an_error_begins_in_a_line_of_its_own(terminal: bool) -> None:
    shown = of_a_fill(terminal)
    shown.after(10, MB)
    before = len(shown.written)
    shown.progress.give_up()
    assert [end for _, end in shown.written[before:]] == ([True] if terminal else [])


def test_how_sizes_and_times_are_written() -> None:
    assert [size_text(size) for size in (0, 999, 1500, 45.25 * MB, 2.914e9)] == [
        "0 B",
        "999 B",
        "2 kB",
        "45.2 MB",
        "2.91 GB",
    ]
    assert [time_text(seconds) for seconds in (0, 59.4, 61, 3753)] == ["0:00", "0:59", "1:01", "1:02:33"]
