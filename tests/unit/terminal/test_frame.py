# SPDX-License-Identifier: Apache-2.0
"""What a rollout looks like: two nodes, forty and a thousand, on a small and on a large terminal.

``snapshots/`` is what a person sees. To make them anew: ``ASCEND_SNAPSHOTS=1 pytest tests/unit/terminal``, and look.
"""

from __future__ import annotations

import os
from pathlib import Path

import pyte
import pytest
from rich.cells import cell_len

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.frame import Frame
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.region import ABOVE
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.watch import FAILED, Watch
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.words import heartbeat
from tests.unit.terminal.runs import Clock, far, rollout

SNAPSHOTS = Path(__file__).parent / "snapshots"


def on_screen(frame: Frame, columns: int, rows: int) -> list[str]:
    """The lines as a terminal of that size shows them, below what is printed above."""
    screen = pyte.Screen(columns, rows)
    pyte.Stream(screen).feed("".join(f"{line}\r\n" for line in frame.draw(columns - 1, rows - ABOVE)))
    return [line.rstrip() for line in screen.display]


@pytest.mark.parametrize("nodes", [2, 40, 1000])
@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_it_looks_as_it_did(nodes: int, columns: int, rows: int) -> None:
    watch, _ = rollout(nodes)
    seen = "\n".join(on_screen(Frame(watch, far), columns, rows)).rstrip() + "\n"
    snapshot = SNAPSHOTS / f"{nodes}-nodes-{columns}x{rows}.txt"
    if "ASCEND_SNAPSHOTS" in os.environ:
        snapshot.write_text(seen, encoding="utf-8")
    assert seen == snapshot.read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [40, 41, 60, 80, 133, 200])
@pytest.mark.parametrize("rows", [1, 2, 6, 20, 46])
def test_no_line_is_too_long_and_none_too_many(columns: int, rows: int) -> None:
    watch, _ = rollout(1000, forks=200)
    lines = Frame(watch, far).lines(columns, rows)
    drawn = Frame(watch, far, colour=False).draw(columns, rows)
    assert len(lines) == len(drawn) == rows
    assert max(cell_len(line) for line in drawn) <= columns


def test_what_does_not_fit_is_counted_by_what_it_does() -> None:
    watch, _ = rollout(1000)
    lines = Frame(watch, far, colour=False).draw(79, 20)
    shown = [line for line in lines if line.startswith("  npu-")]
    (more,) = [line for line in lines if " more: " in line]
    assert f"and {50 - len(shown)} more: Transfer the depot files that the steps need {50 - len(shown)}" in more


def test_failures_stand_below_with_their_reason() -> None:
    watch, _ = rollout(1000)
    lines = Frame(watch, far, colour=False).draw(120, 20)
    assert lines[-1].startswith("  failed npu-0087  Install the CANN toolkit 8.0.RC1: No space left on device")


NAMES = ["节点-昇腾-01", "npu[bold]2[/bold]", "npu\x1b[31m-3", "a" * 200]


def test_names_of_wide_characters_markup_and_escapes_are_plain_cells() -> None:
    clock = Clock()
    watch = Watch(5, clock)
    watch.begin("演示 rollout \x1b]0;title\x07", NAMES, NAMES, [4])
    watch.begin_task("安装 CANN\n\x1b[2J")
    for name in NAMES:
        watch.start(name, "安装 CANN\n\x1b[2J")
    watch.end(NAMES[1], FAILED, "没有空间 \x1b[31m [red]x[/red]")
    seen = on_screen(Frame(watch, lambda _: None), 60, 24)
    text = "\n".join(seen)
    assert "节 点 -昇" in text or "节点" in text.replace(" ", "")
    assert "npu[bold]2[/bold]" in text
    assert "\\x1b[31m" in text
    raw = "".join(Frame(watch, lambda _: None, colour=False).draw(59, 20))
    assert "\x1b" not in raw
    assert "\x07" not in raw


def test_without_colour_and_in_ascii() -> None:
    watch, _ = rollout(40)
    lines = Frame(watch, far, colour=False, ascii_only=True).draw(60, 20)
    assert "".join(lines).isascii()
    assert lines[1].startswith("####")
    coloured = "".join(Frame(watch, far).draw(60, 20))
    assert "\x1b[" in coloured


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    watch, _ = rollout(40)
    assert "\x1b[32m" not in "".join(Frame(watch, far).draw(60, 20))


def test_of_the_control_node_alone_its_task_and_its_progress_are_shown() -> None:
    clock = Clock()
    watch = Watch(5, clock)
    watch.begin("Fill the depot", ["localhost"], ["localhost"], [1])
    watch.begin_task("Take every wheel")
    watch.start("localhost", "Take every wheel")
    watch.note = "wheels: 1.20 GB of 3.00 GB, 40 of 130 files, 80.0 MB/s, 0:22 left"
    clock.now += 15
    lines = Frame(watch, lambda _: None, colour=False).draw(79, 20)
    assert [line.rstrip() for line in lines[1:]] == ["Take every wheel  0:15", watch.note]


def test_before_a_play_nothing_is_drawn() -> None:
    assert Frame(Watch(5), far).draw(79, 20) == []


def test_a_log_has_it_in_one_line() -> None:
    watch, _ = rollout(40)
    assert heartbeat(watch) == (
        "Provision the nodes whose plan is not empty: 4 done, 1 busy, 35 in progress; 11:18, 3:42 left; "
        "Transfer the depot files that the steps need; slowest: npu-0006, 1:17"
    )
