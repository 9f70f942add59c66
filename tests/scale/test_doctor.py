# SPDX-License-Identifier: Apache-2.0
"""playbooks/doctor.yml over fleets with planted faults: each node has its verdict, and all have one screen."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.contract.tree import ROOT
from tests.scale.kinds import ANSWERS, SILENT, Kinds

pytestmark = pytest.mark.slow

SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "doctor.schema.json").read_text()))
# kind -> verdict, the name of the cause that decides
VERDICTS = {
    "healthy": ("healthy", ""),
    "a busy network": ("healthy", ""),
    "a card that fails": ("healthy", ""),  # until verify.yml has proven the cards
    "another fire": ("attention", "distribution-other"),
    "no toolkit": ("attention", "toolkit"),
    "a link is down": ("attention", "network-link-down"),
    "a sick card": ("broken", "health"),
    "an old driver": ("broken", "driver"),
    "away": ("unchecked", "unreachable"),
    "another key": ("unchecked", "host-key"),
    "a full disk": ("unchecked", "disk-full"),
}


def fleet_of(size: int, *kinds: str) -> dict[str, str]:
    """Nodes of these kinds in turn, the first of which are also the last: host name -> kind."""
    return {f"npu-{number:04d}": kinds[number % len(kinds)] for number in range(1, size + 1)}


def screen(output: str) -> list[str]:
    """What stands below the heading."""
    return output.partition("\nDOCTOR *")[2].partition("\n")[2].strip("\n").splitlines()


def doctored(fleet: Kinds, *options: str) -> tuple[int, Any, list[str]]:
    done = fleet.playbook("doctor", *options)
    shown = screen(done.stdout)
    assert shown, done.stdout + done.stderr
    assert sum(-(-len(line) // 80) for line in shown) <= 22, done.stdout
    report = fleet.json("doctor/report.json")
    SCHEMA.validate(report)
    assert done.returncode == report["exit_code"], done.stdout + done.stderr
    return done.returncode, report, shown


def require_verdicts(report: Any, nodes: dict[str, str]) -> None:
    found = {
        node["name"]: (node["verdict"], next((each["name"] for each in node["causes"]), "")) for node in report["nodes"]
    }
    assert found == {name: VERDICTS[kind] for name, kind in nodes.items()}


def test_every_kind_of_fault_has_its_verdict_and_no_file_is_left_but_the_report(tmp_path: Path) -> None:
    nodes = fleet_of(len(VERDICTS), *VERDICTS)
    fleet = Kinds(tmp_path, nodes)
    before = {path.name for path in tmp_path.iterdir()}
    code, report, shown = doctored(fleet, "--check")
    assert code == 2
    require_verdicts(report, nodes)
    for kind in SILENT:
        (name,) = [name for name, its in nodes.items() if its == kind]
        assert any(name in line and VERDICTS[kind][1] in line for line in shown), (kind, shown)
    (busy,) = [node for node in report["nodes"] if nodes[node["name"]] == "a busy network"]
    assert busy["unknown"] == ["network"]
    passing = [name for name, kind in nodes.items() if VERDICTS[kind][0] == "healthy"]
    assert fleet.names("passing.txt") == passing
    assert fleet.names("failing.txt") == [name for name in nodes if name not in passing]
    assert [each["name"] for each in report["fleet"]] == ["depot", "drivers-differ"]
    assert {path.name for path in tmp_path.iterdir()} == {*before, "doctor"}


def test_what_verify_proved_counts_and_site_has_to_do_is_1(tmp_path: Path) -> None:
    fleet = Kinds(tmp_path, fleet_of(3, "healthy", "another fire", "away"))
    fleet.fill_depot()
    verified = fleet.playbook("verify")
    states = {node["name"]: (node["state"], node["cards"]) for node in fleet.json("verify/report.json")["nodes"]}
    none = ("unknown", 0)
    assert states == {"npu-0001": none, "npu-0002": none, "npu-0003": ("pass", 8)}, verified.stdout
    code, report, shown = doctored(fleet, "--limit", "!npu-0002")
    assert (code, report["counts"]["attention"], report["partial"]) == (1, 1, True)
    assert "verify, just now: 1 passed, 0 failed, 1 not known" in shown
    assert f"   {report['causes'][0]['command']}" in shown


@pytest.mark.whole
def test_a_card_that_verify_saw_fail_breaks_its_node_and_the_others_are_a_limit(tmp_path: Path) -> None:
    fleet = Kinds(tmp_path, fleet_of(2, "healthy", "a card that fails"))
    fleet.fill_depot()
    assert fleet.playbook("verify").returncode == 2
    code, report, _ = doctored(fleet)
    assert code == 2
    assert [node["verdict"] for node in report["nodes"]] == ["broken", "healthy"]
    (cause,) = report["nodes"][0]["causes"]
    assert (cause["source"], cause["name"], cause["found"]) == ("verify", "device-start-failed", "507033")
    code, report, shown = doctored(fleet, "--limit", "@doctor/passing.txt")
    assert (code, report["counts"]["nodes"], report["limit"]) == (0, 1, "@doctor/passing.txt")
    assert fleet.names("failing.txt") == fleet.names("cause-1.txt") == ["!all"]
    assert shown[0] == "1 node: 1 healthy, 0 need attention, 0 broken, 0 not checked"


@pytest.mark.whole
@pytest.mark.parametrize("size", [40, 1000])
def test_a_large_fleet_is_one_screen_at_the_cost_of_a_drift_check(tmp_path: Path, size: int) -> None:
    kinds = [*VERDICTS, *["healthy"] * 30]
    nodes = fleet_of(size, *kinds)
    fleet = Kinds(tmp_path, nodes)
    seconds: dict[str, float] = {}
    for name in ("drift", "doctor"):
        begin = time.monotonic()
        fleet.playbook(name)
        seconds[name] = time.monotonic() - begin
    code, report, _ = doctored(fleet)
    assert code == 2
    require_verdicts(report, nodes)
    assert sum(len(group["nodes"]) for group in report["groups"]) == size
    print(f"{size} nodes: drift {seconds['drift']:.1f} s, doctor {seconds['doctor']:.1f} s", os.getloadavg())


@pytest.mark.whole
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-e", "drift_components=kann"), "unknown component: kann"),
        (("-e", "doctor_dir=/dev/null/doctor"), "cannot write the report"),
        (
            ("-e", json.dumps({"awx_job_template_name": "F", "awx_workflow_job_name": "F", "awx_workflow_job_id": 1})),
            "one slice is not enough for a verdict on the fleet",
        ),
    ],
)
def test_what_keeps_a_verdict_from_being_made_is_told_and_is_2(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    done = Kinds(tmp_path, fleet_of(1, "healthy")).playbook("doctor", *options)
    assert (done.returncode, words in " ".join(done.stdout.split())) == (2, True), done.stdout
    assert not (tmp_path / "doctor").exists()


def test_the_kinds_are_all_there() -> None:
    assert {*ANSWERS, *SILENT} == set(VERDICTS)
