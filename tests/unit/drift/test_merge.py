# SPDX-License-Identifier: Apache-2.0
"""Slices of a drift check become one report, as if one run had made it; one that lacks a slice does not look whole."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.action import drift_merge, drift_report
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import slices
from ansible_collections.ascend.fleet.plugins.plugin_utils import drift_reports
from tests.fleets import FAULTS, finding, node

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "docs" / "fleet.schema.json").read_text())
DRIVERS = {"npu-1": "24.1.rc1", "npu-2": "24.1.rc1", "npu-3": "24.1.rc2", "npu-4": ""}
TOOLKIT, SILENT = FAULTS[2], FAULTS[-2]
FINDINGS = {"npu-2": TOOLKIT, "npu-4": SILENT}
AWX = {"awx_workflow_job_id": 4711, "awx_workflow_job_name": "Drift", "awx_job_template_name": "Drift"}
HOUR = 3600


class Control:
    """Control nodes that share a folder: runs of the two actions, as the playbooks call them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.trouble: AscendError | None = None
        self.slices, self.reports = folder / "slices", folder / "reports"
        self.clock = float(int(time.time())) - HOUR
        monkeypatch.setattr(ActionBase, "run", lambda *_: {})
        monkeypatch.setattr(drift_reports, "trouble", lambda *_: self.trouble)

    def check(self, names: Iterable[str], check: str = "monday", **changes: Any) -> Any:
        """A run of playbooks/drift.yml over these nodes: a slice, or with check="" the whole fleet."""
        self.clock += 60
        variables = changes.pop("variables", {})
        arguments = {"answers": "answer", "deep": False, "components": [], "check": check}
        arguments |= {"slices": str(self.slices) if check or variables else "", **changes}
        hostvars: dict[str, Any] = {}
        for name in names:
            of_node = {**node(name, [finding(name, FINDINGS[name])] if name in FINDINGS else []), "began": self.clock}
            for found in of_node["findings"]:  # the history's
                del found["first_seen"], found["status"]
            if DRIVERS.get(name):
                of_node["peer"] = {"driver": DRIVERS[name], "cann": "8.0.RC1", "mixed": "hang"}
            hostvars[name] = {"answer": {"node": {**of_node, "depot_dir": "/d"}}, "group_names": ["ascend"]}
        variables = {**variables, "hostvars": hostvars, "ansible_play_hosts_all": list(hostvars)}
        return self.run(drift_report, arguments, variables)

    def merge(self, names: Iterable[str] = DRIVERS, check: str = "", limit: str | None = None, **changes: Any) -> Any:
        hosts = list(names)
        variables = {**changes.pop("variables", {}), "ansible_play_hosts_all": hosts}
        variables["hostvars"] = {name: {"group_names": ["ascend"]} for name in hosts}
        variables["groups"] = {"ascend": [*hosts, *changes.pop("others", [])]}
        arguments = {"slices": str(self.slices), "check": check, **changes}
        return self.run(drift_merge, arguments, variables, limit)

    def run(self, action: Any, arguments: dict[str, Any], variables: dict[str, Any], limit: str | None = None) -> Any:
        self.monkeypatch.setattr(drift_reports, "CLIARGS", {"inventory": ["inventory/prod"], "subset": limit})
        whole = {"folder": str(self.reports), "templates": str(ROOT / "roles/drift/templates"), "keep_days": 9999}
        whole |= {"keep_reports": 9, "accept_unchecked": False}
        plugin = action.ActionModule.__new__(action.ActionModule)
        plugin._task = SimpleNamespace(args={**whole, **arguments})
        result = SimpleNamespace(**plugin.run(None, variables))
        result.made = Path(result.folder)
        if result.whole:
            result.fleet = json.loads((result.made / "fleet.json").read_text())
            jsonschema.validate(result.fleet, SCHEMA)
        return result

    def edit(self, run: Any, **changes: Any) -> None:
        run.made.write_text(json.dumps({**json.loads(run.made.read_text()), **changes}))


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Control:
    return Control(tmp_path, monkeypatch)


