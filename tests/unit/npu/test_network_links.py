# SPDX-License-Identifier: Apache-2.0
"""The links alone: one question a healthy card, and everything of the others."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.links import read_links
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.network import read_network
from tests.unit.npu.hccn_node import HANGS, TOOL, UNSUPPORTED, Answer, Tool, devices, named, no_run, nowhere


def test_links_ask_one_question_a_healthy_card(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    facts, findings = tool.links()
    assert findings == []
    assert (facts["tool"], facts["roce"]) == (TOOL, True)
    assert facts["cards"][1] == {
        "device": 1,
        "npu_id": 1,
        "chip_id": 0,
        "address": None,
        "netmask": None,
        "gateway": None,
        "link": None,
        "net_health": "Success",
        "configured": {"address": "10.9.0.2", "netmask": "255.255.0.0", "gateway": "10.9.255.254"},
        "multi_node": True,
        "reasons": [],
    }
    assert sorted(tool.asked) == ["0 -net_health", "1 -net_health"]


@pytest.mark.parametrize("conf", [None, "address_0=10.9.0.1\naddress_1=10.9.0.1\n"])
def test_links_know_nothing_of_what_was_not_asked(tmp_path: Path, conf: str | None) -> None:
    facts, findings = Tool(tmp_path, conf=conf).links()
    assert findings == []
    assert all(found["multi_node"] for found in facts["cards"])
    assert (facts["cards"][1]["configured"] is None) == (conf is None)


@pytest.mark.parametrize(
    ("answers", "names"),
    [
        ({"1 -net_health": "net health status: Fault\n"}, ["network-unhealthy"]),
        ({"1 -net_health": "net health status: Init\n", "1 -ip": ""}, ["network-no-address", "network-unhealthy"]),
        (
            {"1 -net_health": "net health status: Fault\n", "1 -link": "link status: DOWN\n"},
            ["network-link-down", "network-unhealthy"],
        ),
        ({"1 -net_health": "ret: -5\n"}, ["network-unread"]),
        ({"1 -net_health": ""}, ["network-unread"]),
        ({"1 -net_health": "net health status: Successful\n"}, ["network-unhealthy"]),
    ],
)
def test_links_ask_everything_of_the_other_cards(tmp_path: Path, answers: dict[str, Answer], names: list[str]) -> None:
    tool = Tool(tmp_path)
    tool.answers.update(answers)
    facts, findings = tool.links()
    assert named(findings) == names
    asked, tool.asked = sorted(tool.asked), []
    whole, all_findings = tool.read()
    assert findings == all_findings
    assert asked == sorted(["0 -net_health", *(question for question in tool.asked if question[0] == "1")])
    assert facts["cards"][1] == whole["cards"][1]
    assert [card["multi_node"] for card in facts["cards"]] == [True, False]


@pytest.mark.parametrize("read", [read_links, read_network])
def test_a_card_that_is_out_is_not_asked_and_the_others_keep_their_numbers(tmp_path: Path, read: Any) -> None:
    tool = Tool(tmp_path, 3)
    tool.answers.update({"1 -net_health": HANGS, "2 -net_health": "net health status: Fault\n"})
    facts, findings = read(tool.node(), devices(3), 5, [1])
    assert named(findings) == ["network-unhealthy"]
    assert "cards" not in findings[0]["found"]
    assert [card["device"] for card in facts["cards"]] == [0, 2]
    assert {question[0] for question in tool.asked} == {"0", "2"}
    tool.asked = []
    assert read(tool.node(), devices(3), 5, [0, 1, 2]) == ({"tool": TOOL, "roce": None, "cards": []}, [])
    assert tool.asked == []


def test_links_of_a_card_that_hangs_later(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.answers.update({"1 -net_health": "net health status: Fault\n", "1 -gateway": HANGS})
    facts, findings = tool.links()
    assert named(findings) == ["hccn-tool-hangs", "network-unhealthy"]
    assert facts["cards"][1]["reasons"] == ["no answer", "net health: Fault"]
    assert sorted(tool.asked) == ["0 -net_health", "1 -gateway", "1 -ip", "1 -net_health"]


@pytest.mark.parametrize(
    "answer",
    [
        "[devid 1]net health status: Success\n",
        "Net Health Status : Success\n",
        Result(1, "net health status: Success\n", False),
    ],
)
def test_links_ask_again_where_the_answer_is_not_the_plain_one(tmp_path: Path, answer: Answer) -> None:
    tool = Tool(tmp_path)
    tool.answers["1 -net_health"] = answer
    facts, findings = tool.links()
    assert findings == []
    assert (facts["cards"][1]["address"], facts["cards"][1]["net_health"]) == ("10.9.0.2", "Success")
    assert len(tool.asked) == 5


def test_links_of_cards_without_a_port(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.answers = dict.fromkeys(tool.answers, Result(1, UNSUPPORTED, False))
    facts, findings = tool.links(devices(name="310P3"))
    whole = tool.read(devices(name="310P3"))
    assert (facts, findings) == whole
    assert (facts["roce"], findings) == (False, [])


def test_links_ask_a_card_that_hangs_nothing_more(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.answers["1 -net_health"] = HANGS
    facts, findings = tool.links()
    assert named(findings) == ["hccn-tool-hangs"]
    assert findings[0]["found"] == "nothing within 5 s from card 1"
    assert (facts["cards"][1]["reasons"], facts["cards"][1]["multi_node"]) == (["no answer"], False)
    assert sorted(tool.asked) == ["0 -net_health", "1 -net_health"]


def test_links_have_a_time_limit_too(tmp_path: Path) -> None:
    tool = Tool(tmp_path, 64)
    tool.answers = dict.fromkeys(tool.answers, HANGS)
    tool.wait_s = 0.1
    facts, findings = tool.links(devices(64), timeout_s=0.1)
    assert len(tool.asked) <= 8 * 4
    assert "time ran out before cards" in findings[0]["found"]
    assert {tuple(card["reasons"]) for card in facts["cards"]} == {("no answer",)}


def test_links_are_asked_side_by_side(tmp_path: Path) -> None:
    tool = Tool(tmp_path, 8)
    together = threading.Barrier(8)

    def meeting(argv: list[str], timeout_s: float) -> Result:
        together.wait(30)
        return tool.run(argv, timeout_s)

    read_links(Node(meeting, {"hccn_tool": TOOL}.get, str(tmp_path)), devices(8), 5)
    assert len(tool.asked) == 8


def test_links_without_cards_or_a_tool(tmp_path: Path) -> None:
    found: Any
    for found in ([], devices()):
        node = Node(no_run, nowhere, str(tmp_path))
        assert read_links(node, found, 5) == read_network(node, found, 5)


def test_links_read_the_file(tmp_path: Path) -> None:
    tool = Tool(tmp_path, conf="address_0=10.9.0.1\nwhat is this\n")
    facts, findings = tool.links()
    assert named(findings) == ["network-unread"]
    assert facts["cards"][0]["configured"]["address"] == "10.9.0.1"
