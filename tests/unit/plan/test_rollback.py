# SPDX-License-Identifier: Apache-2.0
"""What a node goes back to, and what keeps it from that, each with words to act on."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollback import Target, rollback
from tests.unit.plan.planner_nodes import COMPLETE, converged, damage

NEW, OLD, OTHER = "8.2.RC1-aaaaaaaaaaaa", "8.0.RC1-bbbbbbbbbbbb", "8.0.RC1-cccccccccccc"
TOOLKIT = "/usr/local/Ascend/ascend-toolkit/"


def environment(name: str, **changes: Any) -> dict[str, Any]:
    release = name.rpartition("-")[0]
    return {
        "path": f"/opt/ascend/env/{name}",
        "state": "complete",
        "release": release,
        "python": "3.10.13",
        "cann_home": TOOLKIT + release,
        "versions": {"torch": "2.1.0", "torch-npu": "2.1.0.post3", "transformers": "4.48.2"},
        "problems": [],
        "problem_count": 0,
        "difference_count": 0,
        **changes,
    }


def upgraded(**changes: Any) -> dict[str, Any]:
    """A node that went from 8.0.RC1 to 8.2.RC1, and has both."""
    found = converged()
    package = {"toolkit": dict(COMPLETE), "kernels": {"910b": dict(COMPLETE)}}
    found["cann"] = {"latest": "8.2.RC1", "versions": {v: copy.deepcopy(package) for v in ("8.0.RC1", "8.2.RC1")}}
    there = {name: environment(name) for name in (NEW, OLD)}
    found["environments"] = {"current": NEW, "previous": OLD, "all": there, **changes}
    return found


def name_of(found: dict[str, Any], to: str = "") -> str:
    return target_of(found, to)["name"]


def target_of(found: dict[str, Any], to: str = "") -> Target:
    plan = rollback(found, to)
    assert plan["refusals"] == []
    assert plan["target"]
    return plan["target"]


def refused(found: dict[str, Any], to: str = "") -> Any:
    """Return the one refusal, in which nothing is left unsaid."""
    [refusal] = rollback(found, to)["refusals"]
    assert all(value for key, value in refusal.items() if key != "subject"), refusal
    assert "None" not in str(refusal)
    assert isinstance(refusal, dict)
    return refusal


def test_back_to_the_previous_one() -> None:
    found = upgraded()
    before = copy.deepcopy(found)
    plan: Any = rollback(found, "")
    assert plan == {
        "target": {
            "name": OLD,
            "path": f"/opt/ascend/env/{OLD}",
            "release": "8.0.RC1",
            "cann_version": "8.0.RC1",
            "versions": {"torch": "2.1.0", "torch-npu": "2.1.0.post3"},
            "switch": True,
            "lead_latest": True,
        },
        "refusals": [],
        "from": NEW,
        "group": "ascend_to_change",
    }
    assert found == before


@pytest.mark.parametrize("to", ["8.0.RC1", OLD])
def test_back_to_what_is_named(to: str) -> None:
    assert name_of(upgraded(previous=None), to) == OLD


def test_forward_again() -> None:
    found = upgraded(current=OLD, previous=NEW)
    found["cann"]["latest"] = "8.0.RC1"
    assert name_of(found) == NEW


@pytest.mark.parametrize(("latest", "leads"), [("8.2.RC1", False), ("8.0.RC1", True), (None, True)])
def test_what_is_current_already_may_still_have_to_lead_latest(latest: str | None, leads: bool) -> None:
    found = upgraded()
    found["cann"]["latest"] = latest
    target = target_of(found, "8.2.RC1")
    assert (target["name"], target["switch"], target["lead_latest"]) == (NEW, False, leads)


@pytest.mark.parametrize("previous", [None, "gone", NEW, "../elsewhere", ""])
def test_there_is_no_previous_one(previous: str | None) -> None:
    """Also when it was the current one that was interrupted in the switch, or when it was removed."""
    found = upgraded(previous=previous)
    refusal = refused(found)
    assert rollback(found, "")["target"] is None
    assert refusal["problem"] == "the node has no environment that was current before"
    assert refusal["found"] == f"{OLD}, {NEW}"


@pytest.mark.parametrize("current", [None, "gone", "/srv/other"])
def test_a_node_without_a_current_one_can_go_back(current: str | None) -> None:
    plan = rollback(upgraded(current=current), "")
    assert plan["target"]
    assert (plan["target"]["name"], plan["target"]["switch"], plan["from"]) == (OLD, True, current or "none")
    assert plan["refusals"] == []


def test_a_node_that_has_nothing() -> None:
    found = upgraded(current=None, previous=None, all={})
    assert refused(found)["found"] == "no environment"
    assert refused(found)["where"] == "/opt/ascend/env"
    assert refused(found, "8.0.RC1")["problem"] == "the node has no environment of 8.0.RC1"


@pytest.mark.parametrize(
    "damage",
    [{"state": "half-built"}, {"closed": "lib (0700)"}, {"difference_count": 2}, {"cann_home": TOOLKIT + "7.0.0"}],
)
def test_of_two_locks_of_a_release_the_whole_one_is_taken(damage: dict[str, Any]) -> None:
    there = {NEW: environment(NEW), OLD: environment(OLD, **damage), OTHER: environment(OTHER)}
    assert name_of(upgraded(all=there), "8.0.RC1") == OTHER
    # Without a word the previous one was asked for, and no other.
    assert OLD in refused(upgraded(all=there))["problem"]


def test_a_release_that_the_node_never_had() -> None:
    refusal = refused(upgraded(), "9.9")
    assert (refusal["wanted"], refusal["found"]) == ("9.9", f"{OLD}, {NEW}")
    assert "site.yml" in refusal["remedy"]


def test_the_place_of_the_environments_is_said() -> None:
    found = upgraded(previous=None)
    assert rollback(found, "", "/data/ascend")["refusals"][0]["where"] == "/data/ascend/env"


@pytest.mark.parametrize(
    ("current", "previous", "broken", "chosen"),
    [
        (NEW, OLD, (), OLD),
        (NEW, OTHER, (), OTHER),
        (OLD, NEW, (), OLD),
        (OTHER, OLD, (), OTHER),
        (NEW, None, (), OLD),
        (NEW, None, (OLD,), OTHER),
        (None, None, (OTHER,), OLD),
    ],
)
def test_of_several_locks_of_a_release(
    current: str, previous: str | None, broken: tuple[str, ...], chosen: str
) -> None:
    there = {name: environment(name) for name in (OTHER, OLD, NEW)}
    for name in broken:
        there[name]["state"] = "half-installed"
    assert name_of(upgraded(current=current, previous=previous, all=there), "8.0.RC1") == chosen


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "half-installed"}, "half-installed"),
        (damage("torch: RECORD is missing"), "torch: RECORD is missing"),
        ({**damage("a"), "problem_count": 7}, "a and 6 more"),
        ({"difference_count": 2}, "2 distributions differ from its lock"),
    ],
)
def test_an_environment_that_is_not_whole(change: dict[str, Any], words: str) -> None:
    found = upgraded()
    found["environments"]["all"][OLD].update(change)
    refusal = refused(found)
    assert refusal["problem"] == f"environment {OLD} is not intact"
    assert words in refusal["found"]
    assert refusal["remedy"].startswith("ansible-playbook site.yml -e ascend_release=8.0.RC1")
    assert refusal["where"] == f"/opt/ascend/env/{OLD}"


def test_an_environment_that_says_nothing_of_itself() -> None:
    found = upgraded()
    found["environments"]["all"][OLD].update(state="half-installed", release=None, cann_home=None, versions={})
    plan = rollback(found, "")
    assert [refusal["component"] for refusal in plan["refusals"]] == ["env", "cann"]
    assert "None" not in str(plan["refusals"])
    assert plan["refusals"][1]["found"] == "the environment does not say which CANN it was built for"
    assert plan["target"]
    assert plan["target"]["release"] == ""


@pytest.mark.parametrize(
    ("package", "state", "words"),
    [
        ("toolkit", "altered", "toolkit 8.0.RC1: altered"),
        ("toolkit", "half-installed", "toolkit 8.0.RC1: half-installed"),
        ("kernels", "altered", "kernels-910b 8.0.RC1: altered"),
        ("kernels", "", "kernels-910b 8.0.RC1: absent"),
        ("all", "", "toolkit 8.0.RC1: absent; kernels-910b 8.0.RC1: absent"),
    ],
)
def test_its_cann_is_not_whole(package: str, state: str, words: str) -> None:
    found = upgraded()
    version = found["cann"]["versions"]["8.0.RC1"]
    if package == "all":
        del found["cann"]["versions"]["8.0.RC1"]
    elif package == "toolkit":
        version["toolkit"]["state"] = state
    else:
        version["kernels"] = {"910b": {**COMPLETE, "state": state}} if state else {}
    refusal = refused(found)
    assert refusal["found"] == words
    assert refusal["remedy"].endswith("-e ascend_release=8.0.RC1 -e cann_allow_downgrade=true")


def test_the_remedy_names_the_release_and_not_its_cann() -> None:
    found = upgraded()
    found["environments"]["all"][OLD]["release"] = "mine"
    del found["cann"]["versions"]["8.0.RC1"]
    assert "-e ascend_release=mine " in refused(found, "mine")["remedy"]


@pytest.mark.parametrize("npu", [{"answered": False}, {"devices": []}])
def test_without_cards_nothing_can_be_verified(npu: dict[str, Any]) -> None:
    found = upgraded()
    found["npu"].update(npu)
    refusal = refused(found)
    assert refusal["component"] == "driver"
    assert "npu-smi" in refusal["remedy"]


def test_all_reasons_are_said_at_once() -> None:
    found = upgraded()
    found["npu"]["answered"] = False
    found["environments"]["all"][OLD]["state"] = "half-installed"
    del found["cann"]["versions"]["8.0.RC1"]
    plan = rollback(found, "")
    assert [refusal["component"] for refusal in plan["refusals"]] == ["env", "cann", "driver"]
    assert plan["target"]
    assert plan["target"]["name"] == OLD
