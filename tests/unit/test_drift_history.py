# SPDX-License-Identifier: Apache-2.0
"""The history of the drift reports: real SQLite files, also damaged, locked and of killed processes."""

from __future__ import annotations

import copy
import json
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

import jsonschema
import pytest
from ansible.module_utils.ascend_control.drift import history
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import fleets

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "fleet.schema.json").read_text())
CANN, ENV, CARDS = fleets.FAULTS[2], fleets.FAULTS[4], fleets.FAULTS[0]
UNREACHABLE, HOST_KEY = fleets.FAULTS[-2:]
NOBODY = 65534


def day(number: int) -> str:
    return f"2026-03-{number:02d}T01:30:00Z"


def report(made: str, rows: dict[str, list[fleets.Row]], limit: str | None = None) -> dict[str, Any]:
    """What the check made, before the history was asked."""
    made_of = [fleets.node(name, [fleets.finding(name, row) for row in rows[name]]) for name in sorted(rows)]
    fleet = {**fleets.report(made_of), "made": made, "limit": limit, "partial": limit is not None}
    for key in ("changes", "trend", "history"):
        del fleet[key]
    for node in made_of:
        for finding in node["findings"]:
            del finding["first_seen"], finding["status"]
    return fleet


def added(path: Path, fleet: dict[str, Any], keep_days: int = history.KEEP_DAYS) -> dict[str, Any]:
    history.update(path, fleet, keep_days)
    jsonschema.validate(fleet, SCHEMA)
    return fleet


def statuses(fleet: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(n["name"], f["first_seen"], f["status"]) for n in fleet["nodes"] for f in n["findings"]]


def names(mentions: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(mention["node"], mention["component"]) for mention in mentions]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "history.sqlite"


def test_the_first_report_is_all_new(path: Path) -> None:
    fleet = added(path, report(day(1), {"npu-2": [ENV, CARDS], "npu-1": [CANN]}))
    assert statuses(fleet) == [("npu-1", day(1), "new"), ("npu-2", day(1), "new"), ("npu-2", day(1), "new")]
    assert fleet["changes"]["since"] is None
    assert names(fleet["changes"]["new"]) == [("npu-1", "cann"), ("npu-2", "cards"), ("npu-2", "env")]
    assert {mention["last_seen"] for mention in fleet["changes"]["new"]} == {day(1)}
    assert (fleet["changes"]["gone"], fleet["changes"]["still"], fleet["history"]) == ([], 0, None)


def test_still_gone_and_back_again(path: Path) -> None:
    added(path, report(day(1), {"npu-1": [CANN, ENV]}))
    second = added(path, report(day(2), {"npu-1": [CANN, ENV]}))
    assert statuses(second) == [("npu-1", day(1), "still")] * 2
    assert second["changes"] == {"since": day(1), "new": [], "gone": [], "still": 2}
    third = added(path, report(day(3), {"npu-1": [ENV]}))
    (gone,) = third["changes"]["gone"]
    assert (gone["component"], gone["problem"], gone["first_seen"], gone["last_seen"]) == (
        "cann",
        CANN[4],
        day(1),
        day(2),
    )
    assert added(path, report(day(4), {"npu-1": [ENV]}))["changes"]["gone"] == []
    back = added(path, report(day(5), {"npu-1": [CANN, ENV]}))
    assert statuses(back) == [("npu-1", day(5), "new"), ("npu-1", day(1), "still")]
    with closing(sqlite3.connect(path)) as database:
        episodes = database.execute("SELECT first_seen, last_seen, gone FROM episode WHERE component = 'cann'")
        assert episodes.fetchall() == [(day(1), day(2), day(3)), (day(5), day(5), None)]


def test_the_words_of_a_finding_that_is_gone_are_the_last_ones(path: Path) -> None:
    added(path, report(day(1), {"npu-1": [CANN]}))
    added(path, report(day(2), {"npu-1": [("refusal", *CANN[1:4], "another file is gone", *CANN[5:])]}))
    (gone,) = added(path, report(day(3), {"npu-1": []}))["changes"]["gone"]
    assert (gone["problem"], gone["level"]) == ("another file is gone", "refusal")


