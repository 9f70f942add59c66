# SPDX-License-Identifier: Apache-2.0
"""Lines below what is printed: nothing printed is lost, prompts have the terminal, and no worker inherits a lock."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from typing import Any

import pyte
import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.output import Output
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.pulse import Pulse
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.region import Region, can_draw


class Screen(io.StringIO):
    """A terminal as a stream: what is written is shown."""

    def __init__(self, columns: int = 60, rows: int = 12) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self.screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self._stream.feed(text)
        return len(text)

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 99

    def lines(self) -> list[str]:
        top = ["".join(line[at].data for at in range(self.screen.columns)).rstrip() for line in self.screen.history.top]
        return [*top, *(line.rstrip() for line in self.screen.display)]

    def text(self) -> list[str]:
        return [line for line in self.lines() if line]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    made = Screen()

    def size(_: int) -> os.terminal_size:
        return os.terminal_size((made.screen.columns, made.screen.lines))

    monkeypatch.setattr(os, "get_terminal_size", size)
    return made


def region(screen: Screen, lines: list[str]) -> Region:
    return Region(screen, threading.RLock(), lambda width, height: [line[:width] for line in lines[:height]])


def test_lines_are_drawn_over_and_what_is_printed_stays_above(screen: Screen) -> None:
    lines = ["one", "two"]
    drawn = region(screen, lines)
    drawn.draw()
    lines[:] = ["one!", "two!", "three!"]
    drawn.draw()
    assert screen.text() == ["one!", "two!", "three!"]
    for number in range(30):
        with drawn.above():
            screen.write(f"printed {number}\n")
    assert screen.text() == [*(f"printed {number}" for number in range(30)), "one!", "two!", "three!"]
    lines[:] = ["less"]
    drawn.draw()
    drawn.end()
    drawn.draw()
    assert screen.text() == [f"printed {number}" for number in range(30)]


def test_the_cursor_is_left_below_and_visible(screen: Screen) -> None:
    region(screen, ["one", "two"]).draw()
    assert (screen.screen.cursor.x, screen.screen.cursor.y, screen.screen.cursor.hidden) == (0, 2, False)


def test_a_prompt_has_the_terminal(screen: Screen) -> None:
    drawn = region(screen, ["one", "two"])
    drawn.draw()
    with drawn.away():
        screen.write("Who are you? ")
        drawn.draw()
        with drawn.above():
            screen.write("(or nobody)\n")
        assert screen.text() == ["Who are you? (or nobody)"]
    drawn.draw()
    assert screen.text() == ["Who are you? (or nobody)", "one", "two"]


def test_after_it_was_stopped_it_draws_below_what_the_shell_wrote(screen: Screen) -> None:
    drawn = region(screen, ["one", "two"])
    drawn.draw()
    screen.write("[1]+  Stopped\n$ fg\n")
    drawn.forget()
    drawn.draw()
    assert screen.text() == ["one", "two", "[1]+  Stopped", "$ fg", "one", "two"]


def test_a_terminal_that_changes_its_size_gets_lines_that_fit(screen: Screen) -> None:
    drawn = region(screen, ["a" * 100] * 100)
    drawn.draw()
    assert screen.text() == ["a" * 59] * 8
    screen.screen.resize(20, 100)
    drawn.draw()
    assert max(map(len, screen.text())) <= 99
    screen.screen.resize(12, 39)
    drawn.draw()
    assert not [line for line in screen.text() if line.startswith("a" * 39)], "too narrow: nothing is drawn"


def test_a_terminal_that_is_gone_ends_it(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = region(screen, ["one"])

    def gone(_: str) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(screen, "write", gone)
    drawn.draw()
    with drawn.above():
        pass


@pytest.mark.parametrize(
    ("environment", "drawn"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "CI": "false"}, True),
        ({"TERM": "xterm", "CI": "true"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
        ({"TERM": "xterm", "AWX_ISOLATED_DATA_DIR": "/runner/artifacts"}, False),
    ],
)
def test_where_lines_are_drawn(environment: dict[str, str], drawn: bool) -> None:
    assert can_draw(Screen(), environment) is drawn
    assert not can_draw(io.StringIO(), environment)


class Display:
    """As much of Ansible's display as the output takes."""

    def __init__(self, screen: Screen) -> None:
        self.screen, self.log = screen, list[str]()

    def display(self, text: str, screen_only: bool = False, log_only: bool = False, newline: bool = True) -> None:
        if not log_only:
            self.screen.write(text + ("\n" if newline else ""))
        if not screen_only:
            self.log.append(text)

    def prompt(self, words: str) -> str:
        self.screen.write(words)
        return "\n".join(self.screen.text())


def test_all_goes_through_the_mask_and_above_the_lines(screen: Screen) -> None:
    display: Any = Display(screen)
    output = Output(display)
    output.region = region(screen, ["one"])
    output.region.draw()
    display.display("--sk Zq7xK9m4rk")
    with output.only("log"):
        display.display("ok: [npu-1]")
    with output.only("screen"):
        display.display("TASK")
    assert screen.text() == ["--sk ***", "TASK", "one"]
    assert display.log == ["--sk ***", "ok: [npu-1]"]
    assert display.prompt("Who? ").splitlines()[-1] == "Who?"


def test_another_thread_is_not_kept_from_the_screen(screen: Screen) -> None:
    display: Any = Display(screen)
    output = Output(display)
    with output.only("log"):
        other = threading.Thread(target=display.display, args=("a worker's warning",))
        other.start()
        other.join()
    assert screen.text() == ["a worker's warning"]


def test_what_is_drawn_over_and_over_is_a_note_of_the_lines(screen: Screen) -> None:
    display: Any = Display(screen)
    output = Output(display)
    display.display("\r1 of 3 GB", newline=False, screen_only=True)
    display.display("a line")
    assert screen.text() == ["a line"], "without lines below it is drawn, and cleared before another comes"
    notes: list[str] = []
    output.region, output.note = region(screen, ["one"]), notes.append
    display.display("\r2 of 3 GB\x1b[K", newline=False, screen_only=True)
    display.display("\r3 GB in 0:10", newline=True)
    assert notes == ["2 of 3 GB"]
    assert screen.text() == ["a line", "3 GB in 0:10"]


def fork(lock: Any) -> int:
    """A worker as Ansible's: it takes the lock, at once."""
    process = os.fork()
    if not process:
        signal.alarm(20)
        with lock:
            os._exit(0)
    return process


def test_two_hundred_workers_forked_while_it_draws_find_no_lock_taken() -> None:
    lock, drawn = threading.RLock(), []

    def draw() -> None:
        drawn.append(1)
        time.sleep(0.002)

    pulse = Pulse(lock, 0.0001, draw)
    pulse.begin()
    for _ in range(200):
        assert os.waitpid(fork(lock), 0)[1] == 0, "it waited for a thread that is not in it"
    pulse.end()
    count = len(drawn)
    assert count > 0
    time.sleep(0.01)
    assert len(drawn) == count, "it has ended"
