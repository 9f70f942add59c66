# SPDX-License-Identifier: Apache-2.0
"""A plan and a node in use: who is busy, what may be done beside a job, what is set aside, when to stop."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.asked import wanted_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import names_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.found import found_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollout import (
    Batch,
    apply_to,
    busy,
    groups_of,
    stageable,
    stops,
    under_current,
)
from tests.unit.plan.planner_nodes import COMPLETE, HOME, NAME, bare, converged, damage, wanted

OLD = "7.0.0-ba9876543210"
OLD_HOME = "/usr/local/Ascend/ascend-toolkit/7.0.0"


def process(pid: int = 4711, *cards: int, **changes: Any) -> dict[str, Any]:
    chips = [[card, 0, 30000] for card in cards or (0,)]
    given = {"pid": pid, "name": "python3", "user": "ml", "command": "python3 train.py", "container": None}
    return {**given, "chips": chips, **changes}


def used(found: dict[str, Any], *processes: dict[str, Any], count: int | None = None) -> dict[str, Any]:
    found["npu"].update(processes=list(processes), process_count=len(processes) if count is None else count)
    return found


def environment(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(converged()["environments"]["all"][NAME]), "python": "3.10.13", **changes}


def upgrade(**changes: Any) -> dict[str, Any]:
    """A node that has an older release alone, and a job."""
    found = bare()
    old = environment(cann_home=OLD_HOME, python="3.9.18", lock_digest="ba9876543210")
    found["environments"] = {"current": OLD, "previous": None, "all": {OLD: old}}
    found["pythons"] = {"3.9.18": {"state": "complete"}}
    found["cann"] = {"latest": "7.0.0", "versions": {"7.0.0": {"toolkit": dict(COMPLETE), "kernels": {}}}}
    found.update(changes)
    return used(found, process())


def now(**changes: Any) -> dict[str, Any]:
    """A node that is what it should be, and has a job."""
    found = converged()
    found["environments"] = {"current": NAME, "previous": None, "all": {NAME: environment()}}
    found.update(changes)
    return used(found, process())


def stage(found: dict[str, Any], **changes: Any) -> list[str]:
    want = wanted(**changes)
    return stageable(found_of(found), wanted_of(want), plan(found, want)["steps"])


def aside(found: dict[str, Any], **changes: Any) -> bool:
    want = wanted(**changes)
    return under_current(found_of(found), wanted_of(want), names_of(plan(found, want)["steps"]))


# --- groups -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "has_job", "has_steps", "group"),
    [
        ("skip", True, True, "ascend_busy"),
        ("wait", True, True, "ascend_waiting"),
        ("ignore", True, True, "ascend_to_change"),
        ("skip", False, True, "ascend_to_change"),
        ("wait", False, True, "ascend_to_change"),
        ("ignore", False, True, "ascend_to_change"),
        ("skip", True, False, "ascend_converged"),
        ("wait", True, False, "ascend_converged"),
        ("ignore", False, False, "ascend_converged"),
    ],
)
def test_the_group_of_a_node(policy: str, has_job: bool, has_steps: bool, group: str) -> None:
    found = upgrade() if has_steps else now()
    if not has_job:
        used(found)
    before = copy.deepcopy(found)
    planned = apply_to(found, wanted(), policy)
    assert planned["group"] == group
    assert bool(planned["busy"]) == (has_job and has_steps and policy != "ignore")
    assert {key: planned[key] for key in ("steps", "refusals", "warnings", "remarks")} == plan(found, wanted())
    assert found == before


@pytest.mark.parametrize(("has_job", "group"), [(False, "ascend_to_change"), (True, "ascend_busy")])
def test_a_right_node_is_taken_where_a_change_has_not_ended(has_job: bool, group: str) -> None:
    found = now()
    if not has_job:
        used(found)
    found["changes"]["running"] = dict.fromkeys(("began", "who", "control", "run", "action", "from", "to"), "x")
    planned = apply_to(found, wanted(), "skip")
    assert (planned["group"], planned["steps"], planned["sets_aside"]) == (group, [], False)


@pytest.mark.parametrize(
    ("policy", "has_job", "has_steps", "groups"),
    [
        ("skip", True, True, ["ascend_busy", "ascend_drained"]),
        ("skip", False, False, ["ascend_drained"]),
        # Its change resumes it; until then it stays drained.
        ("wait", True, True, ["ascend_waiting"]),
        ("skip", False, True, ["ascend_to_change"]),
    ],
)
def test_a_node_that_is_drained_and_not_changed_is_only_resumed(
    policy: str, has_job: bool, has_steps: bool, groups: list[str]
) -> None:
    found = upgrade() if has_steps else now()
    if not has_job:
        used(found)
    assert "ascend_drained" not in groups_of(apply_to(found, wanted(), policy))
    found["changes"]["drained"] = dict.fromkeys(("began", "who", "control", "run"), "x")
    assert groups_of(apply_to(found, wanted(), policy)) == groups


def test_what_is_current_is_said() -> None:
    assert apply_to(upgrade(), wanted(), "skip")["from"] == OLD
    assert apply_to(used(bare()), wanted(), "skip")["from"] == "none"


# --- busy ---------------------------------------------------------------------------------------------------------


def test_a_repair_of_cann_is_told_from_its_installation() -> None:
    assert apply_to(used(broken(now(), "toolkit")), wanted(), "skip")["repairs_cann"]
    assert not apply_to(upgrade(), wanted(), "skip")["repairs_cann"]
    assert not apply_to(used(bare()), wanted(), "skip")["repairs_cann"]


def test_an_idle_node_is_not_busy() -> None:
    assert busy([], 0) is None


@pytest.mark.parametrize(("policy", "group"), [("skip", "ascend_busy"), ("wait", "ascend_waiting")])
def test_a_node_of_which_it_is_not_known_is_left_alone(policy: str, group: str) -> None:
    found = used(upgrade())
    found["npu"]["unclear"] = [2, 3]
    planned = apply_to(found, wanted(), policy)
    assert planned["group"] == group
    assert planned["busy"]
    assert "does not say whether processes use card 2, 3" in planned["busy"]["found"]
    assert "ascend_busy_policy=ignore" in planned["busy"]["remedy"]
    assert apply_to(found, wanted(), "ignore")["group"] == "ascend_to_change"


def test_a_card_that_is_taken_out_need_not_say_whether_it_is_used() -> None:
    found = used(upgrade())
    found["npu"]["unclear"] = [2, 3]
    (one, both) = (wanted(cards={**wanted()["cards"], "out": out}) for out in ([3], [2, 3]))
    busy = apply_to(found, one, "skip")["busy"]
    assert busy
    assert "use card 2" in busy["found"]
    assert apply_to(found, both, "skip")["group"] == "ascend_to_change"
    found["npu"].update(processes=[process(1, 3)], process_count=1)
    assert apply_to(found, both, "skip")["group"] == "ascend_busy", "one that is used is"


def test_a_busy_node_says_who_and_where_and_what_next() -> None:
    processes = [process(1, 0, 1), process(2, 3, user=None, command=None), process(3, 10, 9, container="0123456789ab")]
    refusal = busy(processes, 3)
    assert refusal is not None
    assert refusal["found"] == (
        "process 1 of ml on card 0, 1: python3 train.py; process 2 of ? on card 3: python3; "
        "process 3 of ml in container 0123456789ab on card 9, 10: python3 train.py"
    )
    assert refusal["subject"] == "0,1,3,9,10"
    assert all(refusal.values())
    assert "ascend_busy_policy=wait" in refusal["remedy"]
    assert "--tags stage" in refusal["remedy"]


def test_a_process_of_which_nothing_is_known() -> None:
    refusal = busy([process(7, command="", name="", user=None)], 1)
    assert refusal is not None
    assert refusal["found"] == "process 7 of ? on card 0: ?"


@pytest.mark.parametrize(
    ("listed", "count", "end"),
    [(3, 3, "train.py"), (4, 4, "; and 1 more"), (32, 40, "; and 37 more"), (1, 2, "; and 1 more")],
)
def test_many_processes_are_counted(listed: int, count: int, end: str) -> None:
    refusal = busy([process(number) for number in range(listed)], count)
    assert refusal is not None
    assert refusal["found"].endswith(end)
    assert refusal["found"].count("process ") == min(listed, 3)


def test_a_count_without_a_list() -> None:
    refusal = busy([], 2)
    assert refusal is not None
    assert refusal["found"] == "2 more"


def test_several_chips_of_a_card_are_one_card() -> None:
    refusal = busy([process(chips=[[2, 0, None], [2, 1, None]])], 1)
    assert refusal is not None
    assert "on card 2:" in refusal["found"]


# --- stage --------------------------------------------------------------------------------------------------------


def test_an_upgrade_is_staged_but_for_cann_itself() -> None:
    assert stage(upgrade()) == ["python", "cache", "environment"]


def test_a_converged_node_has_nothing_to_stage() -> None:
    assert stage(now()) == []


def test_a_bare_node_in_use() -> None:
    assert stage(used(bare(), process())) == ["python", "cache", "environment"]


def test_a_python_that_is_to_be_repaired_is_not_touched_nor_what_stands_on_it() -> None:
    found = upgrade(pythons={"3.10.13": {"state": "half-installed"}})
    assert stage(found) == ["cache"]


def test_an_environment_on_a_python_that_is_there() -> None:
    assert stage(upgrade(pythons={"3.10.13": {"state": "complete"}})) == ["cache", "environment"]


@pytest.mark.parametrize("component", ["toolkit", "kernels"])
def test_packages_are_cached_also_for_a_repair(component: str) -> None:
    found = now()
    package = {"state": "altered", "problems": ["x"], "problem_count": 1}
    version = found["cann"]["versions"]["8.0.RC1"]
    if component == "toolkit":
        version["toolkit"] = package
    else:
        version["kernels"]["910b"] = package
    assert stage(found) == ["cache"]


@pytest.mark.parametrize("state", ["complete", "half-installed"])
def test_the_current_environment_is_never_staged(state: str) -> None:
    found = now()
    found["environments"]["all"][NAME].update(state=state, **damage("x is broken"))
    assert plan(found, wanted())["steps"]
    assert stage(found) == []


def test_a_complete_environment_is_never_staged() -> None:
    """Jobs may run in it that began while it was current."""
    found = upgrade()
    found["environments"]["all"][NAME] = environment(**damage("x is broken"))
    assert "environment" in [step["component"] for step in plan(found, wanted())["steps"]]
    assert stage(found) == ["python", "cache"]


def test_what_an_interrupted_stage_left_is_finished() -> None:
    found = upgrade()
    found["environments"]["all"][NAME] = environment(state="half-installed")
    assert stage(found) == ["python", "cache", "environment"]


def test_what_may_have_been_set_aside_is_not_staged() -> None:
    found = upgrade()
    found["environments"]["all"][NAME] = environment(state="half-installed")
    found["environments"]["current"] = None
    assert stage(found) == ["python", "cache"]


def test_a_dead_link_does_not_come_to_life_half_way() -> None:
    found = upgrade()
    found["environments"]["current"] = NAME
    assert stage(found) == ["python", "cache"]


# --- the link -----------------------------------------------------------------------------------------------------


def broken(found: dict[str, Any], component: str) -> dict[str, Any]:
    """Give the converged node one thing to do, or several that belong together."""
    version = found["cann"]["versions"]["8.0.RC1"]
    there = found["environments"]["all"][NAME]
    if component == "python":
        found["pythons"]["3.10.13"]["state"] = "half-installed"
    elif component == "toolkit":
        version["toolkit"] = {"state": "altered", "problems": [], "problem_count": 0}
    elif component == "kernels":
        version["kernels"] = {}
    elif component == "environment":
        there.update(damage("x is broken"))
    elif component == "source":
        edited = {"commit": None, "recorded_commit": None, "edited": ["a.py"], "edited_count": 1}
        there["sources"] = {"llamafactory": {"path": "/src", "recorded": True, **edited}}
        there["editable"] = {"llamafactory": "/src"}
    elif component == "ascend-env":
        found["ascend_env"]["sha256"] = "bb"
    else:
        found["environments"]["current"] = None
    return found


@pytest.mark.parametrize(
    ("component", "sets_aside"),
    [
        ("python", True),
        ("toolkit", True),
        ("kernels", True),
        ("environment", True),
        ("source", True),
        ("ascend-env", False),
        ("current", False),
    ],
)
def test_the_link_is_taken_away_for_what_current_is_or_stands_on(component: str, sets_aside: bool) -> None:
    want = wanted()
    if component == "source":
        want["environment"]["source"] = {"version": "v0.9.1"}
    found = broken(now(), component)
    steps = plan(found, want)["steps"]
    assert component in [step["component"] for step in steps]
    assert under_current(found_of(found), wanted_of(want), names_of(steps)) == sets_aside


def test_the_link_stays_when_all_is_made_beside() -> None:
    assert not aside(upgrade())
    assert not aside(now())
    assert not aside(used(bare()))


@pytest.mark.parametrize("component", ["toolkit", "kernels", "environment", "source", "python"])
def test_one_step_is_enough(component: str) -> None:
    assert under_current(found_of(now()), wanted_of(wanted()), {component})
    assert not under_current(found_of(upgrade()), wanted_of(wanted()), {component})


@pytest.mark.parametrize(
    ("change", "sets_aside"), [({"python": "3.10.13"}, True), ({"cann_home": HOME}, True), ({"python": None}, False)]
)
def test_another_release_on_the_same_python_or_cann(change: dict[str, Any], sets_aside: bool) -> None:
    found = upgrade()
    found["environments"]["all"][OLD].update(change)
    assert aside(found) == sets_aside


def test_a_dead_link_to_what_is_made_is_taken_away_first() -> None:
    found = upgrade()
    found["environments"]["current"] = NAME
    assert aside(found)
    found["environments"]["current"] = "gone"
    assert not aside(found)


# --- stop ---------------------------------------------------------------------------------------------------------

NODES = [f"n{number:02}" for number in range(1, 31)]


def batches(*sizes: int) -> dict[str, Batch]:
    """The nodes that were reached, each with its batch."""
    nodes = list(NODES)
    reached: dict[str, Batch] = {}
    for position, size in enumerate(sizes):
        batch, nodes = nodes[:size], nodes[size:]
        reached.update({node: {"name": batch[0], "size": size, "first": position == 0} for node in batch})
    return reached


def without(reached: dict[str, Any], *failed: str) -> list[str]:
    return [node for node in reached if node not in failed]


def test_nothing_stops_before_the_first_batch_nor_after_those_that_ended_well() -> None:
    assert stops({}, [], 0) == ""
    assert stops(batches(1), ["n01"], 0) == ""
    assert stops(batches(1, 10), NODES[:11], 0) == ""


def test_a_failed_canary_stops() -> None:
    assert stops(batches(1), [], 100) == "1 of 1 nodes failed (n01), in the first batch, where none may fail"
    said = stops(batches(3), ["n01", "n03"], 100)
    assert said == "1 of 3 nodes failed (n02), in the first batch, where none may fail"


@pytest.mark.parametrize(
    ("batch", "failed", "percent", "stop"),
    [
        (10, 1, 0, True),
        (10, 1, 9.99, True),
        (10, 1, 10, False),
        (10, 2, 10, True),
        (10, 10, 100, False),
        (3, 1, 33, True),
        (3, 1, 33.34, False),
        (20, 3, 15, False),
        (29, 7, 24.13, True),
    ],
)
def test_a_later_batch_at_the_border(batch: int, failed: int, percent: float, stop: bool) -> None:
    reached = batches(1, batch)
    said = stops(reached, without(reached, *NODES[1 : 1 + failed]), percent)
    assert bool(said) == stop
    if stop:
        assert said.startswith(f"{failed} of {batch} nodes failed (n02")
        assert said.endswith(f", in a batch where {percent:g} % may fail")


def test_of_many_failed_the_first_are_named() -> None:
    said = stops(batches(1, 29), ["n01"], 5)
    assert said == "29 of 29 nodes failed (n02, n03, n04, n05, n06 and 24 more), in a batch where 5 % may fail"


def test_each_batch_counts_for_itself() -> None:
    """A tenth of two batches each is not a fifth of one."""
    reached = batches(1, 10, 10)
    assert stops(reached, without(reached, "n02", "n12"), 10) == ""
    assert stops(reached, without(reached, "n12", "n13"), 10).startswith("2 of 10 nodes failed (n12, n13)")


def test_a_batch_of_all_is_the_first() -> None:
    assert stops(batches(30), NODES[1:], 50).endswith("in the first batch, where none may fail")


def test_the_first_batch_is_told_of_also_after_later_ones() -> None:
    """Where Ansible went on to the next batch."""
    reached = batches(1, 10)
    assert stops(reached, without(reached, "n01"), 100).startswith("1 of 1 nodes failed (n01), in the first batch")
