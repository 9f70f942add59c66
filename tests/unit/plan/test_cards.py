# SPDX-License-Identifier: Apache-2.0
"""Cards that are sick, and cards that the inventory takes out: what forbids a change, and what does not count."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.cards import fewer_visible
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import cards_out
from tests.unit.plan.planner_nodes import bare, cards, converged, steps, wanted


def sick(found: dict[str, Any], *numbers: int, health: str = "Alarm") -> dict[str, Any]:
    for device in found["npu"]["devices"]:
        if device["npu_id"] in numbers:
            device.update(health=health, errors=["80E01801"])
    return found


def told(found: dict[str, Any], **changes: Any) -> tuple[list[str], list[str]]:
    """Return (refusals, warnings), each as its name and subject."""
    answer = plan(found, wanted(cards=cards(**changes)))
    refused, warned = answer["refusals"], answer["warnings"]
    return [f"{each['check']} {each['subject']}" for each in refused], [
        f"{each['check']} {each['subject']}" for each in warned
    ]


@pytest.mark.parametrize("health", ["Warning", "Alarm", "Critical", "UNKNOWN", "OFFLINE", "", "ok", None])
def test_a_card_that_is_not_ok_is_refused_and_with_the_policy_a_warning(health: str) -> None:
    found = sick(converged(), 4, 6, health=health)
    assert told(found) == (["health 4", "health 6"], [])
    assert told(found, health_policy="warn") == ([], ["health 4", "health 6"])


def test_a_node_with_a_sick_card_can_be_repaired() -> None:
    """LlamaFactory#6428: two cards of eight are sick, and the owner trains on the other six."""
    found = sick(bare(), 4, 6)
    assert told(found, health_policy="warn")[0] == []
    assert steps(found, cards=cards(health_policy="warn")) == steps(bare())
    assert told(found, out=[4, 6]) == ([], [])
    assert steps(found, cards=cards(out=[4, 6])) == steps(bare())


def test_a_card_that_no_node_has_is_refused_and_a_lost_one_is_not() -> None:
    """Of a slip such as 46 for 4 and 6; a card that fell off the bus is not shown, and may be out."""
    assert told(converged(), out=[46]) == (["cards-out-unknown "], [])
    lost = converged()
    lost["npu"]["devices"] = [device for device in lost["npu"]["devices"] if device["npu_id"] != 7]
    assert told(lost, out=[7]) == ([], [])
    assert told(converged(), out=[20], count=32)[0] == ["card-count "]
    (refused,) = plan(converged(), wanted(cards=cards(out=[46])))["refusals"]
    assert refused["found"] == "46"
    assert "ascend_cards_out" in refused["remedy"]


def test_a_card_that_is_out_hides_no_other() -> None:
    assert told(sick(converged(), 4, 6), out=[4]) == (["health 6"], [])
    assert told(sick(converged(), 4, 6), out=[0]) == (["health 4", "health 6"], [])


def test_the_policy_of_health_is_not_the_drivers() -> None:
    found = sick(converged(), 4)
    found["npu"]["driver_version"] = "23.0.6"
    assert told(found, health_policy="warn") == (["driver "], ["health 4"])


def test_memory_and_kind_of_a_card_that_is_out_do_not_count() -> None:
    found = converged()
    for device in found["npu"]["devices"]:
        device.update(hbm_total_mb=65536)
    found["npu"]["devices"][4].update(hbm_total_mb=0, memory_total_mb=1, name="Mystery")
    assert told(found, memory_mb=65536) == (["chip Mystery", "card-memory "], [])
    assert told(found, memory_mb=65536, out=[4]) == ([], [])


@pytest.mark.parametrize(
    ("gone", "count", "refused"),
    [
        ((), 8, []),
        ((), 6, ["card-count "]),  # all cards that are shown count
        ((4, 6), 8, []),  # they were taken out of the machine, too
        ((4, 6), 6, []),
        ((4, 5), 8, ["card-count "]),
    ],
)
def test_the_number_of_cards(gone: tuple[int, ...], count: int, refused: list[str]) -> None:
    found = converged()
    found["npu"]["devices"] = [device for device in found["npu"]["devices"] if device["npu_id"] not in gone]
    assert told(found, count=count, out=[4, 6]) == (refused, [])


def counted(files: int, shown: int) -> dict[str, Any]:
    found = converged()
    found["npu"]["devices"] = found["npu"]["devices"][:shown]
    found["driver"]["device_nodes"] = files
    found["findings"] = fewer_visible(found["npu"], files)
    return found


@pytest.mark.parametrize(
    ("files", "shown", "out", "warned"),
    [
        (8, 7, [], ["fewer-chips-visible "]),
        (8, 7, [7], []),  # the card that is out fell off
        (8, 6, [7], ["fewer-chips-visible "]),  # and another one, too
        (8, 7, [3], ["fewer-chips-visible "]),  # the card that is out is there
        (7, 8, [], ["device-files-missing "]),
        (7, 8, [3], []),
        (6, 8, [3], ["device-files-missing "]),
        (7, 8, [9], ["device-files-missing "]),
    ],
)
def test_the_number_of_device_files(files: int, shown: int, out: list[int], warned: list[str]) -> None:
    assert told(counted(files, shown), out=out) == ([], warned)


def test_a_node_without_a_card_to_train_on() -> None:
    answer = plan(converged(), wanted(cards=cards(out=list(range(8)))))
    assert [(each["check"], each["found"]) for each in answer["refusals"]] == [("card", "0, 1, 2, 3, 4, 5, 6, 7")]


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ([], []),
        ([6, 4, 4], [4, 6]),
        (["4", "6"], [4, 6]),
        ("4,6", [4, 6]),
        ("[4, 6]", [4, 6]),
        ("", []),
        (4, [4]),
        (" 4 , 6 ", [4, 6]),
        ([0, " 1"], [0, 1]),
    ],
)
def test_how_the_inventory_and_the_command_line_say_it(given: Any, means: list[int]) -> None:
    assert cards_out(given) == means


@pytest.mark.parametrize(
    "given",
    [
        "four",
        ["a"],
        {"a": 1},
        None,
        "4-6",
        "4..6",
        "4;6",
        "4 6",
        ["4-6"],
        True,
        [True],
        [4.5],
        4.5,
        [-1],
        "-1",
        [[4, 6]],
        [None],
        "0x4",
        "\u0664",
        ["4\n6"],
        "[4,",
        "4,",
    ],
)
def test_what_is_no_list_of_cards(given: Any) -> None:
    """Neither a guess, as card 1 for ``true`` and card 4 for 4.5, nor a crash."""
    with pytest.raises(AscendError, match=r"ascend_cards_out is not a list of cards.*\[4, 6\].*npu-smi info -l"):
        cards_out(given)
