# SPDX-License-Identifier: Apache-2.0
"""The history of the drift reports when its file is damaged, locked, or left by a killed process: real SQLite files."""

from __future__ import annotations

import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from ansible.module_utils.ascend_control.drift import history

from tests.children import in_child
from tests.unit.test_drift_history import CANN, CARDS, ENV, added, day, names, report, statuses

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "history.sqlite"


def dies_at(line: int, action: Callable[[], Any]) -> bool:
    """Run ``action`` in a process that ends when it has run so many lines of history.py; tell whether it did."""

    def run() -> bool:
        left = line

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal left
            if frame.f_code.co_filename != history.__file__:
                return None
            left -= event == "line"
            if left < 0:
                os._exit(9)
            return trace

        sys.settrace(trace)
        action()
        sys.settrace(None)
        return True

    return in_child(run) is None


def test_killed_at_any_line_the_file_holds_the_old_or_the_new_state(path: Path) -> None:
    added(path, report(day(1), {"npu-1": [CANN, ENV], "npu-2": []}))
    before = path.read_bytes()
    seen = set()
    for line in range(0, 10_000, 3):
        path.write_bytes(before)
        died = dies_at(line, lambda: history.update(path, report(day(2), {"npu-1": [ENV], "npu-2": [CARDS]})))
        after = added(path, report(day(3), {"npu-1": [ENV], "npu-2": [CARDS]}))
        assert after["history"] is None
        changes = after["changes"]
        seen.add(changes["since"])
        old = (day(1), [("npu-2", "cards")], [("npu-1", "cann")])
        assert (changes["since"], names(changes["new"]), names(changes["gone"])) in (old, (day(2), [], []))
        if not died:
            break
    assert seen == {day(1), day(2)}


def test_killed_at_any_line_of_the_first_run_the_second_begins_anew(path: Path) -> None:
    for line in range(0, 10_000, 7):
        died = dies_at(line, lambda: history.update(path, report(day(1), {"npu-1": [CANN]})))
        after = added(path, report(day(2), {"npu-1": [CANN]}))
        assert after["history"] is None
        shutil.rmtree(path.parent)
        if not died:
            break
    assert after["changes"]["since"] == day(1)


def test_what_a_killed_process_had_half_written_is_taken_back(path: Path) -> None:
    added(path, report(day(1), {f"npu-{number}": [CANN, ENV, CARDS] for number in range(200)}))

    def half() -> None:
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE episode SET problem = hex(randomblob(2000)), gone = 'now'")
        os._exit(9)

    before = path.read_bytes()
    assert in_child(half) is None
    assert path.read_bytes() != before
    fleet = added(path, report(day(2), {f"npu-{number}": [CANN, ENV, CARDS] for number in range(200)}))
    assert (fleet["history"], fleet["changes"]["still"]) == (None, 600)


def alone(fleet: dict[str, Any]) -> bool:
    """Whether the report says nothing about earlier ones."""
    trend = (
        [] if fleet["partial"] else [{"made": fleet["made"], **{key: fleet["counts"][key] for key in history.COUNTS}}]
    )
    return (
        fleet["changes"] == {"since": None, "new": [], "gone": [], "still": 0}
        and fleet["trend"] == trend
        and all(status == (status[0], fleet["made"], "new") for status in statuses(fleet))
    )


