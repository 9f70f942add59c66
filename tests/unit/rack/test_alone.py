# SPDX-License-Identifier: Apache-2.0
"""What is wrong with one node before it trains with others."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import finding
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack import alone
from tests.unit.rack.looks import names, rack, wishes

LINK_DOWN = finding("network", "network-link-down", "the link is not up", "UP", "DOWN: card 1", "", "hccn_tool")
LATER = finding("network", "network-not-persistent", "the address is lost at the next boot", "", "card 1", "", "")
PROCESS = {"pid": 4711, "name": "python", "user": "bob", "command": "python train.py", "chips": [[0, 0, 100]]}

FAULTS: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "nothing": ({}, [], ""),
    "a port": (
        {
            "look.taken": [
                {"port": 60003, "why": "Address already in use", "pid": 9, "user": "bob", "command": "python"}
            ]
        },
        ["port-taken"],
        "60003: Address already in use, 9 (python, bob)",
    ),
    "no such interface": ({"look.interface.name": None}, ["interface-absent"], "bond0, lo"),
    "an interface that is down": ({"look.interface.up": False}, ["interface-down"], "down"),
    "an interface without an address": ({"look.interface.address": None}, ["interface-address"], "none"),
    "a limit": ({"look.facts.system.limits.nofile": [1024, 4096]}, ["limits"], "nofile is 4096, not 8192"),
    "an own name that leads to itself": ({"look.host.addresses": ["127.0.1.1"]}, ["own-name"], "npu-1 is 127.0.1.1"),
    "an own name that nobody knows": (
        {"look.host": {"name": "npu-1", "addresses": [], "error": "Name or service not known"}},
        ["own-name"],
        "Name or service not known",
    ),
    "a path": (
        {"look.paths./data/model.error": "Permission denied: /data/model/a"},
        ["path"],
        "Permission denied: /data/model/a",
    ),
    "a link": ({"look.facts.findings": [LINK_DOWN]}, ["network-link-down"], "DOWN: card 1"),
    "what is lost at boot": ({"look.facts.findings": [LATER]}, [], ""),
    "links that flap": ({"look.cards.1.link_downs_of_day": 3}, ["link-flaps"], "card 1: 3 times"),
    "a cable that was changed": ({"look.cards.1.link_downs_of_day": 2}, [], ""),
    "a process": (
        {"look.facts.npu.processes": [PROCESS], "look.facts.npu.process_count": 1},
        ["cards-in-use"],
        "4711 (python train.py, bob)",
    ),
    "cards of which nobody knows": ({"look.facts.npu.unclear": [1]}, ["cards-in-use"], "cards 1"),
    "a sick card": ({"look.facts.npu.devices.1.health": "Alarm"}, ["card-unhealthy"], "1: Alarm"),
    "no environment": ({"look.facts.environments.current": None}, ["no-environment"], "no link named current"),
    "a change": (
        {"look.facts.changes.running": {"action": "provision", "who": "carol", "control": "c1", "began": "now"}},
        ["being-changed"],
        "provision by carol",
    ),
    "a proof": (
        {
            "proof": {
                "failed": True,
                "problem": "a card fails",
                "found": "507033",
                "wanted": "",
                "where": "",
                "remedy": "x",
            }
        },
        ["proof"],
        "507033",
    ),
    "a wrong sum": ({"smoke": {"ok": False, "error": "all_reduce gave 4"}}, ["smoke"], "all_reduce gave 4"),
    "no tool": ({"look.cards": []}, [], ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_by_its_name_and_in_the_tools_words(fault: str) -> None:
    changes, expected, words = FAULTS[fault]
    answer = rack(1)["npu-1"]
    for path, value in changes.items():
        keys = path.replace("/data/model", "\0").split(".")
        node: Any = answer
        for key in keys[:-1]:
            node = node[int(key)] if isinstance(node, list) else node[key.replace("\0", "/data/model")]
        node[keys[-1]] = value
    found = alone.failures(answer, wishes())
    assert names(found) == expected
    assert all(words in each["found"] and each["remedy"] for each in found)


@pytest.mark.parametrize("level", ["quick", "standard"])
def test_the_cards_network_is_judged_from_level_standard_on(level: str) -> None:
    answer = rack(1)["npu-1"]
    answer["look"]["facts"]["findings"] = [LINK_DOWN]
    assert names(alone.failures(answer, wishes(level=level))) == (["network-link-down"] if level == "standard" else [])


def test_a_card_without_an_address_to_watch_fails_only_where_it_is_not_healthy() -> None:
    answer = rack(1)["npu-1"]
    answer["look"]["cards"][0]["netdetect"] = ""
    assert alone.failures(answer, wishes()) == []
    answer["look"]["facts"]["network"]["cards"][0]["net_health"] = None
    assert names(alone.failures(answer, wishes())) == ["no-detect-address"]


def test_a_card_that_is_taken_out_may_be_sick() -> None:
    answer = rack(1)["npu-1"]
    answer["look"]["facts"]["npu"]["devices"][1].update(health="Alarm", out=True)
    assert alone.failures(answer, wishes()) == []


def test_nothing_is_run_on_cards_that_are_in_use_or_of_a_silent_node() -> None:
    answer = rack(1)["npu-1"]
    assert alone.before_smoke(answer) == []
    answer["look"]["facts"]["npu"].update(processes=[PROCESS], process_count=1)
    assert names(alone.before_smoke(answer)) == ["cards-in-use"]
    silent = finding("rack", "unreachable", "the node cannot be reached")
    assert alone.failures({"silent": silent}, wishes()) == [silent]


def test_remarks_fail_nobody_and_say_what_is_not_known() -> None:
    answer = rack(1)["npu-1"]
    answer["look"]["facts"]["system"]["kernel_settings"]["net.ipv4.ip_local_reserved_ports"] = ""
    answer["look"]["interface"]["asked"] = ""
    answer["look"]["cards"][0].update(switch_port=None, link_downs_of_day=1, unread={"lldp": "no output"})
    text = "\n".join(alone.remarks(answer, wishes()))
    assert "ip_local_reserved_ports is empty" in text
    assert "HCCL will use bond0" in text
    assert "hccn_tool -lldp gave no answer for card 0: no output" in text
    assert "the link of card 0 went down 1 times" in text