def test_a_node_that_cannot_be_checked_loses_only_an_old_reason(path: Path) -> None:
    added(path, report(day(1), {"npu-1": [CANN]}))
    second = added(path, report(day(2), {"npu-1": [UNREACHABLE]}))
    assert second["changes"]["gone"] == []
    # Also where a part of it says more than "unknown".
    third = report(day(3), {"npu-1": [HOST_KEY]})
    third["nodes"][0]["components"]["cann"] = "unchecked"
    assert names(added(path, third)["changes"]["gone"]) == [("npu-1", "access")]
    fourth = added(path, report(day(4), {"npu-1": [CANN]}))
    assert statuses(fourth) == [("npu-1", day(1), "still")]
    assert names(fourth["changes"]["gone"]) == [("npu-1", "access")]


def test_what_was_not_looked_at_is_not_gone(path: Path) -> None:
    added(path, report(day(1), {"npu-1": [CANN, ENV], "npu-2": [CANN]}))
    limited = report(day(2), {"npu-1": []}, limit="npu-1")
    limited["components"] = ["cann"]
    assert names(added(path, limited)["changes"]["gone"]) == [("npu-1", "cann")]
    left_out = report(day(3), {"npu-1": [], "npu-2": []})
    del left_out["nodes"][1]["components"]["cann"]
    assert names(added(path, left_out)["changes"]["gone"]) == [("npu-1", "env")]
    assert statuses(added(path, report(day(4), {"npu-1": [], "npu-2": [CANN]}))) == [("npu-2", day(1), "still")]


def test_a_node_that_left_the_inventory_takes_its_findings_along(path: Path) -> None:
    added(path, report(day(1), {"npu-1": [UNREACHABLE], "npu-2": [ENV, CANN]}))
    assert added(path, report(day(2), {"npu-3": []}, limit="npu-3"))["changes"]["gone"] == []
    gone = added(path, report(day(3), {"npu-3": []}))["changes"]["gone"]
    assert names(gone) == [("npu-1", "access"), ("npu-2", "cann"), ("npu-2", "env")]


def test_the_trend_holds_the_last_thirty_whole_reports(path: Path) -> None:
    for hour in range(35):
        last = added(path, report(f"2026-03-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z", {"npu-1": [CANN]}))
    assert len(last["trend"]) == 30
    assert last["trend"][-1] == {
        "made": "2026-03-02T10:00:00Z",
        "nodes": 1,
        "clean": 0,
        "drifted": 1,
        "unchecked": 0,
        "findings": 1,
    }
    assert last["trend"][0]["made"] == "2026-03-01T05:00:00Z"
    partial = added(path, report(day(3), {"npu-1": []}, limit="npu-1"))
    assert partial["trend"] == last["trend"]
    assert added(path, report(day(4), {"npu-1": []}))["changes"]["since"] == day(3)


def test_a_clock_that_goes_backwards_or_stands_breaks_nothing(path: Path) -> None:
    added(path, report(day(5), {"npu-1": [CANN]}))
    for made in (day(5), day(2), "1970-01-01T00:00:00Z"):
        assert statuses(added(path, report(made, {"npu-1": [CANN]}))) == [("npu-1", day(5), "still")]
    last = added(path, report(day(6), {"npu-1": []}))
    assert last["changes"]["since"] == "1970-01-01T00:00:00Z"
    assert [point["made"] for point in last["trend"]] == [day(5), day(5), day(2), "1970-01-01T00:00:00Z", day(6)]


def test_what_is_old_goes_but_not_what_is_open_or_of_the_trend(path: Path) -> None:
    added(path, report("2024-01-01T00:00:00Z", {"npu-1": [CANN, ENV]}, limit="npu-1"))
    added(path, report("2024-01-02T00:00:00Z", {"npu-1": [ENV]}))
    last = added(path, report("2024-01-12T00:00:00Z", {"npu-1": [ENV]}), keep_days=10)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM episode").fetchone() == (2,)
        assert database.execute("SELECT count(*) FROM report").fetchone() == (2,)
    assert len(last["trend"]) == 2
    last = added(path, report("2024-01-12T00:00:01Z", {"npu-1": [ENV]}), keep_days=10)
    assert statuses(last) == [("npu-1", "2024-01-01T00:00:00Z", "still")]
    assert len(last["trend"]) == 3
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM episode").fetchone() == (1,)


