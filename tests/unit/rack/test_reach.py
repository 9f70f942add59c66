# SPDX-License-Identifier: Apache-2.0
"""Who asks whom, and whom the answers blame."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack import reach
from tests.unit.rack.looks import names, rack, wishes


@pytest.mark.parametrize(
    ("count", "mode", "expected"),
    [
        (1, "mesh", []),
        (2, "pairs", [1]),
        (2, "sample", [1]),
        (4, "mesh", [1, 2, 3]),
        (100, "pairs", [1]),
        (100, "sample", [1, 2, 4, 8, 16, 32, 64]),
    ],
)
def test_how_many_each_asks(count: int, mode: str, expected: list[int]) -> None:
    assert reach.offsets(count, mode) == expected


def test_a_mesh_has_its_bound_and_says_so() -> None:
    offsets = reach.offsets(500, "mesh")
    assert len(offsets) == len(set(offsets)) == reach.MOST_PEERS
    assert offsets[0] == 1
    assert offsets[-1] > 480
    assert reach.mode_words(500, "mesh") == "mode mesh: 32000 of 249500 ordered pairs of nodes"


def test_card_i_pings_card_i_of_the_next_node_and_the_last_one_the_first() -> None:
    looks = {name: answer["look"] for name, answer in rack(3).items()}
    looks["npu-2"]["facts"]["network"]["cards"][1]["address"] = None
    asked = reach.questions(looks, wishes())
    assert [(ping["device"], ping["address"]) for ping in asked["npu-1"]["pings"]] == [(0, "10.20.2.1")]
    assert [(ping["device"], ping["address"]) for ping in asked["npu-3"]["pings"]] == [
        (0, "10.20.1.1"),
        (1, "10.20.1.2"),
    ]
    # The next one and the first one, at MASTER_PORT and at HCCL's first port.
    assert [(each["to"], each["port"]) for each in asked["npu-2"]["connections"]] == [
        ("npu-3", 29500),
        ("npu-3", 60000),
        ("npu-1", 29500),
        ("npu-1", 60000),
    ]


def test_without_the_cards_network_nothing_is_pinged() -> None:
    looks = {name: answer["look"] for name, answer in rack(2).items()}
    for look in looks.values():
        del look["facts"]["network"]
    asked = reach.questions(looks, wishes(level="quick"))
    assert asked["npu-1"]["pings"] == []
    assert asked["npu-1"]["connections"]


def answered(count: int, mode: str, lost: set[tuple[int, int]]) -> dict[str, Any]:
    """What nodes answered; ``lost`` are pairs (from, to) of numbers from 1 on between which nothing goes."""
    answers: dict[str, Any] = {}
    for number in range(1, count + 1):
        peers = [(number - 1 + offset) % count + 1 for offset in reach.offsets(count, mode)]
        pings = [
            {
                "device": 0,
                "card": 0,
                "to": f"npu-{to}",
                "address": "10.0.0.1",
                "ok": (number, to) not in lost,
                "words": "lost",
            }
            for to in peers
        ]
        answers[f"npu-{number}"] = {"pings": pings, "connections": []}
    return answers


def blamed(answers: dict[str, Any]) -> list[str]:
    return [name for name, found in reach.failures(answers).items() if found]


def test_a_node_that_reaches_nobody_and_is_reached_by_nobody_is_the_one() -> None:
    dead = {(2, other) for other in (1, 3, 4)} | {(other, 2) for other in (1, 3, 4)}
    assert blamed(answered(4, "mesh", dead)) == ["npu-2"]
    assert blamed(answered(4, "pairs", dead)) == ["npu-2"]


def test_one_lost_ping_is_told_to_the_one_that_asked() -> None:
    found = reach.failures(answered(4, "mesh", {(1, 3)}))
    assert {name: names(each) for name, each in found.items() if each} == {"npu-1": ["card-not-reached"]}
    assert "card 0 to card 0 of npu-3: lost" in found["npu-1"][0]["found"]
    assert "-ping -g address 10.0.0.1" in found["npu-1"][0]["remedy"]


def test_of_two_nodes_both_are_told() -> None:
    assert blamed(answered(2, "pairs", {(1, 2), (2, 1)})) == ["npu-1", "npu-2"]


def test_what_was_not_asked_is_told_and_fails_nobody() -> None:
    answers = answered(2, "pairs", set())
    answers["npu-1"]["pings"][0].update(ok=None, words="the time was up")
    assert blamed(answers) == []
    assert reach.unasked(answers) == ["1 pings were not sent: the time was up"]


def test_a_node_that_answers_no_more_is_told() -> None:
    answers = {**answered(2, "pairs", set()), "npu-2": {"unreachable": True, "msg": "Connection timed out"}}
    assert {name: names(found) for name, found in reach.failures(answers).items()} == {
        "npu-1": [],
        "npu-2": ["no-answer"],
    }


def test_a_connection_that_is_dropped_names_the_port() -> None:
    answers = {
        "npu-1": {
            "pings": [],
            "connections": [{"to": "npu-2", "address": "192.0.2.2", "port": 29500, "ok": False, "words": "x"}],
        },
        "npu-2": {
            "pings": [],
            "connections": [{"to": "npu-1", "address": "192.0.2.1", "port": 29500, "ok": True, "words": ""}],
        },
    }
    (found,) = reach.failures(answers)["npu-1"]
    assert found["name"] == "not-reached"
    assert "npu-2 (192.0.2.2:29500): x" in found["found"]
