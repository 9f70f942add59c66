# SPDX-License-Identifier: Apache-2.0
"""The planner's steps: all that a node lacks, in their order, and nothing at all on a converged node."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollout import apply_to
from tests.unit.plan.planner_nodes import NAME, bare, converged, damage, refusals, steps, wanted


def test_a_bare_node_needs_everything_in_order() -> None:
    assert steps(bare()) == [
        ("python", "install"),
        ("toolkit", "install"),
        ("kernels", "install"),
        ("environment", "install"),
        ("ascend-env", "install"),
        ("current", "switch"),
    ]
    assert refusals(bare()) == []


def test_a_converged_node_needs_nothing() -> None:
    assert plan(converged(), wanted()) == {"steps": [], "refusals": [], "warnings": [], "remarks": []}


def test_the_plan_changes_nothing_that_it_is_given() -> None:
    found, want = converged(), wanted()
    before = copy.deepcopy((found, want))
    plan(found, want)
    assert (found, want) == before


def test_kernels_follow_the_toolkit() -> None:
    found = converged()
    found["cann"]["versions"]["8.0.RC1"]["toolkit"] = {
        "state": "half-installed",
        "problems": ["missing runtime/version.info"],
        "problem_count": 1,
    }
    assert steps(found) == [("toolkit", "repair"), ("kernels", "repair")]
    assert "missing runtime/version.info" in plan(found, wanted())["steps"][0]["reason"]


UNPROVEN = {"state": "unproven", "problems": ["missing part toolkit"], "problem_count": 1}


@pytest.mark.parametrize("package", ["toolkit", "kernels"])
def test_what_is_unproven_is_proven_and_not_installed_again(package: str) -> None:
    found = converged()
    version = found["cann"]["versions"]["8.0.RC1"]
    if package == "toolkit":
        version["toolkit"] = dict(UNPROVEN)
    else:
        version["kernels"]["910b"] = dict(UNPROVEN)
    assert steps(found) == [("current", "prove")]
    (step,) = plan(found, wanted())["steps"]
    assert step["reason"] == f"CANN 8.0.RC1 ({package}) was installed, and no card has proven it yet"
    found["environments"]["current"] = None
    assert steps(found) == [("current", "switch")], "the switch comes with the proof"


def test_another_unproven_version_is_nobodys_business() -> None:
    found = converged()
    found["cann"]["versions"]["8.1.RC1"] = {"toolkit": dict(UNPROVEN), "kernels": {"310p": dict(UNPROVEN)}}
    assert steps(found) == []


def test_kernels_alone() -> None:
    found = converged()
    del found["cann"]["versions"]["8.0.RC1"]["kernels"]["910b"]
    assert steps(found) == [("kernels", "install")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda env: env["difference"]["missing"].update({"torch": "2.1.0"}), "torch is missing"),
        (lambda env: env["difference"]["other"].update({"torch": ["2.2.0", "2.1.0"]}), "torch is 2.2.0, not 2.1.0"),
        (lambda env: env["difference"]["extra"].update({"foo": "1"}), "foo 1 was added"),
        (lambda env: env.update(lock_digest="ffff"), "the environment was built from lock ffff, not 0123456789ab"),
        (lambda env: env.update(lock_digest=None), "the environment was built from lock unknown, not 0123456789ab"),
        (lambda env: env.update(damage("torch: RECORD is missing")), "RECORD is missing"),
        (lambda env: env.update(state="half-installed"), "not finished"),
        (lambda env: env.update(cann_home="/elsewhere"), "/elsewhere"),
    ],
)
def test_a_damaged_environment_is_repaired_alone(change: Any, words: str) -> None:
    found = converged()
    change(found["environments"]["all"][NAME])
    (step,) = plan(found, wanted())["steps"]
    assert (step["component"], step["action"]) == ("environment", "repair")
    assert words in step["reason"]


def test_what_an_environments_facts_do_not_list_is_counted() -> None:
    found = converged()
    found["environments"]["all"][NAME].update(
        difference={"missing": {"b": "1", "a": "1"}, "other": {"c": ["1", "2"]}, "extra": {"d": "1"}},
        difference_count=24,
        problems=[*damage("p: RECORD is missing")["problems"], *damage("q: RECORD is missing")["problems"]],
        problem_count=12,
    )
    (step,) = plan(found, wanted())["steps"]
    assert [cause["name"] for cause in step["causes"]][-2:] == ["damage", "unlisted"]
    words = "a is missing, b is missing, c is 1, not 2, d 1 was added, p: RECORD is missing and 31 more"
    assert step["reason"] == f"environment {NAME}: {words}"


def causes(found: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    (step,) = plan(found, wanted(**changes))["steps"]
    return [(cause["name"], cause["subject"]) for cause in step["causes"]]


@pytest.mark.parametrize("words", ["torch: RECORD is missing", "torch: RECORD is truncated"])
def test_damage_is_known_by_its_name_and_subject_whatever_its_words(words: str) -> None:
    found = converged()
    found["environments"]["all"][NAME].update(damage(words))
    assert causes(found) == [("damage", "environment-record-broken torch RECORD")]


def test_the_editable_checkout_is_wanted() -> None:
    environment = {**wanted()["environment"], "source": {"version": "0.9.1"}}
    found = converged()
    assert causes(found, environment=environment) == [("editable", "")]
    lost = {"name": "environment-editable", "subject": "llamafactory", "problem": "in any words"}
    found["environments"]["all"][NAME].update(problems=[lost], problem_count=1)
    assert causes(found, environment=environment) == [("damage", "environment-editable llamafactory")]


def test_ascend_env_and_the_link() -> None:
    found = converged()
    found["ascend_env"]["sha256"] = "bb"
    found["environments"]["current"] = "8.0.RC1-older"
    assert steps(found) == [("ascend-env", "repair"), ("current", "switch")]


def test_examples_are_a_step_of_their_own_where_the_environment_is_right() -> None:
    asked = wanted()
    asked["environment"]["examples"] = "e2"
    found = converged()
    environment = found["environments"]["all"][NAME]

    def components() -> list[tuple[str, str]]:
        return [(step["component"], step["action"]) for step in plan(found, asked)["steps"]]

    assert components() == [("examples", "install")]
    environment["examples"] = "e1"
    assert components() == [("examples", "repair")]
    environment["state"] = "half-installed"
    assert components() == [("environment", "repair")]  # which writes them, too
    environment |= {"state": "complete", "examples": "e2"}
    assert components() == []


def source(**changes: Any) -> dict[str, Any]:
    found = converged()
    environment = found["environments"]["all"][NAME]
    environment["editable"] = {"llamafactory": "/src"}
    there = {"path": "/src", "commit": "a1", "recorded_commit": "a1", "recorded": True, "edited": [], "edited_count": 0}
    environment["sources"] = {"llamafactory": {**there, **changes}}
    return found


def test_the_checkout_of_llamafactory() -> None:
    environment = {**wanted()["environment"], "source": {"version": "0.9.1"}}
    assert steps(source(), environment=environment) == []
    edited = source(edited=["src/a.py"], edited_count=7)
    (step,) = plan(edited, wanted(environment=environment))["steps"]
    assert (step["component"], step["action"]) == ("source", "repair")
    assert step["reason"] == "files of the checkout were edited: src/a.py and 6 more"
    assert steps(edited) == [], "no checkout is wanted"
    (step,) = plan(source(commit="b2"), wanted(environment=environment))["steps"]
    assert [cause["name"] for cause in step["causes"]] == ["source-commit"]
    assert steps(source(recorded=False, edited_count=1), environment=environment) == []
    broken = source(edited_count=1, edited=["x"])
    broken["environments"]["all"][NAME].update(damage("p"))
    assert steps(broken, environment=environment) == [("environment", "repair"), ("source", "repair")]


CLOSED = {"path": "/opt/ascend/env", "mode": "0700", "ours": True}


def closing(what: str) -> dict[str, Any]:
    """A converged node of which others cannot use something."""
    found = converged()
    found["environments"]["all"][NAME]["python"] = "3.10.13"
    version = found["cann"]["versions"]["8.0.RC1"]
    trees = {
        "python": found["pythons"]["3.10.13"],
        "toolkit": version["toolkit"],
        "kernels": version["kernels"]["910b"],
        "environment": found["environments"]["all"][NAME],
    }
    if what == "folder":
        found["closed"] = [CLOSED]
    else:
        trees[what]["closed"] = "lib (0700)"
    return found


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("folder", "/opt/ascend/env (0700)"),
        ("python", "Python 3.10.13: lib (0700)"),
        ("toolkit", "toolkit 8.0.RC1: lib (0700)"),
        ("kernels", "kernels-910b 8.0.RC1: lib (0700)"),
        ("environment", f"environment {NAME}: lib (0700)"),
    ],
)
def test_what_others_cannot_use_is_opened_and_nothing_else(what: str, words: str) -> None:
    found = closing(what)
    (step,) = plan(found, wanted())["steps"]
    assert (step["component"], step["action"], step["reason"]) == ("rights", "repair", f"others cannot use {words}")
    assert [each["problem"] for each in step["causes"]] == [f"others cannot use {words}"]
    applied = apply_to(found, wanted(), "ignore")
    assert (applied["stage"], applied["sets_aside"]) == (["rights"], False)


def test_what_is_opened_comes_before_the_link_and_after_what_is_made() -> None:
    found = {**closing("folder"), "ascend_env": {"sha256": None}}
    found["environments"]["current"] = None
    assert [component for component, _ in steps(found)] == ["ascend-env", "rights", "current"]


def test_what_the_release_does_not_want_may_be_closed() -> None:
    found = converged()
    found["pythons"]["3.9.0"] = {"state": "complete", "closed": "lib (0700)"}
    found["environments"]["all"]["other"] = {"state": "complete", "closed": "lib (0700)"}
    assert steps(found) == []


def test_a_folder_above_ours_is_refused() -> None:
    found = {**converged(), "closed": [{"path": "/opt", "mode": "0750", "ours": False}]}
    (told,) = plan(found, wanted())["refusals"]
    assert (told["check"], told["subject"], told["remedy"]) == ("closed-to-others", "/opt", "chmod o+rx /opt")
    assert steps(found) == []


def test_the_finding_is_told_once() -> None:
    """By the step, or the refusal."""
    found = closing("folder")
    found["findings"] = rights.findings(found["closed"])
    assert found["findings"]
    assert plan(found, wanted())["warnings"] == []
