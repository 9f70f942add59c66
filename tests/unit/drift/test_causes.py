# SPDX-License-Identifier: Apache-2.0
"""Findings that are alike as one cause: whose, in which racks, and one command for all of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import causes
from tests import fleets

TOOLKIT, REACH, DRIVER = fleets.FAULTS[2], fleets.FAULTS[9], fleets.FAULTS[1]
SITE = "ansible-playbook site.yml -i inventory/prod --limit"
HERE = "on the control node"


def nodes(*names: str, row: fleets.Row = TOOLKIT, groups: tuple[str, ...] = ("ascend",)) -> list[dict[str, Any]]:
    return [fleets.node(name, [fleets.finding(shlex.quote(name), row)], groups) for name in names]


def causes_of(some: Iterable[dict[str, Any]], **fields: Any) -> list[dict[str, Any]]:
    fleet = {**fleets.report(list(some)), **fields}
    found = [(node["name"], finding) for node in fleet["nodes"] for finding in node["findings"]]
    return causes.causes(found, causes.groups_of(fleet))


def command_of(some: Iterable[dict[str, Any]], **fields: Any) -> dict[str, str]:
    (cause,) = causes_of(some, **fields)
    command: dict[str, str] = cause["command"]
    return command


CLEAN = fleets.node("npu-99", [])


def test_one_command_repairs_a_few_nodes() -> None:
    command = command_of([*nodes("npu-1", "npu-10", "it's"), CLEAN])
    assert command == {"text": f"{SITE} npu-1,npu-10,'it'\"'\"'s'", "on": HERE, "note": "", "all": ""}


def test_of_many_nodes_one_comes_first() -> None:
    names = [f"npu-{number}" for number in range(7)]
    command = command_of([*nodes(*names), CLEAN])
    assert command == {"text": f"{SITE} npu-0", "on": HERE, "note": "", "all": f"{SITE} {','.join(names)}"}


def test_a_whole_group_is_named_by_its_name() -> None:
    rack = nodes(*(f"npu-{number}" for number in range(9)), row=REACH, groups=("ascend", "rack_12"))
    assert command_of([*rack, CLEAN])["text"] == "ansible rack_12 -i inventory/prod -m ping"
    assert command_of(rack)["text"] == "ansible ascend -i inventory/prod -m ping"


def test_beyond_a_limit_nobody_knows_who_else_is_in_a_group() -> None:
    rack = nodes("npu-1", "npu-2", groups=("ascend", "rack_12"))
    assert command_of([*rack, CLEAN], limit="npu-1,npu-2")["text"] == f"{SITE} npu-1,npu-2"


def test_a_remedy_without_a_node_is_the_same_for_all() -> None:
    assert command_of(nodes("a", "b", row=DRIVER)) == {"text": DRIVER[8], "on": "", "note": "", "all": ""}


def test_remedies_that_differ_otherwise_are_the_first_nodes() -> None:
    rows = [(*DRIVER[:8], f"npu-smi info -i {number}") for number in range(2)]
    some = [*nodes("a", row=rows[0]), *nodes("b", row=rows[1])]
    assert command_of(some) == {
        "text": "npu-smi info -i 0",
        "on": "on a",
        "note": "a only: the command differs from node to node",
        "all": "",
    }


def test_a_command_for_the_nodes_says_on_which() -> None:
    row = (*DRIVER[:8], "systemctl restart chronyd")
    assert command_of(nodes("a", row=row))["on"] == "on a"
    assert command_of(nodes("a", "b", row=row))["on"] == "on each node"


def test_racks_are_told_few_by_name_many_by_number() -> None:
    def where(*bad: str) -> str:
        some = [fleets.node(f"n{number}", [], ("ascend", f"rack_{number // 2}")) for number in range(10)]
        some = [
            node if node["name"] not in bad else nodes(node["name"], groups=tuple(node["groups"]))[0] for node in some
        ]
        (cause,) = causes_of(some)
        text: str = cause["where"]
        return text

    assert where("n0", "n1") == "all of rack_0"
    assert where("n0", "n1", "n5") == "all of rack_0, 1 of 2 in rack_2"
    assert where("n0", "n2", "n4", "n6") == "in 4 of 5 racks"
    (cause,) = causes_of(nodes("a", "b"))
    assert cause["where"] == ""


@pytest.mark.parametrize(
    ("groups", "rack"),
    [
        (["ascend", "rack_07"], "rack_07"),
        (["dc1-rack-07", "prod"], "dc1-rack-07"),
        (["Rack7"], "Rack7"),
        (["racks", "track_1", "rackspace", "ascend"], ""),
    ],
)
def test_a_rack_is_a_group_that_is_named_like_one(groups: list[str], rack: str) -> None:
    assert causes.rack_of(groups) == rack


def test_racks_stand_in_the_order_of_their_numbers_and_none_last() -> None:
    some = [fleets.node(f"n{number}", [], (f"rack_{number}",)) for number in (10, 2)] + [fleets.node("x", [])]
    assert list(causes.groups_of(fleets.report(some)).racks) == ["rack_2", "rack_10", ""]


def test_what_differs_by_the_remedy_alone_is_one_cause_that_keeps_its_key() -> None:
    one, two = causes_of(nodes("a", "b")), causes_of(nodes("c"))
    assert [cause["key"] for cause in one] == [cause["key"] for cause in two]
    assert (one[0]["nodes"], one[0]["new"]) == (2, 2)
