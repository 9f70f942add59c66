# SPDX-License-Identifier: Apache-2.0
"""What differs between nodes, in a drift report: a finding of the fleet, with a history, which no node has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.action import drift_report
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import outputs, summary
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice.message import compose, is_due
from ansible_collections.ascend.fleet.plugins.plugin_utils import drift_reports
from tests.fleets import COMPONENTS, FAULTS, finding, node
from tests.unit.drift.test_outputs import cases, metrics

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "roles" / "drift" / "templates"
FLEET = ("drift", "the fleet")
PROBLEM = "nodes with CANN 8.0.RC1 have different drivers, and HCCL hangs between them"
SILENT = None  # a node that gives no facts


def faulty(name: str) -> dict[str, str]:
    return finding(name, FAULTS[-1])


class Nights:
    """Reports, a second apart, of nodes with these drivers: the action, as the playbook calls it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch, self.clock = folder, monkeypatch, 1_772_415_000.0
        monkeypatch.setattr(ActionBase, "run", lambda *_: {})
        monkeypatch.setattr(drift_reports, "trouble", lambda *_: None)

    def report(self, drivers: dict[str, str | None], limit: str | None = None, **changes: Any) -> Any:
        self.clock += 60
        self.monkeypatch.setattr(drift_reports, "CLIARGS", {"inventory": ["inventory/prod"], "subset": limit})
        mixed, cann = changes.pop("mixed", "hang"), changes.pop("cann", "8.0.RC1")
        arguments = {"answers": "answer", "folder": str(self.folder), "templates": str(TEMPLATES), "keep_days": 9999}
        arguments |= {"keep_reports": 9, "accept_unchecked": False, "deep": False, "components": [], **changes}
        hostvars: dict[str, Any] = {}
        for name, driver in drivers.items():
            of_node = {**node(name, [faulty(name)] if driver is SILENT else []), "began": self.clock, "depot_dir": "/d"}
            for found in of_node["findings"]:  # the history's
                del found["first_seen"], found["status"]
            if driver is not SILENT:
                of_node["peer"] = {"driver": driver, "cann": cann, "mixed": mixed}
            hostvars[name] = {"answer": {"node": of_node}, "group_names": ["ascend"]}
        plugin = drift_report.ActionModule.__new__(drift_report.ActionModule)
        plugin._task = SimpleNamespace(args=arguments)
        result = plugin.run(None, {"hostvars": hostvars, "ansible_play_hosts_all": list(drivers)})
        return SimpleNamespace(**result, fleet=json.loads((Path(result["folder"]) / "fleet.json").read_text()))


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nights:
    return Nights(tmp_path / "reports", monkeypatch)


ALIKE: dict[str, str | None] = {f"npu-{number}": "24.1.rc1" for number in range(5)}
MIXED = {**ALIKE, "npu-3": "25.0.rc1"}


def mentions(report: Any, kind: str) -> list[tuple[str, str]]:
    return [(each["node"], each["name"]) for each in report.fleet["changes"][kind]]


DIFFER = [("the fleet", "drivers-differ")]


def test_it_is_the_fleets_and_no_nodes(nights: Nights) -> None:
    reports = [nights.report(drivers) for drivers in (ALIKE, MIXED, MIXED, ALIKE)]
    schema = json.loads((ROOT / "docs" / "fleet.schema.json").read_text())
    for report in reports:
        jsonschema.validate(report.fleet, schema)
        assert (report.counts["clean"], report.counts["findings"]) == (5, 0)
        assert report.fleet["between"]["compared"] == 5
        assert all("peer" not in each for each in report.fleet["nodes"])
    assert [report.exit_code for report in reports] == [0, 2, 2, 0]
    assert [mentions(report, "new") for report in reports] == [[], DIFFER, [], []]
    assert [mentions(report, "gone") for report in reports] == [[], [], [], DIFFER]
    (told,) = reports[2].fleet["between"]["findings"]
    assert (told["problem"], told["level"], told["status"]) == (PROBLEM, "warning", "still")
    assert told["found"] == "24.1.rc1 on 4 nodes, 25.0.rc1 on 1 node (npu-3)"
    assert told["id"] == reports[1].fleet["between"]["findings"][0]["id"]


