# SPDX-License-Identifier: Apache-2.0
"""The depot's own trouble in a drift report: told once, on the control node, whatever number of nodes take from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import trouble as depot_trouble
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import (
    fleet as fleets,
    history,
    page,
    summary,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice.message import compose, is_due

ROOT = Path(__file__).resolve().parents[3]
NODES = 200


def report(day: int, depot: Path) -> dict[str, Any]:
    """The report of a clean fleet whose depot this is."""
    components = fleets.chosen(None)
    clean: dict[str, Any] = {"state": "clean", "release": "8.0.RC1", "installed": {}, "findings": []}
    clean |= {"groups": ["ascend"], "remarks": [], "components": dict.fromkeys(components, "clean"), "seconds": 1.0}
    nodes = [{"name": f"npu-{number:03}", **clean} for number in range(NODES)]
    run: dict[str, Any] = {
        "made": f"2026-03-{day:02}T01:30:00Z",
        "seconds": 9.0,
        "inventory": ["inventory/prod"],
        "limit": None,
    }
    found = depot_trouble.trouble(str(depot), "-i inventory/prod")
    return fleets.fleet(
        nodes, {**run, "deep": False, "components": components}, fleets.of_the_depot([found] if found else [])
    )


@pytest.fixture
def reports(tmp_path: Path) -> list[dict[str, Any]]:
    """Four nights: the depot is whole, gone, still gone, whole."""
    whole, gone = tmp_path / "depot", tmp_path / "gone"
    whole.mkdir()
    (whole / "index.json").write_text('{"files": {}}')
    made = []
    for day, depot in enumerate((whole, gone, gone, whole), start=1):
        made.append(report(day, depot))
        history.update(tmp_path / "history.sqlite", made[-1])
    return made


def test_it_is_told_once_and_no_node_has_it(reports: list[dict[str, Any]]) -> None:
    first, second, third, fourth = reports
    schema = json.loads((ROOT / "docs" / "fleet.schema.json").read_text())
    for made in reports:
        jsonschema.validate(made, schema)
        assert made["counts"]["clean"] == NODES
    assert [len(made["depot"]) for made in reports] == [0, 1, 1, 0]
    (finding,) = second["depot"]
    assert (finding["problem"], finding["status"]) == ("the depot is gone", "new")
    assert finding["remedy"].endswith("ansible-playbook playbooks/depot.yml -i inventory/prod")
    assert third["depot"][0]["status"] == "still"
    assert [mention["node"] for mention in second["changes"]["new"]] == ["control node"]
    assert [mention["problem"] for mention in fourth["changes"]["gone"]] == ["the depot is gone"]
    assert first["changes"]["new"] == []


def test_the_exit_code_and_the_notice(reports: list[dict[str, Any]]) -> None:
    codes = [fleets.exit_code(made["counts"], False, made["depot"]) for made in reports]
    assert codes == [0, 2, 2, 0]
    assert [is_due(made, False) for made in reports] == [False, True, False, True]
    message = compose(reports[1], "", "", False)
    assert message["new"] == ["control node system: the depot is gone"]


def test_the_summary_and_the_page_say_it_in_the_depots_own_words(reports: list[dict[str, Any]]) -> None:
    text = summary.lines(reports[1], "/reports/latest")
    assert text[0] == f"All {NODES} nodes match the inventory."
    assert text[1].startswith("Control node: the depot is gone: ")
    assert "no such folder" in " ".join(text[1:3])
    assert not [line for line in summary.lines(reports[0], "/reports/latest") if "Control node" in line]
    drawn = page.render(reports[1], ROOT / "roles" / "drift" / "templates")
    assert drawn.count("the depot is gone") >= 1
    assert "<b>Control node</b>" in drawn
    assert "<b>Control node</b>" not in page.render(reports[0], ROOT / "roles" / "drift" / "templates")
