# SPDX-License-Identifier: Apache-2.0
"""What hccn_tool says of a card beside the facts: real outputs, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu import hccn
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.rack import cards, reach
from tests import samples
from tests.unit.npu.hccn_node import TOOL, devices

# Verbatim: drivers 23.0.5 (TLS, link_stat), 23.0.rc2 (LLDP, ping), a guide of Huawei's (netdetect).
NETDETECT = "netdetect address: 11.12.165.1\n"
TLS = (
    "dev_id:0, tls switch[0](0:disable, 1:enable), tls preconfigured[1](0:non-preset, 1:preset), tls alarm time"
    " threshold[60]days\n"
)
LINK_STAT = (
    "[devid 0]current time        : Wed Aug  2 03:36:43 2022\n[devid 0]link up count       : 2\n"
    "[devid 0]link change records :\n[devid 0]    Tue Aug  1 14:44:40 2022    LINK DOWN\n"
    "[devid 0]    Tue Aug  1 14:43:40 2022    LINK UP\n[devid 0]    Tue Aug  1 14:43:40 2022    LINK DOWN\n"
    "[devid 0]    Tue Aug  1 14:43:26 2022    LINK UP\n"
)
LLDP = "Chassis ID TLV\n\tMAC: ...\nPort ID TLV\n\tIfname: 400GE1/1/20:2\nEnd of LLDPDU TLV\n"
PING = (
    "device 3 PING 10.1.137.205\nrecv seq=0,time=1.418000ms\nrecv seq=1,time=0.034000ms\nrecv seq=2,time=0.040000ms\n"
    "3 packets transmitted, 3 received, 0.00% packet loss\n"
)
ANSWERS = {"netdetect": NETDETECT, "tls": TLS, "link_stat": LINK_STAT, "lldp": LLDP}


def node(tmp_path: Path, answers: dict[str, Any]) -> Node:
    """A node whose hccn_tool answers as the real one; of a ping by its address."""

    def run(argv: list[str], timeout_s: float) -> Result:
        words = argv[-1] if argv[3] == "-ping" else argv[3][1:]
        answer = answers.get(words, "")
        return answer if isinstance(answer, Result) else Result(0, answer, False)

    return Node(run, lambda name: TOOL if name == "hccn_tool" else None, str(tmp_path))


def test_a_card_is_asked_what_the_facts_do_not_hold(tmp_path: Path) -> None:
    (card,) = cards.read_cards(node(tmp_path, ANSWERS), devices(1), 5)
    assert card == {
        "device": 0,
        "netdetect": "11.12.165.1",
        "tls": 0,
        "link_up_count": 2,
        "link_downs_of_day": 2,
        "switch_port": "400GE1/1/20:2",
        "unread": {},
    }


@pytest.mark.parametrize("words", ["netdetect address: 0.0.0.0\n", ""])
def test_no_address_to_watch_is_none_and_not_unread(tmp_path: Path, words: str) -> None:
    (card,) = cards.read_cards(node(tmp_path, {**ANSWERS, "netdetect": words}), devices(1), 5)
    assert (card["netdetect"], card["unread"]) == ("", {})


def test_what_is_no_answer_is_kept_in_the_tools_words(tmp_path: Path) -> None:
    words = "This device does not support the command.\n"
    (card,) = cards.read_cards(node(tmp_path, dict.fromkeys(ANSWERS, words)), devices(1), 5)
    assert [card[name] for name in ("netdetect", "tls", "link_up_count", "switch_port")] == [None] * 4
    assert card["unread"] == dict.fromkeys(ANSWERS, words.strip())


def test_a_question_that_hangs_costs_the_later_ones(tmp_path: Path) -> None:
    (card,) = cards.read_cards(node(tmp_path, {**ANSWERS, "tls": Result(-9, "", True)}), devices(1), 5)
    assert card["netdetect"] == "11.12.165.1"
    assert sorted(card["unread"]) == ["link_stat", "lldp", "tls"]


def test_without_the_tool_there_is_nothing(tmp_path: Path) -> None:
    nowhere = node(tmp_path, ANSWERS)._replace(find=lambda _name: None)
    assert cards.read_cards(nowhere, devices(2), 5) == []


@pytest.mark.parametrize(
    ("name", "downs"),
    [("002-link-stat-devid.txt", 1), ("008-link-stat-changed.txt", 2), ("015-link-stat-device.txt", 1)],
)
def test_real_link_records(name: str, downs: int) -> None:
    assert cards.downs_of_day(hccn.parse_link_stat(samples.text(f"hccn/{name}"))) == downs


def test_what_went_down_long_ago_does_not_count() -> None:
    later = LINK_STAT.replace("Wed Aug  2 03:36:43 2022", "Thu Aug  4 03:36:43 2022")
    assert cards.downs_of_day(hccn.parse_link_stat(later)) == 0
    assert cards.downs_of_day(hccn.parse_link_stat(LINK_STAT.replace("Wed Aug", "Mi  Aug"))) is None


LOST = {
    "a document of Huawei's": "3 packets transmitted, 0 received, 100.00% packet loss\n",
    "of a card without a way": (
        "This pkt send fail!\nThis pkt ping not start to send!\n"
        "1 packets transmitted, 0 received, 100.00% packets loss\n"
        "Cmd executed successfully!\n"
    ),
    "one of three": "3 packets transmitted, 2 received, 33.33% packet loss\n",
    "words": "Error parameter of -ping\n",
    "nothing": "",
}


@pytest.mark.parametrize("words", [PING, *LOST.values()], ids=["all back", *LOST])
def test_a_ping_is_good_when_every_packet_came_back(tmp_path: Path, words: str) -> None:
    asked = [{"device": 3, "address": "10.1.137.205", "to": "npu-2", "card": 3}]
    (found,) = reach.ping_cards(node(tmp_path, {"10.1.137.205": words}), asked, 5, lambda: 0.0, 60)
    assert (found["ok"], found["to"]) == (words == PING, "npu-2")
    assert bool(found["words"]) != found["ok"]


def test_pings_that_had_no_time_are_not_lost(tmp_path: Path) -> None:
    clock = iter(float(number) for number in range(0, 1000, 40))
    asked = [{"device": 0, "address": "10.0.0.1", "to": "npu-2", "card": 0}] * 3
    found = reach.ping_cards(node(tmp_path, {"10.0.0.1": PING}), asked, 5, lambda: next(clock), 60)
    assert [each["ok"] for each in found] == [True, None, None]
