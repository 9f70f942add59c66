# SPDX-License-Identifier: Apache-2.0
"""The points at which tests stop a change: killed there, or waiting there, and never without being asked."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import fault_points, module_lock
from tests.children import in_child
from tests.hangs import no_hang


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(fault_points, "_folder", "")
    fault_points.follow(str(tmp_path))
    with no_hang():
        yield tmp_path


def through(*names: str) -> list[str]:
    for name in names:
        fault_points.reached(name)
    return list(names)


def test_nothing_stops_without_the_file(folder: Path) -> None:
    assert through("a.b", "a.c") == ["a.b", "a.c"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("text", ["", "\n", "other kill", "a.bb kill", "a kill", "kill", "kill a.b", " kill"])
def test_another_point_stops_nothing(folder: Path, text: str) -> None:
    (folder / fault_points.FILE).write_text(text)
    assert in_child(lambda: through("a.b")) == ["a.b"]
    assert (folder / fault_points.FILE).read_text() == text


def test_killed_at_the_point_and_once(folder: Path) -> None:
    (folder / fault_points.FILE).write_text("a.c kill\n")
    child = os.fork()
    if not child:
        through("a.b")
        (folder / "at b").touch()
        through("a.c")
        (folder / "at c").touch()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert [path.name for path in folder.iterdir()] == ["at b"]
    assert in_child(lambda: through("a.b", "a.c")) == ["a.b", "a.c"]


def test_waits_there_until_the_file_is_gone(folder: Path) -> None:
    (folder / fault_points.FILE).write_text("a.b wait\n")
    child = os.fork()
    if not child:
        through("a.b")
        os._exit(0)
    while not (folder / fault_points.WAITING).exists() or not (folder / fault_points.WAITING).read_text():
        time.sleep(0.01)
    assert (folder / fault_points.WAITING).read_text() == f"a.b {child}\n"
    time.sleep(3 * fault_points.LOOK_S)
    assert os.waitpid(child, os.WNOHANG) == (0, 0)
    (folder / fault_points.FILE).unlink()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(folder.iterdir()) == []


def test_a_change_follows_its_own_state_folder(tmp_path: Path) -> None:
    """In a process of its own: a change at the point is killed, before it none is."""
    state = tmp_path / "state"
    state.mkdir()
    (state / fault_points.FILE).write_text("a.b kill")
    fault_points.follow("")

    def change() -> list[str]:
        done = through("a.b")
        with module_lock.taken(str(state), "x"):
            (tmp_path / "begun").touch()
            return done + through("a.b")

    assert in_child(change) is None
    assert (tmp_path / "begun").exists()
    assert in_child(change) == ["a.b", "a.b"]