def test_the_next_command_reads_this_report(nights: Nights) -> None:
    (told,) = nights.report(MIXED).fleet["between"]["findings"]
    assert told["remedy"].startswith("jq -r '.nodes[] | [.installed.driver, .name] | @tsv' ")
    (path,) = re.findall(r"@tsv' (\S+) \| sort  #", told["remedy"])
    assert json.loads(Path(path).read_text())["nodes"][0]["installed"]["driver"]


def test_it_stays_while_somebody_did_not_tell(nights: Nights) -> None:
    """The node with the other driver is silent, not asked, or another part was looked at: nothing is gone."""
    nights.report(MIXED)
    silent = nights.report({**ALIKE, "npu-3": SILENT})
    assert (mentions(silent, "gone"), silent.exit_code, silent.fleet["between"]["findings"]) == ([], 3, [])
    for report in (
        nights.report({"npu-1": "24.1.rc1"}, limit="npu-1"),
        nights.report(ALIKE, components=["cann", "env"]),
        nights.report({**ALIKE, "npu-3": ""}),
    ):
        assert DIFFER[0] not in mentions(report, "gone")
        assert report.exit_code == 0
    again = nights.report(MIXED)
    assert again.fleet["between"]["findings"][0]["status"] == "still"
    assert mentions(nights.report(ALIKE), "gone") == DIFFER


def test_with_a_limit_it_says_what_was_compared(nights: Nights) -> None:
    one = nights.report({"npu-1": "25.0.rc1"}, limit="npu-1")
    assert one.fleet["between"] == {"compared": 1, "findings": [], "remarks": []}
    assert "Partial: --limit npu-1; drivers compared with no other node." in one.summary
    two = nights.report({"npu-1": "24.1.rc1", "npu-3": "25.0.rc1"}, limit="npu-1,npu-3")
    assert "Partial: --limit npu-1,npu-3; drivers compared between 2 nodes." in two.summary
    line = "<li>nodes beyond --limit npu-1,npu-3; drivers compared between 2 nodes</li>"
    assert line in (Path(two.folder) / "index.html").read_text()
    (told,) = two.fleet["between"]["findings"]
    assert told["where"] == "npu-smi info of 2 nodes; other nodes were not queried (--limit npu-1,npu-3)"
    other = nights.report({"npu-1": "24.1.rc1"}, limit="npu-1", components=["cann"])
    assert "Partial: --limit npu-1; looked at access, cann." in other.summary


def test_other_components_compare_nothing(nights: Nights) -> None:
    report = nights.report(MIXED, components="cann,env")
    assert report.fleet["between"] == {"compared": 0, "findings": [], "remarks": []}
    assert report.exit_code == 0


def test_the_summary_and_the_page_say_it(nights: Nights) -> None:
    clean, mixed = nights.report(ALIKE), nights.report(MIXED)
    assert mixed.summary[0] == "All 5 nodes match the inventory."
    assert mixed.summary[1].startswith(f"The fleet: {PROBLEM}: 24.1.rc1 ")
    assert "npu-3" in " ".join(mixed.summary[1:4])
    assert not any("The fleet" in line for line in clean.summary)
    for report, times in ((clean, 0), (mixed, 1)):
        drawn = (Path(report.folder) / "index.html").read_text()
        assert drawn.count("<b>The fleet</b>") == times
        for mention in report.fleet["changes"]["new"]:
            assert f'id="finding-{mention["id"]}"' in drawn


def test_a_remark_is_no_drift(nights: Nights) -> None:
    report = nights.report(MIXED, mixed="", cann="9.0.0")
    assert (report.exit_code, report.fleet["between"]["findings"], mentions(report, "new")) == (0, [], [])
    (remark,) = report.fleet["between"]["remarks"]
    assert remark["name"] == "drivers-not-alike"
    jsonschema.validate(report.fleet, json.loads((ROOT / "docs" / "fleet.schema.json").read_text()))
    assert "Remark (not drift): the fleet: nodes with CANN 9.0.0 have different drivers" in report.summary
    drawn = (Path(report.folder) / "index.html").read_text()
    assert "<b>The fleet</b>" in drawn
    assert "<h3>nodes with CANN 9.0.0 have different drivers</h3>" in drawn
    assert not is_due(report.fleet, False)