def unheard(fleet: Any) -> dict[str, str]:
    """The nodes that no slice tells of, and what was found instead."""
    return {
        node["name"]: found["found"]
        for node in fleet["nodes"]
        for found in node["findings"]
        if found["name"] == "slice"
    }


def told(run: Any) -> str:
    return " ".join(run.summary)


def ago(hours: float) -> str:
    return datetime.fromtimestamp(time.time() - hours * HOUR, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def without_times(run: Any) -> dict[str, str]:
    """The files of a report, but for when and how long: the merged one says what it was made of besides."""
    fleet = {key: value for key, value in run.fleet.items() if key not in ("seconds", "merged")}
    texts = {"fleet.json": json.dumps(fleet)}
    for name in ("junit.xml", "fleet.prom"):
        texts[name] = re.sub(r' time="[0-9.]+"|(?<=_duration_seconds )[0-9.]+', "", (run.made / name).read_text())
    return {name: text.replace(str(run.made.parent), "REPORTS") for name, text in texts.items()}


def test_the_report_is_that_of_one_run(control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Control(tmp_path / "alone", monkeypatch)
    whole = alone.check(DRIVERS, check="")
    control.check(["npu-1", "npu-2"])
    control.check(["npu-3", "npu-4"])
    merged = control.merge()
    assert without_times(merged) == without_times(whole)
    assert (merged.exit_code, merged.counts) == (whole.exit_code, whole.counts)
    # No slice has two drivers.
    assert [each["name"] for each in merged.fleet["between"]["findings"]] == ["drivers-differ"]
    assert 3540 <= whole.fleet["seconds"] <= merged.fleet["seconds"] < 3700
    assert merged.fleet["merged"]["missing"] == merged.fleet["merged"]["twice"] == 0
    assert "Merged from 2 slices of the check monday." in merged.summary
    assert "2 slices" in (merged.made / "index.html").read_text()


def test_it_takes_as_long_as_from_the_first_slices_begin_to_the_last_ones_end(control: Control) -> None:
    control.edit(control.check(["npu-1"]), seconds=50.0)
    control.edit(control.check(["npu-2"]), seconds=100)
    assert control.merge(["npu-1", "npu-2"]).fleet["seconds"] == 160


def test_a_slice_is_no_report_and_says_what_comes_next(control: Control) -> None:
    run = control.check(["npu-1", "npu-2"])
    assert (run.whole, run.exit_code) == (False, 2)
    assert not control.reports.exists(), "neither a report nor a history"
    assert "A slice of the check monday, and no report: 1 of 2 nodes drifted." in run.summary
    merge = f"ansible-playbook playbooks/merge.yml -i inventory/prod -e drift_slices_dir={control.slices}"
    assert f"{merge} -e drift_check=monday" in told(run)


@pytest.mark.parametrize("accepts", [False, True])
def test_a_slice_that_is_missing_is_never_overlooked(control: Control, accepts: bool) -> None:
    control.check(["npu-1"])
    merged = control.merge(["npu-1", "npu-3"], accept_unchecked=accepts)
    assert merged.exit_code == 3, "also where silent nodes are accepted: nobody asked this one"
    assert unheard(merged.fleet) == {"npu-3": "1 slice with 1 node, but not this one"}
    assert "no slice covers 1 node" in told(merged)
    assert "no slice covers 1 node" in (merged.made / "index.html").read_text()
    (lost,) = (node for node in merged.fleet["nodes"] if node["name"] == "npu-3")
    assert (lost["state"], lost["groups"]) == ("unchecked", ["ascend"])
    again = f"ansible-playbook playbooks/drift.yml -i inventory/prod -e drift_slices_dir={control.slices}"
    assert lost["findings"][0]["remedy"].startswith(f"{again} -e drift_check=monday --limit npu-3")
    # What it says: one more slice, and the same merge.
    control.check(["npu-3"])
    assert (control.merge(["npu-1", "npu-3"]).exit_code, control.merge(["npu-1"], others=["npu-3"]).exit_code) == (2, 0)


def test_what_a_missing_slice_would_have_found_is_not_gone(control: Control) -> None:
    control.check(["npu-1", "npu-2"])
    first = control.merge(["npu-1", "npu-2"])
    control.check(["npu-1"], check="tuesday")
    second = control.merge(["npu-1", "npu-2"])
    assert [each["name"] for each in first.fleet["changes"]["new"]] == ["toolkit"]
    assert [each["name"] for each in second.fleet["changes"]["new"]] == ["slice"]
    assert second.fleet["changes"]["gone"] == []


def test_of_two_looks_at_a_node_the_later_counts(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    control.check(["npu-1", "npu-2"])
    monkeypatch.setitem(FINDINGS, "npu-2", FAULTS[1])
    control.check(["npu-2"])
    merged = control.merge(["npu-1", "npu-2"])
    assert [found["name"] for node in merged.fleet["nodes"] for found in node["findings"]] == ["driver"]
    assert merged.fleet["merged"]["twice"] == 1
    assert "1 node twice: the later check counts" in told(merged)


def test_a_slice_of_another_ascend_fleet_does_not_count(control: Control) -> None:
    control.check(["npu-1"])
    control.edit(control.check(["npu-2"]), code="0123456789ab")
    merged = control.merge(["npu-1", "npu-2"])
    reason = f"made by another version of ascend-fleet (0123456789ab, this one is {slices.code()})"
    assert unheard(merged.fleet) == {"npu-2": f"a slice that was left out: {reason}"}
    assert merged.exit_code == 3
    assert reason in told(merged)


@pytest.mark.parametrize(
    ("hours", "words"), [(24, "started 24 hours before the merge"), (-24, "started 24 hours after the merge")]
)
def test_a_slice_of_another_day_does_not_count(control: Control, hours: float, words: str) -> None:
    """A check of the same name, of the night before; or a clock that is wrong."""
    control.check(["npu-1"])
    control.edit(control.check(["npu-2"]), made=ago(hours))
    merged = control.merge(["npu-1", "npu-2"])
    assert list(unheard(merged.fleet)) == ["npu-2"]
    assert words in told(merged)
    # Of the same nodes, it does not even replace a look of today's.
    control.check(["npu-2"])
    assert unheard(control.merge(["npu-1", "npu-2"]).fleet) == {}


@pytest.mark.parametrize(
    "text", ["", '{"form": 1, "nodes"', "[]", '{"form": 2}', '{"form": 1, "code": "x"}', "nodes"], ids=repr
)
def test_a_file_that_is_no_slice_does_not_count_and_is_told(control: Control, text: str) -> None:
    control.check(["npu-1"])
    lost = control.check(["npu-2"])
    if text == "nodes":
        control.edit(lost, nodes=[{"name": "npu-2"}])
    else:
        lost.made.write_text(text)
    merged = control.merge(["npu-1", "npu-2"])
    assert (merged.exit_code, list(unheard(merged.fleet))) == (3, ["npu-2"])
    assert f"{lost.made.name} left out: cannot read it" in told(merged).replace("  ", " ")


def test_nodes_that_the_inventory_does_not_have_are_told_and_not_reported(control: Control) -> None:
    control.check(["npu-1", "npu-2", "npu-3"])
    merged = control.merge(["npu-1"], others=["npu-2"], limit="npu-1")
    assert [node["name"] for node in merged.fleet["nodes"]] == ["npu-1"]
    assert (merged.fleet["merged"]["strangers"], merged.fleet["partial"]) == (["npu-3"], True)
    assert "not in the inventory: npu-3" in told(merged)
    assert merged.fleet["between"]["compared"] == 1


def test_the_newest_check_is_merged_or_the_one_that_is_named(control: Control) -> None:
    control.check(["npu-1"], check="zebra")
    control.check(["npu-1"], check="ape")
    assert control.merge(["npu-1"]).fleet["merged"]["check"] == "ape"
    assert control.merge(["npu-1"], check="zebra").fleet["merged"]["check"] == "zebra"
    with pytest.raises(AnsibleActionFail, match=r"no slice of a drift check to merge.* of the check lion"):
        control.merge(["npu-1"], check="lion")
    with pytest.raises(AnsibleActionFail, match="needs a check name"):
        control.merge(["npu-1"], check="../slices/ape")


def test_without_a_slice_that_counts_there_is_no_report(control: Control) -> None:
    with pytest.raises(AnsibleActionFail, match="no slice of a drift check to merge"):
        control.merge()
    control.edit(control.check(["npu-1"]), made=ago(30))
    with pytest.raises(AnsibleActionFail, match=r"none of the slices can be merged.*started 30 hours before the merge"):
        control.merge(["npu-1"])
    with pytest.raises(AnsibleActionFail, match=r"nothing to merge.*drift_slices_dir"):
        control.merge(slices="")
    assert not control.reports.exists()


@pytest.mark.parametrize("other", [{"components": "cann"}, {"deep": True}], ids=str)
def test_slices_that_looked_at_different_things_are_refused(control: Control, other: dict[str, Any]) -> None:
    control.check(["npu-1"])
    control.check(["npu-2"], **other)
    with pytest.raises(AnsibleActionFail, match="the slices checked different components"):
        control.merge()


def test_a_depot_in_trouble_is_told_once(control: Control) -> None:
    control.trouble = AscendError("the depot is gone", "a folder", "none", "/d", "ls /d")
    control.check(["npu-1"])
    control.check(["npu-3"])
    merged = control.merge(["npu-1", "npu-3"])
    assert [found["problem"] for found in merged.fleet["depot"]] == ["the depot is gone"]


def test_a_slice_of_awx_has_the_number_of_its_workflow_job(control: Control) -> None:
    assert control.check(["npu-1"], check="", variables=AWX).made.parent.name == "4711"
    with pytest.raises(AnsibleActionFail, match=r"needs a check name.*found: none"):
        control.check(["npu-1"], check="", variables={"awx_job_id": 1})
    with pytest.raises(AnsibleActionFail, match=r"needs a check name.*found: 'a/b'"):
        control.check(["npu-1"], check="a/b")


def test_a_slice_of_awx_alone_is_no_report_and_no_merge(control: Control) -> None:
    with pytest.raises(AnsibleActionFail, match=r"one slice cannot make a report.*workflow job 4711, 'Drift'"):
        control.check(["npu-1"], check="", variables=AWX, slices="")
    control.check(["npu-1"])
    with pytest.raises(AnsibleActionFail, match="the merge is not sliced"):
        control.merge(variables=AWX)
    # A job of a workflow is none.
    of_a_workflow = {**AWX, "awx_workflow_job_name": "Every night"}
    assert control.check(["npu-1"], check="", variables=of_a_workflow, slices="").whole


def test_old_checks_go_and_what_is_not_ours_stays(control: Control) -> None:
    for check in ("old", "mixed"):
        run = control.check(["npu-1"], check=check)
        run.made.rename(run.made.with_name(f"20200101T000000Z-{'0' * 16}.json"))
        (control.slices / check / f"20200101T000000Z-{'1' * 16}.partial").touch()
    (control.slices / "mixed" / "0-notes.txt").touch()
    control.check(["npu-1"])
    control.merge(["npu-1"], keep_days=90)
    assert sorted(path.name for path in control.slices.iterdir()) == ["mixed", "monday"]


def test_a_slice_that_cannot_be_written_is_told(control: Control) -> None:
    control.slices.write_text("a file")
    with pytest.raises(AnsibleActionFail, match="slices"):
        control.check(["npu-1"])
