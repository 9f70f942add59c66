# SPDX-License-Identifier: Apache-2.0
"""The journal of a node: bounded, whole after any interruption, and readable with lines damaged."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import atomic
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import journal


def entry(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "began": f"2026-01-01T00:00:{number:02}Z",
        "ended": "2026-01-01T00:10:00Z",
        "who": "ops",
        "control": "ctl",
        "run": f"ctl-1234-{number}",
        "action": "provision",
        "from": "none",
        "to": "8.0.RC1-0123456789ab",
        "result": "done",
        "problem": "",
        **changes,
    }


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path)


def file(state: str) -> Path:
    return Path(state, journal.FILE)


def test_a_new_node_has_none(state: str) -> None:
    assert journal.entries(state) == []
    assert journal.last(state) is None


def test_entries_come_back_in_their_order(state: str) -> None:
    for number in range(3):
        journal.append(state, entry(number))
    assert journal.entries(state) == [entry(number) for number in range(3)]
    assert journal.last(state) == entry(2)
    assert [json.loads(line)["run"] for line in file(state).read_text().splitlines()] == [
        f"ctl-1234-{number}" for number in range(3)
    ]
    assert stat.S_IMODE(file(state).stat().st_mode) == 0o644
    assert list(Path(state).iterdir()) == [file(state)]


def test_the_oldest_are_dropped(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_ENTRIES", 5)
    for number in range(12):
        journal.append(state, entry(number))
        assert len(journal.entries(state)) == min(number + 1, 5)
    assert [each["run"] for each in journal.entries(state)] == [f"ctl-1234-{number}" for number in range(7, 12)]


def test_a_full_journal_is_small(state: str) -> None:
    problem = "\N{FIRE}" * 100_000
    line = json.dumps(entry(problem=problem[: journal.MOST_PROBLEM]), sort_keys=True) + "\n"
    file(state).write_text(line * 5000)
    journal.append(state, entry(1, problem=problem))
    assert len(journal.entries(state)) == journal.MOST_ENTRIES
    assert len(journal.entries(state)[-1]["problem"]) == journal.MOST_PROBLEM
    assert file(state).stat().st_size == len(line) * journal.MOST_ENTRIES
    assert file(state).stat().st_size < 2_000_000


def test_the_words_of_a_problem_come_back(state: str) -> None:
    problem = 'no space left: "x"\nnext: df -h\t\u00e4\udcff'
    journal.append(state, entry(problem=problem))
    assert journal.entries(state) == [entry(problem=problem)]
    assert len(file(state).read_text().splitlines()) == 1


def test_damaged_lines_are_left_out(state: str) -> None:
    good = [json.dumps(entry(number)) for number in range(3)]
    lacking = {key: value for key, value in entry().items() if key != "problem"}
    damaged = [
        "",
        "{",
        good[0][:40],
        "null",
        "[]",
        '"x"',
        "\0\0\0",
        "\ufffd",
        json.dumps(lacking),
        json.dumps(entry(began=3)),
        json.dumps(entry(to=None)),
        "[" * 100_000,
    ]
    lines = [good[0], *damaged[:6], good[1], *damaged[6:], good[2][:-1]]
    file(state).write_text("\n".join(lines))
    assert journal.entries(state) == [entry(0), entry(1)]
    journal.append(state, entry(4))
    assert journal.entries(state) == [entry(0), entry(1), entry(4)]


def test_what_an_entry_has_besides_is_left_out(state: str) -> None:
    file(state).write_text(json.dumps(entry(more="x" * 1000)) + "\n")
    assert journal.entries(state) == [entry()]
    journal.append(state, entry(1, more="x"))
    assert journal.entries(state) == [entry(), entry(1)]


def test_an_entry_that_lacks_something_is_a_defect(state: str) -> None:
    journal.append(state, entry())
    with pytest.raises(KeyError):
        journal.append(state, {"problem": ""})
    assert journal.entries(state) == [entry()]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupted_write_keeps_all(state: str, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    journal.append(state, entry())
    before = file(state).read_bytes()

    def full(*_: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, full)
        with pytest.raises(OSError, match="No space left"):
            journal.append(state, entry(1))
    assert file(state).read_bytes() == before
    assert list(Path(state).iterdir()) == [file(state)]
    journal.append(state, entry(1))
    assert journal.entries(state) == [entry(), entry(1)]


def test_a_write_that_was_killed_keeps_all(state: str) -> None:
    journal.append(state, entry())
    Path(str(file(state)) + atomic.PARTIAL).write_text("{")
    assert journal.entries(state) == [entry()]
    journal.append(state, entry(1))
    assert journal.entries(state) == [entry(), entry(1)]


def test_it_is_on_the_disk_before_it_takes_the_others_place(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any) -> Any:
            done.append(name)
            return real(*arguments)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name))
    journal.append(state, entry())
    assert done == ["fsync", "replace"]


def test_a_strict_umask_hides_nothing(state: str) -> None:
    before = os.umask(0o077)
    try:
        atomic.write(os.path.join(state, "x"), "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(state, "x").stat().st_mode) == 0o644
