# SPDX-License-Identifier: Apache-2.0
"""A removal that is killed at every call and run again: nothing is left half, and it ends as a whole one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import fault_points
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove import apply, survey
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove.chosen import Asked
from tests.unit.remove.removal_machine import NEW, OLD, PLACES, Machine

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


class Killed(BaseException):
    """As kill -9: nothing of ours catches it."""


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], int]:
    """Be killed before the ``at``-th call of what takes something away; count the calls."""
    calls = 0

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                raise Killed
            return function(*arguments, **more)

        return call

    for name in ("unlink", "rename", "replace", "rmdir"):
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))
    return lambda: calls


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(Asked(release=OLD), marks=pytest.mark.whole),
        pytest.param(Asked(keep=0), marks=pytest.mark.whole),
        Asked(release=NEW, force=True),
        Asked(everything=True, force=True),
    ],
)
def test_interrupted_at_every_call_and_run_again(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Machine(tmp_path / "whole")
    counted = interrupted(monkeypatch, 0)
    whole.remove(asked)
    calls = counted()
    monkeypatch.undo()
    wanted = whole.tree()
    assert calls > 20
    for at in range(1, calls + 1):
        machine = Machine(tmp_path / str(at))
        interrupted(monkeypatch, at)
        with pytest.raises(Killed):
            machine.remove(asked)
        monkeypatch.undo()
        for path in machine.root.glob(f"var/tmp/ascend-fleet-{os.getpid()}-*"):
            path.rename(path.with_name("ascend-fleet-4711-dead"))  # the number of a process that is no more
        assert_whole_or_left(machine)
        machine.remove(asked)
        assert machine.tree() == wanted, at
        assert machine.selection(asked)["remove"] == []
        shutil.rmtree(machine.root)


def overlaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders cannot be renamed: they lie in the lower layer of an overlay, as in a container's image."""
    rename = os.rename

    def call(source: str, target: str) -> None:
        if os.path.isdir(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", call)


def test_interrupted_where_folders_cannot_be_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(release=OLD)
    whole = Machine(tmp_path / "whole")
    whole.remove(asked)
    overlaid(monkeypatch)
    counting = Machine(tmp_path / "counting")
    counted = interrupted(monkeypatch, 0)
    counting.remove(asked)
    calls = counted()
    assert counting.tree() == whole.tree()
    for at in range(1, calls + 1):
        monkeypatch.undo()
        machine = Machine(tmp_path / str(at))
        overlaid(monkeypatch)
        interrupted(monkeypatch, at)
        with pytest.raises(Killed):
            machine.remove(asked)
        monkeypatch.undo()
        for path in machine.root.glob(f"var/tmp/ascend-fleet-{os.getpid()}-*"):
            path.rename(path.with_name("ascend-fleet-4711-dead"))
        # What is no more whole does not count as complete.
        there = machine.env(OLD)
        library = there / "lib/python3/site-packages/torch/lib.so"
        assert library.is_file() or not (there / ".ascend-fleet.json").exists(), at
        overlaid(monkeypatch)
        machine.remove(asked)
        monkeypatch.undo()
        assert machine.tree() == whole.tree(), at
        shutil.rmtree(machine.root)


def test_interrupted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time when it has just begun: what the release stood on is still known."""
    whole = Machine(tmp_path / "whole")
    whole.remove(Asked(release=OLD))
    machine = Machine(tmp_path / "twice")
    for words in ("environment", "begun"):

        def reached(point: str, words: str = words) -> None:
            if point == "remove." + words:
                raise Killed

        monkeypatch.setattr(fault_points, "reached", reached)
        with pytest.raises(Killed):
            machine.remove(Asked(release=OLD))
    monkeypatch.undo()
    machine.remove(Asked(release=OLD))
    assert machine.tree() == whole.tree()


def assert_whole_or_left(machine: Machine) -> None:
    """An environment that counts has all its files, a link leads to one that counts, and what is left is known."""
    env = machine.root / "opt/ascend/env"
    for release in (OLD, NEW):
        there = machine.env(release)
        if there.exists():
            assert (there / ".ascend-fleet.json").is_file()
            assert (there / "lib/python3/site-packages/torch/lib.so").is_file()
    for link in ("current", "previous"):
        assert not (env / link).is_symlink() or (env / link).is_dir()
    known = {os.path.basename(path) for path in survey.read(machine.node, PLACES)["leftovers"]}
    assert {path.name for path in env.glob(".*")} <= known


def test_an_interrupted_uninstaller_is_finished(machine: Machine) -> None:
    """Killed in its middle, and again while the next run cleans up."""

    def dies(*_more: Any, **_named: Any) -> Result:
        shutil.rmtree(machine.cann(OLD) / "aarch64-linux")
        raise Killed

    with pytest.raises(Killed):
        apply.apply(machine.node, PLACES, Asked(release=OLD), dies, 60)
    (note,) = machine.remove(Asked(release=OLD))
    assert "has no uninstaller" in note
    assert not machine.cann(OLD).exists()
    assert machine.selection(Asked(release=OLD))["remove"] == []
