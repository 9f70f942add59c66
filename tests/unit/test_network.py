# SPDX-License-Identifier: Apache-2.0
"""The cards' own network: what hccn_tool and /etc/hccn.conf say of it, and what is wrong with it."""

from __future__ import annotations

import json
import runpy
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ascend.command import Result, query
from ansible.module_utils.ascend.node import Node
from ansible.module_utils.ascend.npu.links import read_links
from ansible.module_utils.ascend.npu.network import read_network
from ansible.module_utils.ascend.npu.ports import device_numbers

SIM = Path(__file__).resolve().parents[2] / "sim/node/bin"
TOOL = "/opt/tools/hccn_tool"
Answer = str | Result
HANGS = Result(-9, "", True)
UNSUPPORTED = "This device does not support the command.\n"


def devices(count: int = 2, **more: Any) -> list[dict[str, Any]]:
    return [{"npu_id": number, "chip_id": 0, "name": "910B3", "phy_id": None, **more} for number in range(count)]


class Tool:
    """A node whose hccn_tool has an answer for each question, and whose file says the same unless told otherwise."""

    def __init__(self, root: Path, cards: int = 2, conf: str | None = "same") -> None:
        self.root = root
        self.asked: list[str] = []
        self.answers: dict[str, Answer] = {}
        self.wait_s = 0.0
        self.lock = threading.Lock()
        for card in range(cards):
            self.answers[f"{card} -ip"] = f"ipaddr:10.9.0.{card + 1}\nnetmask:255.255.0.0\n"
            self.answers[f"{card} -gateway"] = f"default gateway:10.9.255.254, Iface:eth{card}\n"
            self.answers[f"{card} -link"] = "link status: UP\n"
            self.answers[f"{card} -net_health"] = "net health status: Success\n"
        if conf == "same":
            lines = (
                f"address_{card}=10.9.0.{card + 1}\nnetmask_{card}=255.255.0.0\ngateway_{card}=10.9.255.254\n"
                for card in range(cards)
            )
            conf = "".join(lines)
        if conf is not None:
            self.write(conf)

    def write(self, conf: str) -> None:
        (self.root / "etc").mkdir(exist_ok=True)
        (self.root / "etc/hccn.conf").write_text(conf)

    def run(self, argv: list[str], timeout_s: float) -> Result:
        program, dash_i, number, *words, dash_g = argv
        assert (program, dash_i, dash_g) == (TOOL, "-i", "-g")
        question = " ".join([number, *words])
        with self.lock:
            self.asked.append(question)
        assert timeout_s > 0
        time.sleep(self.wait_s)
        answer = self.answers[question]
        return answer if isinstance(answer, Result) else Result(0, answer, False)

    def read(self, found: list[dict[str, Any]] | None = None, timeout_s: float = 5) -> tuple[Any, list[Any]]:
        return read_network(self.node(), devices() if found is None else found, timeout_s)

    def links(self, found: list[dict[str, Any]] | None = None, timeout_s: float = 5) -> tuple[Any, list[Any]]:
        return read_links(self.node(), devices() if found is None else found, timeout_s)

    def node(self) -> Node:
        return Node(self.run, {"hccn_tool": TOOL}.get, str(self.root))


def named(findings: list[Any]) -> list[str]:
    assert {finding["subset"] for finding in findings} <= {"network"}
    assert all(finding["remedy"] and finding["problem"] and finding["found"] for finding in findings)
    return [finding["name"] for finding in findings]


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
    ("no health", {"1 -net_health": ""}, ["network-unread"], ["net health cannot be read"], "no word"),
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
    assert "the time was up before cards" in findings[0]["found"]
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


def nowhere(name: str) -> str | None:
    assert name == "hccn_tool"
    return None


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


def no_run(argv: list[str], timeout_s: float) -> Result:
    raise AssertionError(argv)


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
def test_which_number_a_device_has(found: list[dict[str, Any]], known: set[int], numbers: list[int]) -> None:
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
    assert "the time was up before cards" in findings[0]["found"]
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
    for found in ([], devices()):
        node = Node(no_run, nowhere, str(tmp_path))
        assert read_links(node, found, 5) == read_network(node, found, 5)


def test_links_read_the_file(tmp_path: Path) -> None:
    tool = Tool(tmp_path, conf="address_0=10.9.0.1\nwhat is this\n")
    facts, findings = tool.links()
    assert named(findings) == ["network-unread"]
    assert facts["cards"][0]["configured"]["address"] == "10.9.0.1"


def simulated(
    root: Path, monkeypatch: pytest.MonkeyPatch, reader: Any = read_network, **settings: str
) -> tuple[Any, list[Any]]:
    """What the network's facts say of a simulated node with three cards."""
    settings = {"card_count": "3", **{name.replace("__", "."): value for name, value in settings.items()}}
    conf = root / "node.conf"
    conf.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    (root / "etc").mkdir()
    if settings.get("hccn_conf") != "missing":
        hccn_conf = runpy.run_path(str(SIM / "ascend-sim"))["hccn_conf"]
        (root / "etc/hccn.conf").write_text(hccn_conf(settings, "ascend-sim-7"))
    monkeypatch.setenv("ASCEND_SIM_CONF", str(conf))
    monkeypatch.setenv("ASCEND_SIM_HCCN_CONF", str(root / "etc/hccn.conf"))

    timeout_s = 1 if settings.get("hccn") == "hang" else 30
    found: tuple[Any, list[Any]] = reader(
        Node(query, {"hccn_tool": str(SIM / "hccn_tool")}.get, str(root)), devices(3), timeout_s
    )
    return found


def test_a_simulated_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts, findings = simulated(tmp_path, monkeypatch)
    assert findings == []
    assert [found["address"] for found in facts["cards"]] == ["10.20.7.1", "10.20.7.2", "10.20.7.3"]
    assert all(found["multi_node"] and found["gateway"] == "10.20.255.254" for found in facts["cards"])


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"net_link__1": "DOWN"}, ["network-link-down", "network-unhealthy"]),
        ({"net_health__1": "Fault"}, ["network-unhealthy"]),
        ({"net_address__1": "none"}, ["network-no-address", "network-unhealthy"]),
        ({"net_address__1": "10.20.7.1"}, ["network-duplicate-address", "network-not-persistent"]),
        ({"net_gateway__1": "10.9.0.1"}, ["network-gateway-unreachable-by-mask", "network-not-persistent"]),
        ({"hccn_conf": "missing"}, ["network-no-address", "network-unhealthy"]),
        ({"hccn": "hang"}, ["hccn-tool-hangs"]),
        ({"chip_name": "310P3"}, []),
    ],
)
def test_simulated_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], names: list[str]
) -> None:
    facts, findings = simulated(tmp_path, monkeypatch, **settings)
    assert named(findings) == names
    assert facts["roce"] is {"chip_name": False, "hccn": None}.get(next(iter(settings)), True)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, []),
        ({"net_link__1": "DOWN"}, ["network-link-down", "network-unhealthy"]),
        ({"net_health__1": "Fault"}, ["network-unhealthy"]),
        ({"net_address__1": "10.20.7.1"}, []),
        ({"hccn_conf": "missing"}, ["network-no-address", "network-unhealthy"]),
        ({"hccn": "hang"}, ["hccn-tool-hangs"]),
        ({"chip_name": "310P3"}, []),
    ],
)
def test_links_of_a_simulated_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], names: list[str]
) -> None:
    facts, findings = simulated(tmp_path, monkeypatch, read_links, **settings)
    assert named(findings) == names
    assert facts["roce"] is {"chip_name": False, "hccn": None}.get(next(iter(settings), ""), True)
