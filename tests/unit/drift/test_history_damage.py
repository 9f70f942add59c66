# SPDX-License-Identifier: Apache-2.0
"""The history of the drift reports when its file is damaged, locked, or left by a killed process: real SQLite files."""

from __future__ import annotations

import gzip
import os
import random
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

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import history, page, summary
from tests.children import in_child
from tests.page.browsing import TEMPLATES
from tests.unit.drift.test_history import CANN, CARDS, ENV, FORMAT_1, added, day, names, report, statuses

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "history.sqlite"


@pytest.fixture
def format_1(path: Path) -> Path:
    path.parent.mkdir()
    path.write_bytes(gzip.decompress(FORMAT_1.read_bytes()))
    return path


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
    for line in range(0, 10_000, 5):
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


def test_what_a_killed_process_had_half_written_is_taken_back(path: Path) -> None:
    added(path, report(day(1), {f"npu-{number}": [CANN, ENV, CARDS] for number in range(200)}))

    def half() -> None:
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE episode SET problem = hex(randomblob(2000)), gone = last_seen")
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
            f"{path} is used by another process: this report cannot say what is new, gone or still there. "
            f"Next: fuser -v {path}"
        )
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["history.sqlite"]


def test_a_lock_that_is_given_back_is_waited_for(path: Path, locked: subprocess.Popen[str]) -> None:
    assert history.BUSY_S == 5
    assert locked.stdin is not None
    locked.stdin.close()
    assert statuses(added(path, report(day(2), {"npu-1": [CANN]}))) == [("npu-1", day(1), "still")]


def test_damage_anywhere_loses_no_report_and_no_file(path: Path) -> None:
    rows = {f"npu-{number}": [CANN, ENV] for number in range(40)}
    added(path, report(day(1), rows))
    added(path, report(day(2), rows))
    sound = path.read_bytes()
    chance = random.Random(7)
    moved = 0
    for _ in range(25):
        damaged = bytearray(sound)
        if chance.random() < 0.2:
            del damaged[chance.randrange(1, len(sound)) :]
        for _ in range(chance.choice([1, 4, 300])):
            place = chance.randrange(len(damaged) if chance.random() < 0.8 else min(100, len(damaged)))
            damaged[place] = chance.randrange(256)
        path.write_bytes(damaged)
        fleet = report(day(3), rows)
        history.update(path, fleet)
        assert page.render(fleet, TEMPLATES)
        assert summary.lines(fleet, "reports/latest")
        asides = [entry for entry in path.parent.iterdir() if entry != path]
        if asides:
            moved += 1
            assert [entry.name for entry in asides] == ["history.sqlite.broken-20260303T013000Z"]
            assert asides[0].read_bytes() == damaged
            assert "every finding is new" in fleet["history"]
            assert (fleet["changes"]["since"], len(fleet["changes"]["new"])) == (None, 80)
            asides[0].unlink()
            assert added(path, report(day(4), rows))["history"] is None
        elif fleet["history"] is not None:
            assert alone(fleet)
            assert path.read_bytes() == damaged
        path.unlink()
    assert moved > 12


FOREIGN = (
    "UPDATE report SET made = '2026-O3-01T01:30:00Z' WHERE number = 1",
    "UPDATE report SET drifted = 'many'",
    "UPDATE report SET nodes = -1",
    "UPDATE episode SET first_seen = '2026-02-30T01:30:00Z'",
    "UPDATE episode SET problem = x'616c74'",
)


def is_set_aside(path: Path) -> None:
    fleet = added(path, report(day(9), {"npu-2": []}))
    assert fleet["history"] is not None
    assert "was damaged (" in fleet["history"]
    assert "CHECK" in fleet["history"] or "NOT NULL" in fleet["history"]
    assert path.with_name("history.sqlite.broken-20260309T013000Z").exists()


@pytest.mark.parametrize("statement", FOREIGN)
def test_a_value_of_a_foreign_type_is_damage(path: Path, statement: str) -> None:
    added(path, report(day(1), {"npu-1": [CANN]}))
    with closing(sqlite3.connect(path)) as database:
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(statement)
        database.execute("PRAGMA ignore_check_constraints = 1")
        database.execute(statement)
        database.commit()
    is_set_aside(path)


@pytest.mark.parametrize("statement", [*FOREIGN, "UPDATE episode SET node = NULL"])
def test_so_it_is_in_a_file_of_format_1(format_1: Path, statement: str) -> None:
    with closing(sqlite3.connect(format_1)) as database:
        database.execute(statement)
        database.commit()
    is_set_aside(format_1)


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


def test_an_error_whose_words_are_no_text_is_damage(path: Path) -> None:
    added(path, report(day(1), {"npu-1": [CANN]}))
    path.write_bytes(path.read_bytes().replace(b"WHERE gone IS NULL", b"WHERE \x96one IS NULL"))
    assert "was damaged (" in added(path, report(day(2), {"npu-1": [CANN]}))["history"]


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_stranger_s_database_is_moved_aside(path: Path, version: int) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE report (made TEXT)")
        database.execute(f"PRAGMA user_version = {version}")
    assert "was damaged (" in added(path, report(day(1), {"npu-1": []}))["history"]
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
        database.execute(f"PRAGMA user_version = {history.VERSION + 1}")
        database.execute("DROP TABLE report")
        database.commit()
    before = path.read_bytes()
    fleet = added(path, report(day(2), {"npu-1": [CANN]}))
    assert alone(fleet)
    assert "a newer ascend-fleet (format 3, this one reads 2)" in fleet["history"]
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
