# SPDX-License-Identifier: Apache-2.0
"""The report: its document, its lines, the files of names, and the baseline that later runs are compared with."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack import baseline, report as reports
from tests.unit.rack.looks import names, rack, ran, wishes

RUN = {"made": "2026-11-30T04:00:00Z", "seconds": 60.0, "inventory": "-i inventory/prod", "limit": None}
EVEN = [(0, 1, 0.01), (1, 2, 0.01), (2, 0, 0.01)]


def report(answers: Any = None, ran_as: Any = None, before: Any = None, **given: Any) -> dict[str, Any]:
    found = reports.Found(answers or rack(3), wishes(**given))
    return reports.document(found, RUN, {}, ran(EVEN, 3) if ran_as is None else ran_as, before)


def states(document: dict[str, Any]) -> dict[str, str]:
    return {node["name"]: node["state"] for node in document["nodes"]}


def test_three_good_nodes_pass() -> None:
    document = report()
    assert (document["schema"], document["version"]) == ("ascend-fleet/preflight", 1)
    assert states(document) == {"npu-1": "pass", "npu-2": "pass", "npu-3": "pass"}
    assert reports.exit_code(document) == 0
    text = "\n".join(reports.lines(document, "preflight"))
    assert "3 of 3 nodes pass" in text
    assert "268435456" in text
    assert "npu-1 - npu-2" in text
    json.dumps(document)


def test_a_slow_node_fails_with_its_rate() -> None:
    document = report(ran_as=ran([(0, 1, 0.02), (1, 2, 0.02), (2, 0, 0.01)], 3))
    assert states(document) == {"npu-1": "pass", "npu-2": "fail", "npu-3": "pass"}
    assert reports.exit_code(document) == 2
    (failure,) = document["nodes"][1]["failures"]
    assert failure["name"] == "slow"
    assert any(line.startswith("    next: on npu-2: hccn_tool ") for line in reports.lines(document, "preflight"))


def test_a_failure_has_the_tools_words_and_the_next_command() -> None:
    answers = rack(3)
    answers["npu-2"]["look"]["facts"]["environments"]["current"] = None
    document = report(answers, ran_as={})
    lines = reports.lines(document, "preflight")
    assert "    next: ansible-playbook site.yml --limit npu-2" in lines
    assert lines[-1].endswith("playbooks/preflight.yml -i inventory/prod --limit @preflight/failing.txt")
    # Who passed by themselves did all_reduce with nobody here: the report has no rates.
    assert document["all_reduce"] == []


def test_the_cpu_says_that_it_is_no_card() -> None:
    text = "\n".join(reports.lines(report(device="cpu"), "preflight"))
    assert "say nothing about the cards" in text


def limited(folder: Path, file: str) -> list[str]:
    """Which nodes Ansible takes with --limit @file."""
    hosts = folder / "hosts.ini"
    hosts.write_text("[ascend]\nnpu-1\nnpu-2\nnpu-3\nnpu-4\n")
    inventory = InventoryManager(DataLoader(), sources=[str(hosts)])
    inventory.subset(f"@{folder / file}")
    return [host.name for host in inventory.get_hosts("ascend")]


@pytest.mark.parametrize("bad", [[], ["npu-2"], ["npu-1", "npu-2", "npu-3"]])
def test_the_files_are_limits_also_where_they_name_nobody(tmp_path: Path, bad: list[str]) -> None:
    answers = rack(3)
    for name in bad:
        answers[name]["look"]["interface"]["up"] = False
    reports.write(report(answers, ran_as={}), tmp_path / "out", "")
    assert limited(tmp_path / "out", "failing.txt") == bad
    assert limited(tmp_path / "out", "passing.txt") == [f"npu-{n}" for n in (1, 2, 3) if f"npu-{n}" not in bad]


def test_an_empty_file_would_be_no_limit(tmp_path: Path) -> None:
    """Why there is a pattern in a file that names nobody."""
    (tmp_path / "empty.txt").write_text("")
    assert len(limited(tmp_path, "empty.txt")) == 4


@pytest.fixture
def before(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "rack.json"
    reports.write(report(), tmp_path / "out", str(file))
    return baseline.read(str(file))


def worse(answers: Any = None, ran_as: Any = None, before: Any = None) -> dict[str, list[str]]:
    document = report(answers, ran_as, before)
    return {node["name"]: names(node["failures"]) for node in document["nodes"] if node["failures"]}


def test_what_is_as_it_was_passes(before: dict[str, Any]) -> None:
    assert worse(before=before) == {}


def test_rates_links_and_ports_are_compared_with_the_baseline(before: dict[str, Any]) -> None:
    answers = rack(3)
    answers["npu-1"]["look"]["cards"][0]["switch_port"] = "400GE1/1/9"
    answers["npu-2"]["look"]["cards"][1]["link_up_count"] = 2
    assert worse(answers, before=before) == {"npu-1": ["switch-port-moved"], "npu-2": ["link-flaps"]}
    slower = ran([(0, 1, 0.012), (1, 2, 0.012), (2, 0, 0.012)], 3)
    assert worse(ran_as=slower, before=before) == {f"npu-{n}": ["slower"] for n in (1, 2, 3)}
    # Within the tolerance, which stands in the file.
    assert worse(ran_as=ran([(0, 1, 0.0105), (1, 2, 0.0105), (2, 0, 0.0105)], 3), before=before) == {}
    before["tolerance"]["rate"] = 0.99
    assert worse(ran_as=ran([(0, 1, 0.0105), (1, 2, 0.0105), (2, 0, 0.0105)], 3), before=before) != {}


def test_a_driver_that_was_started_anew_and_a_switch_that_is_silent_are_no_failures(before: dict[str, Any]) -> None:
    answers = rack(3)
    for card in answers["npu-1"]["look"]["cards"]:
        card.update(link_up_count=0, switch_port=None)
    assert worse(answers, before=before) == {}


def test_other_nodes_and_another_back_end_are_not_compared(before: dict[str, Any]) -> None:
    document = report(rack(2), ran([(0, 1, 9.0)], 2, seconds=9.0), before)
    assert any("over other nodes: not compared" in words for words in document["remarks"])
    slower = copy.deepcopy(before)
    slower["device"] = "cpu"
    document = report(before=slower)
    assert any("rates were measured on the cpu: not compared" in words for words in document["remarks"])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "ascend-fleet/preflight-baseline", "version": 2}', "{"])
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "rack.json").write_text(text)
    with pytest.raises(AscendError, match="baseline"):
        baseline.read(str(tmp_path / "rack.json"))


def test_a_baseline_is_of_the_nodes_that_pass(tmp_path: Path) -> None:
    answers = rack(3)
    answers["npu-2"]["look"]["interface"]["up"] = False
    reports.write(report(answers, ran_as={}), tmp_path / "out", str(tmp_path / "rack.json"))
    assert sorted(baseline.read(str(tmp_path / "rack.json"))["nodes"]) == ["npu-1", "npu-3"]


@pytest.mark.parametrize(
    ("name", "value"), [("level", "deep"), ("mode", "all"), ("device", "gpu"), ("clock_s", "x"), ("master_port", 0)]
)
def test_a_wish_that_can_be_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises(AscendError):
        wishes(**{name: value})


def test_long_is_a_mesh_unless_it_is_said() -> None:
    assert wishes(level="long").mode == "mesh"
    assert wishes(level="long", mode="pairs").mode == "pairs"
    assert wishes().mode == "pairs"
