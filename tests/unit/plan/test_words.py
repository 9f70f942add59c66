# SPDX-License-Identifier: Apache-2.0
"""What a rollout says in words: who is busy before it, and what became of each node after it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.words import (
    fleet_plan,
    rollback_lines,
    rollout_lines,
)

STEP = {"component": "toolkit", "action": "install", "reason": "toolkit 8.0.RC1 is absent"}
BUSY = {"found": "process 4711 of ml on card 0: train", "remedy": "wait"}
GROUPS = ("ascend_to_change", "ascend_waiting", "ascend_busy", "ascend_reached", "ascend_done", "ascend_built")
FLEET = ["a", "b", "c", "d", "e", "f", "g", "refused", "silent"]


def lines(failed: str = "", fleet: list[str] = FLEET, **groups: str) -> list[str]:
    given = {name: groups.get(name.partition("_")[2], "").split() for name in GROUPS}
    for name in GROUPS[:3]:
        given[name].append("ascend_nobody")
    return rollout_lines({"ascend": fleet, **given}, failed.split())


def test_every_node_of_a_rollout_has_its_fate() -> None:
    said = lines(
        to_change="a b c d",
        waiting="e f",
        busy="g f",
        reached="a b c e f",
        done="a b e",
        failed="c refused silent localhost",
    )
    assert said == [
        "changed and verified: 3 nodes (a, b, e)",
        "failed before the change was complete: 1 node (c)",
        "refused or unreachable, left as they were: 2 nodes (refused, silent)",
        "busy, left as they are: 2 nodes (f, g)",
        "not reached, left as they were: 1 node (d)",
    ]


def test_a_job_that_began_meanwhile_is_no_failure() -> None:
    assert lines(to_change="a b", reached="a b", done="b", built="a") == [
        "changed and verified: 1 node (b)",
        "became busy during the change, built but not yet current: 1 node (a)",
    ]


def test_fates_that_no_node_had_are_left_out() -> None:
    assert lines(to_change="a", reached="a", done="a") == ["changed and verified: 1 node (a)"]
    assert lines(to_change="a") == ["not reached, left as they were: 1 node (a)"]
    assert lines(busy="a") == ["busy, left as they are: 1 node (a)"]
    assert lines() == []


def test_one_that_failed_after_its_change_failed() -> None:
    """It is in two groups, and its last word counts."""
    assert lines(to_change="a", reached="a", done="a", failed="a") == [
        "failed before the change was complete: 1 node (a)"
    ]


def test_many_nodes_are_counted() -> None:
    names = " ".join(f"n{number:03}" for number in range(300))
    assert lines(fleet=names.split(), to_change=names, reached=names, done=names) == [
        "changed and verified: 300 nodes (n000, n001, n002, n003, n004, n005, n006, n007 and 292 more)"
    ]


@pytest.mark.parametrize("memberships", list(itertools.product([False, True], repeat=len(GROUPS) + 1)))
def test_no_node_has_two_fates(memberships: tuple[bool, ...]) -> None:
    *groups, failed = memberships
    given = {name: ["a"] if member else [] for name, member in zip(GROUPS, groups, strict=True)}
    assert len(rollout_lines({"ascend": ["a"], **given}, ["a"] if failed else [])) == int(any(memberships))


def way(name: str = "8.0.RC1-x", **changes: Any) -> Any:
    target = {"name": name, "release": name.partition("-")[0], "cann_version": "8.0.RC1"}
    return {"target": {**target, "switch": True, "lead_latest": True, **changes}, "refusals": [], "from": "8.2.RC1-y"}


def test_nodes_with_the_same_way_back_share_a_line() -> None:
    plans: dict[str, Any] = {
        "d": way("8.2.RC1-y", switch=False, lead_latest=False),
        "c": {"target": None, "refusals": [{"problem": "none"}], "from": "8.2.RC1-y"},
        "b": way(),
        "a": way(),
        "e": way(switch=False),
    }
    assert rollback_lines(plans, dict.fromkeys(plans, "8.2.RC1")) == [
        "2 nodes (a, b): from 8.2.RC1-y back to 8.0.RC1-x",
        "1 node (c): cannot go back: none",
        "1 node (d): 8.2.RC1-y is current: nothing to do",
        "1 node (e): 8.0.RC1-x is current: point CANN's latest to 8.0.RC1",
        '3 nodes (a, b, e): set ascend_release: "8.0.RC1" in the inventory, or site.yml moves them forward again',
    ]


def test_what_the_inventory_says_already_needs_no_word() -> None:
    assert rollback_lines({"a": way()}, {"a": "8.0.RC1"}) == ["1 node (a): from 8.2.RC1-y back to 8.0.RC1-x"]


def planned(group: str, **changes: Any) -> Any:
    return {"steps": [STEP], "refusals": [], "warnings": [], "remarks": [], "group": group, "busy": BUSY, **changes}


def test_busy_nodes_are_named_one_by_one() -> None:
    plans = {"b": planned("ascend_waiting"), "a": planned("ascend_busy"), "c": planned("ascend_to_change", busy=None)}
    assert fleet_plan(plans)[-2:] == [
        "a is busy, left as it is: process 4711 of ml on card 0: train (wait)",
        "b is busy, waits for idle cards: process 4711 of ml on card 0: train (wait)",
    ]


def test_one_that_must_not_be_changed_is_not_called_busy() -> None:
    refusal = {"problem": "sick", "wanted": "OK", "found": "Alarm", "remedy": "npu-smi info"}
    assert not any("busy" in line for line in fleet_plan({"a": planned("ascend_busy", refusals=[refusal])}))