@pytest.fixture
def locked(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the file until its input ends."""
    added(path, report(day(1), {"npu-1": [CANN]}))
    program = (
        "import sqlite3, sys; held = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "held.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read(); held.execute('ROLLBACK')"
    )
    argv = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield other


def test_a_locked_history_is_left_alone(
    path: Path, locked: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BUSY_S", 0.1)
    before = path.read_bytes()
    for limit in (None, "npu-1"):
        fleet = added(path, report(day(2), {"npu-1": [CANN]}, limit))
        assert alone(fleet)
        assert fleet["history"] == (
            f"{path} is held by another process: what is new, gone or still there is not known in this report. "
            f"Next: fuser -v {path}"
        )
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["history.sqlite"]


def test_a_lock_that_is_given_back_is_waited_for(path: Path, locked: subprocess.Popen[str]) -> None:
    assert history.BUSY_S == 5
    assert locked.stdin is not None
    locked.stdin.close()
    assert statuses(added(path, report(day(2), {"npu-1": [CANN]}))) == [("npu-1", day(1), "still")]


def test_damage_anywhere_loses_no_report_and_begins_anew(path: Path) -> None:
    rows = {f"npu-{number}": [CANN, ENV] for number in range(40)}
    added(path, report(day(1), rows))
    added(path, report(day(2), rows))
    sound = path.read_bytes()
    chance = random.Random(7)
    moved = 0
    for _ in range(40):
        damaged = bytearray(sound)
        if chance.random() < 0.2:
            del damaged[chance.randrange(1, len(sound)) :]
        for _ in range(chance.choice([1, 4, 300])):
            place = chance.randrange(len(damaged) if chance.random() < 0.8 else min(100, len(damaged)))
            damaged[place] = chance.randrange(256)
        path.write_bytes(damaged)
        fleet = added(path, report(day(3), rows))
        asides = [entry for entry in path.parent.iterdir() if entry != path]
        if asides:
            moved += 1
            assert [entry.name for entry in asides] == ["history.sqlite.broken-20260303T013000Z"]
            assert asides[0].read_bytes() == damaged
            assert "every finding is new" in fleet["history"]
            assert (fleet["changes"]["since"], len(fleet["changes"]["new"])) == (None, 80)
            asides[0].unlink()
            assert added(path, report(day(4), rows))["history"] is None
        elif fleet["history"] is None:
            # What is not used was hit: a free page, an episode that is over.
            assert {first for _, first, _ in statuses(fleet)} == {day(1)}
        else:
            assert alone(fleet)
            assert path.read_bytes() == damaged
        path.unlink()
    assert moved > 20


def test_one_wrong_letter_in_a_value_is_seen(path: Path) -> None:
    added(path, report(day(1), {"npu-1": [CANN]}))
    sound = path.read_bytes()
    for right, wrong in ((b"cann", b"cbnn"), (b"2026-03-01", b"2026-O3-01"), (b"altered", b"a\xfftered")):
        assert right in sound
        path.write_bytes(sound.replace(right, wrong))
        fleet = added(path, report(day(2), {"npu-2": []}))
        assert "a row is not what was written" in fleet["history"]
    assert len(list(path.parent.glob("history.sqlite.broken-*"))) == 3


def test_an_index_that_does_not_fit_its_table_is_seen(path: Path) -> None:
    fleet = added(path, report(day(1), {"npu-1": [CANN]}))
    sound = path.read_bytes()
    key = fleet["nodes"][0]["findings"][0]["id"].encode()
    places = [place for place in range(len(sound)) if sound.startswith(key, place)]
    assert len(places) == 2  # the table and its index
    for place in places:
        path.write_bytes(sound[:place] + b"x" + sound[place + 1 :])
        assert "was damaged (" in added(path, report(day(2), {"npu-1": [CANN]}))["history"]


def test_damaged_files_are_never_overwritten_and_their_journals_do_no_harm(path: Path) -> None:
    path.parent.mkdir()
    for number in (1, 2):
        path.write_bytes(b"no database, but longer than a header of SQLite is %d" % number * 9)
        for ending in ("-journal", "-wal"):
            path.with_name(path.name + ending).write_bytes(b"of the old one" * 99)
        fleet = added(path, report(day(1), {"npu-1": [CANN]}))
        assert "was damaged (file is not a database)" in fleet["history"]
        assert added(path, report(day(2), {"npu-1": [CANN]}))["changes"]["still"] == 1
    stem = "history.sqlite.broken-20260301T013000Z"
    assert sorted(os.listdir(path.parent)) == ["history.sqlite", stem, f"{stem}-2"]
    assert path.with_name(stem).read_bytes().endswith(b"is 1")
    assert path.with_name(f"{stem}-2").read_bytes().endswith(b"is 2")


def test_a_stranger_s_database_is_moved_aside(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE report (made TEXT)")
    assert "its tables are others" in added(path, report(day(1), {"npu-1": []}))["history"]
    with closing(sqlite3.connect(path)) as database:
        database.execute("ANALYZE")
    assert added(path, report(day(2), {"npu-1": []}))["history"] is None


def test_an_empty_file_is_a_beginning(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert added(path, report(day(1), {"npu-1": [CANN]}))["history"] is None
    assert added(path, report(day(2), {"npu-1": [CANN]}))["changes"]["still"] == 1


def test_a_history_of_a_later_version_is_left_alone(path: Path) -> None:
    added(path, report(day(1), {"npu-1": [CANN]}))
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 2")
        database.execute("DROP TABLE report")
        database.commit()
    before = path.read_bytes()
    fleet = added(path, report(day(2), {"npu-1": [CANN]}))
    assert alone(fleet)
    assert "a later ascend-fleet (format 2, this one knows 1)" in fleet["history"]
    assert path.read_bytes() == before


def test_a_folder_in_its_place_is_left_alone(path: Path) -> None:
    path.mkdir(parents=True)
    fleet = added(path, report(day(1), {"npu-1": [CANN]}))
    assert alone(fleet)
    assert "is not a file" in fleet["history"]
    assert path.is_dir()


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_without_the_permission_the_report_says_so(mode: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "reports" / "history.sqlite"
        added(path, report(day(1), {"npu-1": [CANN]}))
        path.chmod(0o444)
        path.parent.chmod(mode)

        def as_nobody() -> dict[str, Any]:
            if os.getuid() == 0:
                os.setuid(NOBODY)
            return added(path, report(day(2), {"npu-1": [CANN]}))

        fleet = in_child(as_nobody)
        path.parent.chmod(0o755)
        assert alone(fleet)
        assert "cannot be used (" in fleet["history"]
        assert f"Next: ls -ld {path.parent}" in fleet["history"]
        assert os.listdir(path.parent) == ["history.sqlite"]


def test_a_damaged_file_that_cannot_be_moved_loses_no_report() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "history.sqlite"
        path.write_bytes(b"damage" * 100)
        path.chmod(0o666)

        def as_nobody() -> dict[str, Any]:
            if os.getuid() == 0:
                os.setuid(NOBODY)
            else:
                os.chmod(folder, 0o555)
            return added(path, report(day(2), {"npu-1": [CANN]}))

        fleet = in_child(as_nobody)
        os.chmod(folder, 0o755)
        assert alone(fleet)
        assert "cannot be used (Permission denied)" in fleet["history"]
        assert path.read_bytes() == b"damage" * 100


def test_a_file_that_cannot_grow_loses_no_report(path: Path) -> None:
    added(path, report(day(1), {"npu-1": [CANN]}))
    before = path.read_bytes()

    def without_room() -> dict[str, Any]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before), len(before)))
        return added(path, report(day(2), {f"npu-{number}": [CANN, ENV] for number in range(500)}))

    fleet = in_child(without_room)
    assert alone(fleet)
    assert "cannot be used (" in fleet["history"]
    assert statuses(added(path, report(day(3), {"npu-1": [CANN]}))) == [("npu-1", day(1), "still")]


def test_a_full_disk_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added(path, report(day(1), {"npu-1": [CANN]}))
    connect = sqlite3.connect

    def small(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    fleet = added(path, report(day(2), {f"npu-{number}": [CANN, ENV] for number in range(500)}))
    assert alone(fleet)
    assert f"the disk is full: {history.UNKNOWN}. Next: df -h {path.parent}" in fleet["history"]
