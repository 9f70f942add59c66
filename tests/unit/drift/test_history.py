# SPDX-License-Identifier: Apache-2.0
"""The history of the drift reports: what is new, what is still there, what is gone."""

from __future__ import annotations

import copy
import gzip
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import history
from tests import fleets

pytestmark = pytest.mark.slow

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "fleet.schema.json").read_text())
# Written before format 2: three reports of npu-1 and npu-2, the second with --limit npu-1.
FORMAT_1 = Path(__file__).parent / "data" / "drift-history-format-1.sqlite.gz"
CANN, ENV, CARDS = fleets.FAULTS[2], fleets.FAULTS[4], fleets.FAULTS[0]
UNREACHABLE, HOST_KEY = fleets.FAULTS[-2:]


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


DAMAGE = ("change", "env", "damage", "", "", "", "", "/opt/ascend/env/x", "ansible-playbook site.yml")


def damage(subject: str, words: str) -> fleets.Row:
    return (*DAMAGE[:3], subject, words, *DAMAGE[5:])


def test_damage_that_an_earlier_version_knew_by_its_words_is_not_new_when_these_improve(path: Path) -> None:
    pth, twice = (damage(old, old) for old in ("x.pth brings in /o", "fire is there twice"))
    added(path, report(day(1), {"npu-1": [pth, twice], "npu-2": [pth]}))
    better = damage("environment-leak x.pth", "x.pth adds /o to sys.path")
    third = damage("environment-record-broken fire twice", "fire is installed twice")
    fleet = added(path, report(day(2), {"npu-1": [better, third], "npu-2": [CANN]}))
    assert statuses(fleet) == [("npu-1", day(1), "still")] * 2 + [("npu-2", day(2), "new")]
    assert [mention["node"] for mention in fleet["changes"]["gone"]] == ["npu-2"]
    fleet = added(path, report(day(3), {"npu-1": [better], "npu-2": [better]}))
    assert statuses(fleet) == [("npu-1", day(1), "still"), ("npu-2", day(3), "new")]
    fleet = added(path, report(day(4), {"npu-1": [third], "npu-2": [better]}))
    assert statuses(fleet) == [("npu-1", day(4), "new"), ("npu-2", day(3), "still")]


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


def test_a_history_of_format_1_goes_on(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(gzip.decompress(FORMAT_1.read_bytes()))
    fourth = added(path, report(day(4), {"npu-1": [ENV, CANN], "npu-2": [CARDS]}))
    assert fourth["history"] is None
    assert statuses(fourth) == [("npu-1", day(1), "still"), ("npu-1", day(4), "new"), ("npu-2", day(1), "still")]
    assert (fourth["changes"]["since"], names(fourth["changes"]["gone"])) == (day(3), [("npu-2", "access")])
    assert [(point["made"], point["findings"]) for point in fourth["trend"]] == [(day(1), 3), (day(3), 3), (day(4), 3)]
    with closing(sqlite3.connect(path)) as database:
        episodes = database.execute("SELECT number, component, last_seen, gone FROM episode ORDER BY number")
        assert episodes.fetchall() == [
            (1, "cann", day(1), day(2)),
            (2, "env", day(4), None),
            (3, "cards", day(4), None),
            (4, "access", day(3), day(4)),
            (5, "cann", day(4), None),
        ]
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
    assert added(path, report(day(5), {"npu-1": [ENV, CANN], "npu-2": []}))["changes"]["still"] == 2
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


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
