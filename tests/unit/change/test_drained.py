# SPDX-License-Identifier: Apache-2.0
"""What is written down of a drained node: for whom, whoever finds it, and when it is forgotten."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import drained, process, run_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import DRAINED, RUN

CHANGE = {"action": "provision", "from": "old", "to": "new"}


def holder(run: str = "one") -> dict[str, Any]:
    return {"run": run, "who": "ops", "control": "ctl", "machine": "m", "boot": "b", "pid": 4711, "started": 1}


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def claim(state: str, run: str = "one", *dead: str, drains: bool = True) -> tuple[str | None, str | None]:
    """The runs that have it, and had it."""
    other, earlier = drained.claim(state, holder(run), "provision", dead, drains)
    return other["run"] if other else None, earlier["run"] if earlier else None


def run_of(state: str) -> str | None:
    found = drained.read(state)
    return found["run"] if found else None


def long_ago(*paths: str) -> None:
    then = time.time() - run_lock.STALE_S - 60
    for path in paths:
        os.utime(path, (then, then))


def test_it_is_written_down_for_the_run(state: str) -> None:
    assert claim(state) == (None, None)
    found = drained.read(state)
    assert found is not None
    assert (found["run"], found["action"], found["node_boot"]) == ("one", "provision", process.boot())
    # Root's alone to change: by this file a run decides what it does.
    assert stat.S_IMODE(os.stat(Path(state, DRAINED)).st_mode) == 0o644
    assert "one run at a time" in str(run_lock.already_taken(found))


def test_a_run_that_is_alive_keeps_it(state: str) -> None:
    claim(state)
    assert claim(state, "two") == ("one", "one")
    assert claim(state, "two", drains=False) == ("one", "one")
    assert run_of(state) == "one"


def test_so_does_one_that_changes_the_node(state: str) -> None:
    run_lock.take(state, holder(), CHANGE)
    assert claim(state, "two") == ("one", None)
    assert run_of(state) is None
    assert claim(state, "one") == (None, None)


def test_one_of_a_dead_run_is_taken_over_with_the_time_since_when(state: str) -> None:
    claim(state)
    path = Path(state, DRAINED)
    path.write_text(json.dumps({**json.loads(path.read_text()), "began": "2026-03-02T01:30:00Z"}))
    assert claim(state, "two", "one") == (None, "one")
    after = drained.read(state)
    assert after is not None
    assert (after["run"], after["began"]) == ("two", "2026-03-02T01:30:00Z")


def test_of_two_dead_runs_one_has_the_lock_and_one_has_drained(state: str) -> None:
    run_lock.take(state, holder("one"), CHANGE)
    value = dict(holder("two"), began="x", node_boot=process.boot())
    Path(state, DRAINED).write_text(json.dumps(value))
    assert claim(state, "three", "one") == ("two", "two")
    assert claim(state, "three", "one", "two") == (None, "two")


def test_only_what_is_there_is_taken_over_to_be_resumed(state: str) -> None:
    assert claim(state, drains=False) == (None, None)
    assert run_of(state) is None


def test_a_run_elsewhere_that_gave_no_sign_of_life_is_dead(state: str) -> None:
    claim(state)
    long_ago(str(Path(state, DRAINED)))
    assert claim(state, "two") == (None, "one")


def test_one_that_waits_for_idle_cards_gives_signs_of_life(state: str) -> None:
    claim(state)
    long_ago(str(Path(state, DRAINED)))
    drained.still_waits(state, "two")
    assert time.time() - os.path.getmtime(Path(state, DRAINED)) > run_lock.STALE_S
    drained.still_waits(state, "one")
    assert claim(state, "two") == ("one", "one")


def test_a_node_that_was_started_again_has_no_run(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(state)
    monkeypatch.setattr(process, "boot", lambda: "another")
    assert claim(state, "two") == (None, "one")


def test_only_its_run_forgets_it(state: str) -> None:
    claim(state)
    drained.forget(state, "two")
    assert run_of(state) == "one"
    drained.forget(state, "one")
    drained.forget(state, "one")
    assert run_of(state) is None
    assert not Path(state, RUN).exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"run": 1}', "\0\0"])
def test_a_damaged_file_says_nothing(state: str, text: str) -> None:
    os.makedirs(state)
    Path(state, DRAINED).write_text(text)
    assert run_of(state) is None
    drained.still_waits(state, "one")
    assert claim(state) == (None, None)