def test_programs_are_told(nights: Nights) -> None:
    clean, mixed, alone = nights.report(ALIKE), nights.report(MIXED), nights.report({"npu-1": "24.1.rc1"})
    assert cases(clean.fleet)["fleet", "the fleet"] is None
    failed, skipped = cases(mixed.fleet)["fleet", "the fleet"], cases(alone.fleet)["fleet", "the fleet"]
    assert failed is not None
    assert (failed.tag, failed.get("type"), failed.get("message")) == ("failure", "warning", PROBLEM)
    assert skipped is not None
    assert skipped.tag == "skipped"
    gauges = metrics(outputs.prometheus(mixed.fleet))
    assert gauges["ascend_fleet_findings_between_nodes",] == 1
    assert gauges["ascend_fleet_nodes_compared",] == 5


def test_it_is_notified_of(nights: Nights) -> None:
    reports = [nights.report(drivers) for drivers in (ALIKE, MIXED, MIXED, ALIKE)]
    assert [is_due(report.fleet, False) for report in reports] == [False, True, False, True]
    message = compose(reports[1].fleet, "", "", False)
    assert message["new"] == [f"the fleet driver: {PROBLEM}"]
    assert message["headline"].endswith("5 of 5 nodes clean, 1 finding of the fleet as a whole")
    assert compose(reports[3].fleet, "", "", False)["gone"] == [f"the fleet driver: {PROBLEM}"]
    assert is_due({**reports[2].fleet, "history": "it cannot be used"}, False)


def test_what_a_check_of_a_few_saw_first_is_notified_of_by_the_whole_one(nights: Nights) -> None:
    nights.report(ALIKE)
    few = nights.report({"npu-1": "24.1.rc1", "npu-3": "25.0.rc1"}, limit="npu-1,npu-3")
    assert not is_due(few.fleet, False)
    whole = nights.report(MIXED)
    assert whole.fleet["between"]["findings"][0]["status"] == "still"
    assert is_due(whole.fleet, False)
    assert compose(whole.fleet, "", "", False)["new"] == [f"the fleet driver: {PROBLEM}"]


def test_reports_of_before_are_read(nights: Nights) -> None:
    """They do not say what differs between nodes."""
    fleet = nights.report(ALIKE).fleet
    del fleet["between"]
    jsonschema.validate(fleet, json.loads((ROOT / "docs" / "fleet.schema.json").read_text()))
    assert summary.lines(fleet, "/reports/latest")[0] == "All 5 nodes match the inventory."
    assert outputs.junit(fleet)
    assert outputs.prometheus(fleet)
    assert not is_due(fleet, False)
    assert compose(fleet, "", "", False)["new"] == []


def test_a_screen_is_enough_for_all_of_it(nights: Nights) -> None:
    """However much else there is to say."""
    report = nights.report(MIXED)
    rows = [(level, part, f"n-{level}", "s", "p", "w", "f", "x", "r") for part in COMPONENTS for level in ("warning",)]
    full = {**report.fleet, "history": "words " * 99, "limit": "all", "partial": True}
    full["nodes"] = [
        node("npu-1", [finding("npu-1", row) for row in rows]),
        *(node(name, [faulty(name)]) for name in ("a", "b")),
    ]
    full["nodes"][0]["remarks"] = [
        {**remark, "problem": str(number)} for number, remark in enumerate(full["nodes"][0]["findings"])
    ]
    full["depot"] = full["between"]["findings"] * 2
    for width in (56, 100, 200):
        shown = summary.lines(full, "/reports/latest", width)
        assert len(shown) <= 22
        assert shown[-1].startswith("Report: ")
        assert any(line.startswith("The fleet: ") for line in shown)
        assert any(line.startswith("Control node: ") for line in shown)
