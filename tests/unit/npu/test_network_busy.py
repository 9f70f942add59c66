# SPDX-License-Identifier: Apache-2.0
"""hccn_tool that is busy for a moment, and one that stays so; noise beside its answers."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu import busy
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.network import read_network
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import findings as told
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import as_refusal, split
from tests.unit.npu.hccn_node import HANGS, TOOL, Answer, Tool, devices, named

WORDS = ("hccn_tool is busy, please try again.\n", "Get lock failed. Please try again.\n")
PRELOAD = "ERROR: ld.so: object '/lib64/libonion.so' from LD_PRELOAD cannot be preloaded (no such file): ignored.\n"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busy, "WAITS_S", (0.0, 0.0, 0.0))


@pytest.mark.parametrize("said", [*WORDS, Result(1, "", False, WORDS[0]), Result(0, WORDS[1], False)])
@pytest.mark.parametrize("question", ["1 -net_health", "1 -ip", "0 -gateway", "0 -link"])
def test_a_tool_that_is_busy_is_asked_again(tmp_path: Path, said: Answer, question: str) -> None:
    tool = Tool(tmp_path)
    tool.first[question] = [said, said]
    facts, findings = tool.read()
    assert findings == []
    assert [card["multi_node"] for card in facts["cards"]] == [True, True]
    assert tool.asked.count(question) == 3


def test_the_links_of_a_tool_that_is_busy_once(tmp_path: Path) -> None:
    tool = Tool(tmp_path, 8)
    tool.first = {f"{card} -net_health": [WORDS[0]] for card in range(8)}
    facts, findings = tool.links(devices(8))
    assert (findings, {card["net_health"] for card in facts["cards"]}) == ([], {"Success"})
    assert {question.split()[1] for question in tool.asked} == {"-net_health"}


def test_after_one_busy_the_ports_are_asked_one_after_another(tmp_path: Path) -> None:
    """Eight questions at once make it busy; each later one is asked when the one before has its answer."""
    tool = Tool(tmp_path, 8)
    all_at_once = threading.Barrier(8)
    later: list[bool] = []
    together = threading.Semaphore(1)

    def run(argv: list[str], timeout_s: float) -> Result:
        if len(tool.asked) < 8 and not later:
            tool.run(argv, timeout_s)
            all_at_once.wait(30)
            return Result(1, WORDS[0], False)
        alone = together.acquire(blocking=False)
        later.append(alone)
        time.sleep(0.01)
        if alone:
            together.release()
        return tool.run(argv, timeout_s)

    facts, findings = read_network(Node(run, {"hccn_tool": TOOL}.get, str(tmp_path)), devices(8), 5)
    assert (findings, len(facts["cards"])) == ([], 8)
    assert len(later) == 8 * 4
    assert all(later)


@pytest.mark.parametrize("said", WORDS)
def test_a_tool_that_stays_busy_tells_nothing_and_nothing_is_wrong(tmp_path: Path, said: str) -> None:
    tool = Tool(tmp_path)
    tool.answers["1 -net_health"] = Result(1, said, False)
    facts, findings = tool.links()
    assert named(findings) == ["network-busy"]
    assert said.strip() in findings[0]["found"]
    assert "card 1" in findings[0]["found"]
    assert [card["multi_node"] for card in facts["cards"]] == [True, None]
    assert tool.asked.count("1 -net_health") == 2 + len(busy.WAITS_S)
    warnings, remarks = split([as_refusal(finding) for finding in findings])
    assert (warnings, [remark["check"] for remark in remarks]) == ([], ["network-busy"])
    assert told.unknown({"npu": {"answered": True}, "findings": findings}) == ("network",)


def test_a_tool_that_stays_busy_keeps_nobody_waiting_for_each_port(tmp_path: Path) -> None:
    tool = Tool(tmp_path, 8)
    tool.answers = dict.fromkeys(tool.answers, WORDS[0])
    facts, findings = tool.links(devices(8))
    assert named(findings) == ["network-busy"]
    assert {card["multi_node"] for card in facts["cards"]} == {None}
    assert len(tool.asked) <= 8 * 2 + len(busy.WAITS_S)


def test_a_port_that_hangs_is_no_busy_one(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.answers.update({"0 -net_health": WORDS[0], "1 -net_health": HANGS})
    assert sorted(named(tool.links()[1])) == ["hccn-tool-hangs", "network-busy"]


def test_noise_on_error_output_changes_no_answer(tmp_path: Path) -> None:
    tool, plain = Tool(tmp_path), Tool(tmp_path)
    tool.answers = {words: Result(0, str(said), False, PRELOAD) for words, said in tool.answers.items()}
    assert tool.links() == plain.links()
    assert len(tool.asked) == 2, "the plain answer was seen"
    assert tool.read() == plain.read()


def test_a_card_without_an_address_says_nothing_beside_noise(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.answers["1 -ip"] = Result(0, "", False, PRELOAD)
    assert named(tool.read()[1]) == ["network-no-address"]
    tool.answers["1 -ip"] = Result(1, "", False, PRELOAD + "ret: -5\n")
    findings = tool.read()[1]
    assert (named(findings), findings[0]["found"]) == (["network-unread"], "card 1: ret: -5")
