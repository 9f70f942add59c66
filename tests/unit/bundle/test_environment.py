# SPDX-License-Identifier: Apache-2.0
"""The receipt of the control node's environment: last of all, and never older than what make compares it with."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.bundle import environment


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "scripts/virtualenv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def ends_at(monkeypatch: pytest.MonkeyPatch, last: int) -> list[list[str]]:
    """Let the program number ``last`` fail; return those that were started."""
    started: list[list[str]] = []

    def run(argv: list[str], project: Path) -> str:
        started.append(argv)
        (project / ".venv").mkdir(exist_ok=True)
        if len(started) == last:
            raise AscendError("it ended")
        return ""

    monkeypatch.setattr(environment, "_run", run)
    return started


@pytest.mark.parametrize("last", [1, 2])
def test_one_that_did_not_come_whole_is_made_again(project: Path, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    ends_at(monkeypatch, last)
    with pytest.raises(AscendError, match="it ended"):
        environment.make(project)
    started = ends_at(monkeypatch, 0)
    environment.make(project)
    assert [argv[3] for argv in started] == ["venv", "pip"]
    environment.make(project)
    assert len(started) == 2, "one that is whole stays"


def test_make_takes_it_for_new_where_the_clock_is_behind(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = time.time() + 86400
    os.utime(project / "pyproject.toml", (ahead, ahead))
    ends_at(monkeypatch, 0)
    environment.make(project)
    assert (project / ".venv/installed").stat().st_mtime > ahead


def test_what_a_program_says_is_in_the_error(project: Path) -> None:
    with pytest.raises(AscendError, match=r"sh failed on the control node.*found: no room left; .*where: ") as caught:
        environment._run(["sh", "-c", "echo no room left >&2; exit 3"], project)
    assert str(project) in caught.value.where
