# SPDX-License-Identifier: Apache-2.0
"""On which cards an environment is proven, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.to_prove import to_prove
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.words import left_out_lines, proof_lines
from tests.unit.plan.planner_nodes import bare


def node(devices: list[dict[str, Any]] | None = None, processes: Any = (), count: int | None = None) -> dict[str, Any]:
    found = bare()
    found["npu"]["devices"] = devices or found["npu"]["devices"]
    process = {"pid": 1, "name": "python3", "user": "alice", "command": "python3 train.py", "container": None}
    found["npu"]["processes"] = [{**process, "chips": [[card, 0, 1] for card in cards]} for cards in processes]
    found["npu"]["process_count"] = len(processes) if count is None else count
    return found


def devices(*cards: int, **more: Any) -> list[dict[str, Any]]:
    return [{"npu_id": card, "chip_id": 0, "name": "910B3", "health": "OK", **more} for card in cards]


def left_out(proven: dict[str, Any]) -> list[tuple[Any, int]]:
    return [(each["card"], each["index"]) for each in proven["left_out"]]


def test_all_cards_of_a_node_that_nobody_uses() -> None:
    assert to_prove(node(), [], True) == {"devices": list(range(8)), "left_out": []}


def test_cards_that_the_inventory_takes_out() -> None:
    proven = to_prove(node(), [4, 6])
    assert proven["devices"] == [0, 1, 2, 3, 5, 7]
    assert left_out(proven) == [(4, 4), (6, 6)]


def test_ids_of_npu_smi_are_not_the_numbers_of_devices() -> None:
    """Slots may be empty, and a table may be in any order; two chips of one card are two devices."""
    assert to_prove(node(devices(8, 2, 5)), [5])["devices"] == [0, 2]
    two = [*devices(1, chip_id=1), *devices(1), *devices(3)]
    assert to_prove(node(two), [1]) == {
        "devices": [2],
        "left_out": [
            {"card": 1, "index": 0, "why": "excluded by ascend_cards_out"},
            {"card": 1, "index": 1, "why": "excluded by ascend_cards_out"},
        ],
    }


def test_the_number_that_the_table_says_counts() -> None:
    said = [*devices(0, device_id=3), *devices(1, device_id=2)]
    assert to_prove(node(said), [0])["devices"] == [2]
    assert to_prove(node([*devices(0, device_id=3), *devices(1, device_id=None)]), [0])["devices"] == [1], "not of all"


@pytest.mark.parametrize("health", ["Warning", "Alarm", "Critical", "UNKNOWN", None])
def test_a_card_that_is_not_healthy_is_not_opened(health: str | None) -> None:
    found = node()
    found["npu"]["devices"][2]["health"] = health
    proven = to_prove(found)
    assert (len(proven["devices"]), left_out(proven)) == (7, [(2, 2)])
    assert str(health or "unread") in proven["left_out"][0]["why"]


def test_cards_in_use_are_spared_where_that_is_asked() -> None:
    found = node(processes=[[1, 2], [2]])
    assert to_prove(found, [], True)["devices"] == [0, 3, 4, 5, 6, 7]
    assert to_prove(found)["devices"] == list(range(8))


def test_a_card_of_which_it_is_not_known_is_spared_as_well() -> None:
    found = node(processes=[[1]])
    found["npu"]["unclear"] = [1, 3]
    proven = to_prove(found, [], True)
    assert (proven["devices"], left_out(proven)) == ([0, 2, 4, 5, 6, 7], [(1, 1), (3, 3)])
    assert [each["why"] for each in proven["left_out"]] == [
        "a process uses it",
        "npu-smi does not say whether a process uses it",
    ]
    assert to_prove(found)["devices"] == list(range(8))


@pytest.mark.parametrize(("processes", "count"), [([[1]], 40), ([[1], []], None)])
def test_a_process_whose_cards_are_not_known_may_be_on_each(processes: Any, count: int | None) -> None:
    proven = to_prove(node(processes=processes, count=count), [], True)
    assert proven["devices"] == []
    assert "which card each process uses" in proven["left_out"][7]["why"]


def test_the_words_of_a_proof() -> None:
    card = {"index": 0, "ok": True, "name": "Ascend910B3", "memory_total_mb": 65536, "error": None}
    account = {"name": "HwHiAiUser", "why": "the owner of the device files; ascend_users names nobody"}
    bad = {**card, "index": 1, "ok": False, "error": "RuntimeError: x"}
    out = to_prove(node(), [4])["left_out"]
    assert proof_lines({"cards": [card, bad], "llamafactory": "0.9.1", "account": account}, out) == [
        "npu:0        torch.npu.is_available() True: Ascend910B3, 65536 MB",
        "npu:1        torch.npu.is_available() False: RuntimeError: x",
        "npu:4        left out: card 4, excluded by ascend_cards_out",
        "proven as    HwHiAiUser (the owner of the device files; ascend_users names nobody): 2 cards, and LLaMA-Factory"
        " 0.9.1 works with its libraries",
    ]
    assert proof_lines({"cards": [], "llamafactory": None, "account": account}, [])[0].endswith("no card, imports only")
    assert left_out_lines([]) == []
