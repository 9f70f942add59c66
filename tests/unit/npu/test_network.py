# SPDX-License-Identifier: Apache-2.0
"""The cards' own network: what hccn_tool and /etc/hccn.conf say of it, and what is wrong with it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.network import read_network
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.ports import device_numbers
from tests.unit.npu.hccn_node import HANGS, TOOL, UNSUPPORTED, Answer, Tool, devices, named, no_run, nowhere


def test_all_is_well(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    facts, findings = tool.read()
    assert findings == []
    assert (facts["tool"], facts["roce"]) == (TOOL, True)
    assert facts["cards"][1] == {
        "device": 1,
        "npu_id": 1,
        "chip_id": 0,
        "address": "10.9.0.2",
        "netmask": "255.255.0.0",
        "gateway": "10.9.255.254",
        "link": "UP",
        "net_health": "Success",
        "configured": {"address": "10.9.0.2", "netmask": "255.255.0.0", "gateway": "10.9.255.254"},
        "multi_node": True,
        "reasons": [],
    }
    assert sorted(tool.asked) == sorted(tool.answers)


def test_sixteen_cards_are_few_bytes(tmp_path: Path) -> None:
    facts, findings = Tool(tmp_path, 16).read(devices(16))
    assert findings == []
    assert len(json.dumps(facts)) < 6000


CASES: list[tuple[str, dict[str, Answer], list[str], list[str], str]] = [
    ("silent", {"1 -ip": ""}, ["network-no-address"], ["no address"], "card 1"),
    ("silent failure", {"1 -ip": Result(1, "", False)}, ["network-no-address"], ["no address"], "card 1"),
    ("told none", {"1 -ip": "no ip address\n"}, ["network-no-address"], ["no address"], "card 1"),
    ("zeros", {"1 -ip": "ipaddr:0.0.0.0\nnetmask:0.0.0.0\n"}, ["network-no-address"], ["no address"], "card 1"),
    ("masked", {"1 -ip": "ipaddr:10.xx.xx.2\n"}, ["network-unread"], ["address cannot be read"], "'10.xx.xx.2'"),
    ("words", {"1 -ip": "ret: -5\n"}, ["network-unread"], ["address cannot be read"], "card 1: ret: -5"),
    ("down", {"1 -link": "link status: DOWN\n"}, ["network-link-down"], ["link DOWN"], "DOWN: card 1"),
    ("partial", {"1 -link": "link status: PARTIAL LINK\n"}, ["network-link-down"], ["link PARTIAL LINK"], "PARTIAL"),
    ("cut link", {"1 -link": "link status: U"}, ["network-unread"], ["link cannot be read"], "'U'"),
    ("no link", {"1 -link": Result(3, "", False)}, ["network-unread"], ["link cannot be read"], "exit code 3"),
    (
        "fault",
        {"1 -net_health": "net health status: Fault\n"},
        ["network-unhealthy"],
        ["net health: Fault"],
        "Fault: card 1",
    ),
    (
        "init",
        {"1 -net_health": "net health status: Init\n"},
        ["network-unhealthy"],
        ["net health: Init"],
        "Init: card 1",
    ),
    (
        "new word",
        {"1 -net_health": "net health status: Odd\n"},
        ["network-unhealthy"],
        ["net health: Odd"],
        "Odd: card 1",
    ),
    ("no health", {"1 -net_health": ""}, ["network-unread"], ["net health cannot be read"], "no output"),
    ("health unknown to the card", {"1 -net_health": UNSUPPORTED}, [], [], ""),
    ("no gateway", {"1 -gateway": ""}, [], [], ""),
    ("odd gateway", {"1 -gateway": "default gateway:x\n"}, ["network-unread"], [], "gateway is 'x'"),
    (
        "another network",
        {"1 -gateway": "default gateway:10.8.0.1, Iface:eth1\n"},
        ["network-gateway-unreachable-by-mask", "network-not-persistent"],
        [],
        "10.8.0.1 is not in 10.9.0.2/255.255.0.0",
    ),
    (
        "twice",
        {"1 -ip": "ipaddr:10.9.0.1\nnetmask:255.255.0.0\n"},
        ["network-duplicate-address", "network-not-persistent"],
        ["address of another card"],
        "10.9.0.1: cards 0, 1",
    ),
    (
        "another mask",
        {"1 -ip": "ipaddr:10.9.0.2\nnetmask:255.0.0.0\n"},
        ["network-not-persistent"],
        [],
        "card 1: netmask 255.0.0.0, in the file 255.255.0.0",
    ),
]


@pytest.mark.parametrize(
    ("answers", "names", "reasons", "found"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_one_fault(
    tmp_path: Path, answers: dict[str, Answer], names: list[str], reasons: list[str], found: str
) -> None:
    tool = Tool(tmp_path)
    tool.answers.update(answers)
    facts, findings = tool.read()
    assert named(findings) == names
    assert found in "; ".join(finding["found"] for finding in findings)
    card = facts["cards"][1]
    assert (card["reasons"], card["multi_node"]) == (reasons, not reasons)
    if "address of another card" not in reasons:
        assert facts["cards"][0]["multi_node"] is True
    assert all("-i 1 " in finding["remedy"] for finding in findings)


def test_alike_cards_are_one_finding(tmp_path: Path) -> None:
    tool = Tool(tmp_path, 8)
    for card in range(8):
        tool.answers[f"{card} -link"] = "link status: DOWN\n"
        tool.answers[f"{card} -net_health"] = "net health status: %s\n" % ("Fault" if card else "Init")
    _, findings = tool.read(devices(8))
    assert [(finding["name"], finding["found"]) for finding in findings] == [
        ("network-link-down", "DOWN: cards 0, 1, 2, 3, 4, 5, 6, 7"),
        ("network-unhealthy", "Init: card 0"),
        ("network-unhealthy", "Fault: cards 1, 2, 3, 4, 5, 6, 7"),
    ]
    assert findings[1]["remedy"].startswith("hccn_tool -i 0 -netdetect -s address 10.9.255.254")


def test_an_address_of_the_file_is_brought_back(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.answers["1 -ip"] = ""
    assert tool.read()[1][0]["remedy"].startswith("hccn_tool -i 1 -cfg recovery")
    tool.write("address_0=10.9.0.1\nnetmask_0=255.255.0.0\ngateway_0=10.9.255.254\n")
    assert tool.read()[1][0]["remedy"].startswith("hccn_tool -i 1 -ip -s address 10.0.0.2 netmask 255.255.0.0")


@pytest.mark.parametrize(
    ("conf", "found"),
    [
        (None, "card 0: 10.9.0.1, in the file none; card 1: 10.9.0.2, in the file none"),
        (
            "address_0=10.9.0.1\nnetmask_0=255.255.0.0\n",
            "card 0: gateway 10.9.255.254, in the file none; card 1: 10.9.0.2",
        ),
        ("address_0=10.9.0.7\n", "card 0: 10.9.0.1, in the file 10.9.0.7"),
    ],
)
def test_what_is_lost_at_boot(tmp_path: Path, conf: str | None, found: str) -> None:
    facts, findings = Tool(tmp_path, conf=conf).read()
    assert named(findings) == ["network-not-persistent"]
    assert findings[0]["found"].startswith(found)
    assert facts["cards"][0]["multi_node"] is True
    assert facts["cards"][1]["configured"] is None


def test_a_file_that_is_damaged(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.write((tmp_path / "etc/hccn.conf").read_text() + "...\n")
    assert named(tool.read()[1]) == ["network-unread"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    tool = Tool(tmp_path, conf=None)
    (tmp_path / "etc/hccn.conf").mkdir(parents=True)
    facts, findings = tool.read()
    assert named(findings) == ["network-unread"]
    assert facts["cards"][0]["configured"] is None


def test_ipv6(tmp_path: Path) -> None:
    tool = Tool(
        tmp_path, conf="IPv6address_0=2001:db8::1\naddress_1=10.9.0.2\nnetmask_1=255.255.0.0\ngateway_1=10.9.255.254\n"
    )
    tool.answers["0 -ip"] = ""
    tool.answers["0 -gateway"] = ""
    tool.answers["0 -ip -inet6"] = "ipv6_address:2001:db8::1\nprefix_length:64\n"
    facts, findings = tool.read()
    assert findings == []
    assert (facts["cards"][0]["address"], facts["cards"][0]["multi_node"]) == ("2001:db8::1", True)


def test_cards_without_a_port(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.answers.update({"0 -ip": UNSUPPORTED, "1 -ip": Result(1, UNSUPPORTED, False)})
    facts, findings = tool.read(devices(name="310P3"))
    assert findings == []
    assert facts["roce"] is False
    assert [card["reasons"] for card in facts["cards"]] == [["no RoCE port: " + UNSUPPORTED.strip()]] * 2
    assert [card["multi_node"] for card in facts["cards"]] == [False, False]
    assert sorted(tool.asked) == ["0 -ip", "1 -ip"]


def test_one_card_hangs(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.answers["1 -gateway"] = HANGS
    facts, findings = tool.read()
    assert named(findings) == ["hccn-tool-hangs"]
    assert findings[0]["found"] == "nothing within 5 s from card 1"
    assert (facts["cards"][1]["reasons"], facts["cards"][1]["address"]) == (["no answer"], "10.9.0.2")
    assert facts["cards"][0]["multi_node"] is True
    assert "1 -link" not in tool.asked


def test_the_whole_has_a_time_limit(tmp_path: Path) -> None:
    """64 hanging chips cost a few time limits, not 64; no chip is passed over in silence."""
    tool = Tool(tmp_path, 64)
    tool.answers = dict.fromkeys(tool.answers, HANGS)
    tool.wait_s = 0.1
    facts, findings = tool.read(devices(64), timeout_s=0.1)
    assert len(tool.asked) <= 8 * 4
    assert named(findings) == ["hccn-tool-hangs"]
    assert "time ran out before cards" in findings[0]["found"]
    assert {tuple(card["reasons"]) for card in facts["cards"]} == {("no answer",)}


def test_cards_are_asked_side_by_side(tmp_path: Path) -> None:
    tool = Tool(tmp_path, 8)
    together = threading.Barrier(8)
    run = tool.run

    def meeting(argv: list[str], timeout_s: float) -> Result:
        together.wait(30)  # breaks unless eight of them come
        return run(argv, timeout_s)

    read_network(Node(meeting, {"hccn_tool": TOOL}.get, str(tmp_path)), devices(8), 5)
    assert len(tool.asked) == 8 * 4


def test_no_tool(tmp_path: Path) -> None:
    facts, findings = read_network(Node(no_run, nowhere, str(tmp_path)), devices(), 5)
    assert named(findings) == ["hccn-tool-missing"]
    assert (facts["tool"], facts["roce"]) == (None, None)
    assert facts["cards"][0]["reasons"] == ["hccn_tool is missing"]


def test_no_cards(tmp_path: Path) -> None:
    facts, findings = read_network(Node(no_run, nowhere, str(tmp_path)), [], 5)
    assert (facts, findings) == ({"tool": None, "roce": None, "cards": []}, [])


@pytest.mark.parametrize("place", ["usr/local/Ascend/driver/tools", "usr/local/sbin", "opt/vendor/driver/tools"])
def test_where_the_tool_may_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ascend_install.info").write_text("Driver_Install_Path_Param=/opt/vendor\n")
    program = tmp_path / place / "hccn_tool"
    program.parent.mkdir(parents=True)
    program.write_text("")
    program.chmod(0o755)
    assert read_network(Node(no_run, nowhere, str(tmp_path)), [], 5)[0]["tool"] == str(program)


def test_a_lost_card_does_not_shift_the_others(tmp_path: Path) -> None:
    tool = Tool(tmp_path, 8)
    facts, findings = tool.read([device for device in devices(8) if device["npu_id"] != 2])
    assert findings == []
    assert [(card["npu_id"], card["address"]) for card in facts["cards"]][2] == (3, "10.9.0.4")
    assert "2 -ip" not in tool.asked


def card(npu_id: int, chip_id: int = 0, **more: Any) -> dict[str, Any]:
    return {"npu_id": npu_id, "chip_id": chip_id, "name": "910B3", **more}


@pytest.mark.parametrize(
    ("found", "known", "numbers"),
    [
        ([card(0, 0, phy_id=4), card(0, 1, phy_id=5)], set(), [4, 5]),
        ([card(0, 0, phy_id=4), card(1, 0, phy_id=4)], set(), [0, 1]),
        ([card(0, 0, phy_id=None), card(0, 1, phy_id=5)], set(), [0, 1]),
        ([card(0, 0), card(0, 1), card(1, 0), card(1, 1)], {0, 1, 2, 3}, [0, 1, 2, 3]),
        ([card(0), card(3)], set(), [0, 3]),
        ([card(0), card(3)], {0, 1, 2, 3}, [0, 3]),
        ([card(1), card(4)], {0, 1}, [0, 1]),
        ([card(1, name="910A"), card(4, name="910A")], set(), [0, 1]),
    ],
)
def test_which_number_a_device_has(found: Any, known: set[int], numbers: list[int]) -> None:
    assert device_numbers(found, known) == numbers


def test_chips_of_one_card_are_told_apart(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.answers["1 -link"] = "link status: DOWN\n"
    (found,) = tool.read([card(0, 0), card(0, 1)])[1]
    assert found["found"] == "DOWN: card 0/1"


def test_device_files_say_which_numbers_there_are(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    (tmp_path / "dev").mkdir()
    for name in ("davinci0", "davinci1", "davinci_manager"):
        (tmp_path / "dev" / name).write_text("")
    facts, _ = tool.read([card(3), card(6)])
    assert [found["device"] for found in facts["cards"]] == [0, 1]


def test_every_finding_has_its_limits(tmp_path: Path) -> None:
    """However much a tool says, facts stay small."""
    tool = Tool(tmp_path, 16)
    for question in tool.answers:
        tool.answers[question] = "x" * 100_000 + question
    facts, findings = tool.read(devices(16))
    assert len(json.dumps([facts, findings])) < 16_000
    assert set(named(findings)) == {"network-unread"}