def test_half_a_character_of_a_tool_is_kept_in_words(path: Path) -> None:
    odd = (*CANN[:3], "\udc80", "\udcff\0 is odd", *CANN[5:])
    added(path, report(day(1), {"npu-1": []}))
    fleet = report(day(2), {"npu-1": [CANN]})
    fleet["nodes"][0]["findings"][0].update(subject=odd[3], problem=odd[4])
    assert added(path, fleet)["changes"]["new"][0]["problem"] == "\\udcff\0 is odd"
    assert added(path, report(day(3), {"npu-1": []}))["changes"]["gone"][0]["subject"] == "\\udc80"


# The same as the module's rules, in the fewest words: one dictionary of open findings.
NODES, COMPONENTS = ("a", "b", "c"), ("access", "cann", "env")
one_node = st.one_of(
    st.lists(st.sampled_from([CANN, ENV]), unique=True, max_size=2), st.sampled_from([[UNREACHABLE], [HOST_KEY]])
)
one_report = st.tuples(
    st.dictionaries(st.sampled_from(NODES), one_node),
    st.booleans(),
    st.lists(st.sampled_from(COMPONENTS), unique=True),
    st.integers(1, 9),
)


class Model:
    def __init__(self) -> None:
        self.open: dict[str, tuple[str, str, str, str]] = {}
        self.whole: list[str] = []
        self.last: str | None = None

    def expect(self, fleet: dict[str, Any]) -> tuple[Any, ...]:
        made, whole = fleet["made"], fleet["limit"] is None
        now = {f["id"]: (n["name"], f["component"]) for n in fleet["nodes"] for f in n["findings"]}
        looked = {}
        for node in fleet["nodes"]:
            for component in fleet["components"]:
                if component == "access" or node["state"] != "unchecked":
                    looked[node["name"], component] = True
        present = {node["name"] for node in fleet["nodes"]}
        gone = [
            episode
            for key, episode in self.open.items()
            if key not in now and ((episode[0], episode[1]) in looked or (whole and episode[0] not in present))
        ]
        new = sorted((n, c, made, made) for key, (n, c) in now.items() if key not in self.open)
        first = {key: self.open[key][2] if key in self.open else made for key in now}
        still = len(now) - len(new)
        since, self.last = self.last, made
        self.open = {key: episode for key, episode in self.open.items() if episode not in gone}
        self.open.update({key: (n, c, first[key], made) for key, (n, c) in now.items()})
        self.whole += [] if fleet["partial"] else [made]
        return since, first, new, sorted(gone), still, self.whole


def observed(fleet: dict[str, Any]) -> tuple[Any, ...]:
    def short(mentions: list[dict[str, str]]) -> list[tuple[str, str, str, str]]:
        return [(m["node"], m["component"], m["first_seen"], m["last_seen"]) for m in mentions]

    changes = fleet["changes"]
    findings = [finding for node in fleet["nodes"] for finding in node["findings"]]
    assert all((f["status"] == "new") == (f["id"] in {m["id"] for m in changes["new"]}) for f in findings)
    order = [*fleet["components"], *sorted(set(COMPONENTS) - set(fleet["components"]))]
    for key in ("new", "gone"):
        places = [(node, order.index(component)) for node, component in names(changes[key])]
        assert places == sorted(places)
    first = {finding["id"]: finding["first_seen"] for finding in findings}
    trend = [point["made"] for point in fleet["trend"]]
    return (
        changes["since"],
        first,
        sorted(short(changes["new"])),
        sorted(short(changes["gone"])),
        changes["still"],
        trend,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(one_report, min_size=2, max_size=7))
def test_any_sequence_of_reports_is_as_the_model_says(steps: list[tuple[Any, ...]]) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        for rows, limited, components, number in steps:
            # Components of a part are those of a whole check, less some: their findings are not there either.
            chosen = [name for name in COMPONENTS if name not in components or name == "access"]
            fleet = report(
                day(number),
                {name: [row for row in found if row[1] in chosen] for name, found in rows.items()},
                "some" if limited else None,
            )
            fleet["components"] = chosen
            fleet["partial"] = limited or chosen != list(COMPONENTS)
            expected = model.expect(copy.deepcopy(fleet))
            assert observed(added(Path(folder) / "history.sqlite", fleet)) == expected
            assert fleet["history"] is None


def in_child(action: Callable[[], Any]) -> Any:
    """Return what ``action`` returns in a process of its own; None when that ends before it has an answer."""
    source, sink = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(sink, json.dumps(action()).encode())
        finally:
            os._exit(0)
    os.close(sink)
    with open(source, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None


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
