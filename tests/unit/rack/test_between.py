# SPDX-License-Identifier: Apache-2.0
"""What differs between nodes: whose fault it is, and where nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack import between
from tests.unit.rack.looks import names, rack, wishes


def failing(answers: dict[str, Any]) -> dict[str, list[str]]:
    return {name: names(found) for name, found in between.between(answers, wishes()).items() if found}


def change(look: Any, what: str) -> None:
    if what == "release":
        look["facts"]["environments"]["all"]["8.0.0-ff"] = {"cann_home": "/usr/local/Ascend/ascend-toolkit/8.2.RC1"}
        look["facts"]["environments"]["current"] = "8.0.0-ff"
    elif what == "cann":
        (home,) = look["facts"]["environments"]["all"].values()
        home["cann_home"] = "/usr/local/Ascend/ascend-toolkit/8.0.0"
    elif what == "driver":
        look["facts"]["npu"]["driver_version"] = "24.1.0"
    elif what == "firmware":
        look["facts"]["driver"]["firmware_version"] = "7.5"
    elif what == "path":
        look["paths"]["/data/model"]["sizes"] = "cc"
    elif what == "tls":
        look["cards"][1]["tls"] = 1
    elif what == "address-twice":
        look["facts"]["network"]["cards"][0]["address"] = "10.20.1.1"


def test_nodes_that_are_alike_have_nothing() -> None:
    assert failing(rack(3)) == {}
    assert between.remarks(rack(3)) == []


@pytest.mark.parametrize("what", ["release", "cann", "driver", "firmware", "path", "tls"])
def test_the_one_that_is_not_as_most_is_told(what: str) -> None:
    answers = rack(3)
    change(answers["npu-3"]["look"], what)
    assert failing(answers) == {"npu-3": [f"{what}-differs"]}


@pytest.mark.parametrize("what", ["release", "driver", "path"])
def test_of_two_that_differ_nobody_knows_which_is_right(what: str) -> None:
    answers = rack(2)
    change(answers["npu-2"]["look"], what)
    assert failing(answers) == {"npu-1": [f"{what}-differs"], "npu-2": [f"{what}-differs"]}


def test_an_address_on_two_nodes_is_told_to_both() -> None:
    answers = rack(3)
    change(answers["npu-3"]["look"], "address-twice")
    assert failing(answers) == {"npu-1": ["address-twice"], "npu-3": ["address-twice"]}


def test_a_copy_with_other_times_is_a_remark() -> None:
    answers = rack(3)
    answers["npu-2"]["look"]["paths"]["/data/model"]["times"] = "dd"
    assert failing(answers) == {}
    assert "different times" in between.remarks(answers)[0]


@pytest.mark.parametrize(
    ("clocks", "expected"),
    [
        ([(-0.5, 0.5), (-0.4, 0.6), (89.0, 91.0)], ["npu-3"]),
        ([(-0.5, 0.5), (-0.4, 0.6), (-91.0, -89.0)], ["npu-3"]),
        # The control node's own clock is off: the nodes agree.
        ([(60.0, 61.0), (60.1, 61.2), (60.2, 60.9)], []),
        # It may be right as far as anybody knows: the answer took long.
        ([(-0.5, 0.5), (-0.4, 0.6), (4.0, 30.0)], []),
        # Of two the control node's decides.
        ([(-0.5, 0.5), (20.0, 21.0)], ["npu-2"]),
    ],
)
def test_a_clock_is_wrong_where_no_moment_of_its_answer_would_do(clocks: Any, expected: list[str]) -> None:
    answers = rack(len(clocks))
    for answer, clock in zip(answers.values(), clocks, strict=True):
        answer["clock"] = list(clock)
    assert failing(answers) == {name: ["clock"] for name in expected}


def test_a_silent_node_is_compared_with_nobody() -> None:
    answers = rack(3)
    answers["npu-2"] = {"silent": {"name": "unreachable"}, "ranks": []}
    assert failing(answers) == {}
