# SPDX-License-Identifier: Apache-2.0
"""A release's CANN on a node that has one of another layout: beside it, in its place, or refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.asked import CannRelease
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.crossing import place_for
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.found import found_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollback import rollback
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollout import apply_to
from tests.unit.plan.planner_nodes import COMPLETE, HOME, NAME, bare, converged, wanted

ROOT = "/usr/local/Ascend"
APART = f"{ROOT}/beside/cann-9.0.0"
IN_ROOT = f"{ROOT}/cann-9.0.0"
LATER = CannRelease("9.0.0", "cann")


def found(*versions: tuple[str, str, str], ours: bool = True, state: str = "complete") -> dict[str, Any]:
    """A converged node of 8.0.RC1, or a bare one, with these (version, layout, path)."""
    node = converged() if any(name == "8.0.RC1" for name, _, _ in versions) else bare()
    package = {"toolkit": {**COMPLETE, "state": state}, "kernels": {"910b": dict(COMPLETE)}, "ours": ours}
    node["cann"] = {
        "root": ROOT,
        "latest": next((name for name, _, path in versions if not path.startswith(f"{ROOT}/beside")), None),
        "latest_beside": next((name for name, _, path in versions if path.startswith(f"{ROOT}/beside")), None),
        "versions": {
            name: {**copy.deepcopy(package), "layout": layout, "path": path} for name, layout, path in versions
        },
    }
    return node


OLD = ("8.0.RC1", "ascend-toolkit", HOME)
NEW_APART, NEW_IN_ROOT = ("9.0.0", "cann", APART), ("9.0.0", "cann", IN_ROOT)


def later(policy: str = "beside", path: str = APART, **changes: Any) -> dict[str, Any]:
    """What a node of release 9.0.0 should be."""
    lies = {"version": "9.0.0", "layout": "cann", "beside": path == APART}
    environment = {"name": "9.0.0-x", "lock_digest": "x", "cann_home": path, "source": {}}
    more = {"toolkit": lies, "kernels": {**lies, "chip": "910b"}, "environment": environment, "cann_cross": policy}
    return wanted(release="9.0.0", **more, **changes)


def steps(node: dict[str, Any], asked: dict[str, Any]) -> dict[str, str]:
    return {step["component"]: step["reason"] for step in plan(node, asked)["steps"]}


def refused(node: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    return [refusal["check"] for refusal in plan(node, asked)["refusals"]]


@pytest.mark.parametrize(
    ("node", "policy", "home"),
    [
        (bare(), "beside", APART),
        (found(OLD), "beside", APART),
        (found(OLD), "replace", IN_ROOT),
        (found(NEW_IN_ROOT), "beside", IN_ROOT),  # what is there stays where it is
        (found(NEW_APART), "replace", APART),
        (found(NEW_APART, state="half-installed"), "replace", APART),
        (found(NEW_IN_ROOT, state="absent"), "beside", APART),
    ],
)
def test_where_it_goes(node: dict[str, Any], policy: str, home: str) -> None:
    assert place_for(found_of(node).cann, LATER, ROOT, policy).home("9.0.0") == home


def test_an_older_layout_goes_to_the_root_itself() -> None:
    assert place_for(found_of(bare()).cann, CannRelease("8.0.RC1"), ROOT, "beside").home("8.0.RC1") == HOME


def test_beside_an_earlier_one_nothing_of_that_is_touched_and_the_plan_says_where() -> None:
    node = found(OLD)
    todo = steps(node, later())
    assert todo["toolkit"] == f"toolkit 9.0.0 is absent; it is installed beside 8.0.RC1, in {APART}"
    assert "cross" not in todo
    assert refused(node, later()) == []
    assert not apply_to(node, later(), "skip")["sets_aside"]


def test_replaced_is_what_lies_in_its_place_and_current_is_taken_away_before() -> None:
    node = found(OLD)
    asked = later("replace", IN_ROOT)
    todo = steps(node, asked)
    assert list(todo)[:2] == ["cross", "toolkit"]
    assert todo["cross"] == (
        "CANN 9.0.0 replaces 8.0.RC1 (cann_cross: replace); a rollback to it has to install it again"
    )
    (cross,) = [step for step in plan(node, asked)["steps"] if step["component"] == "cross"]
    assert [each["subject"] for each in cross["causes"]] == ["8.0.RC1"]
    assert refused(node, asked) == []
    assert apply_to(node, asked, "skip")["replaces"] == ["8.0.RC1"]
    assert apply_to(node, later(), "skip")["replaces"] == []
    assert apply_to(node, asked, "skip")["sets_aside"]
    node["environments"]["all"][NAME]["cann_home"] = "/elsewhere"
    assert not apply_to(node, asked, "skip")["sets_aside"]


def test_what_lies_beside_may_have_a_disk_of_its_own() -> None:
    node, folder = found(OLD), f"{ROOT}/beside"
    node["system"]["paths"].insert(0, {"path": folder, "exists": True, "uid": 0, "mode": "0700"})
    for place in (ROOT, folder):
        node["system"]["disk"][place] = {"device": 1, "free_mb": 10**6}
    node["system"]["disk"][folder] = {"device": 2, "free_mb": 3}
    assert sorted((each["check"], each["where"]) for each in plan(node, later())["refusals"]) == [
        ("directory", folder),
        ("disk", folder),
    ]
    assert refused(node, later("replace", IN_ROOT)) == []  # it does not lie there


def test_what_somebody_else_installed_is_not_replaced() -> None:
    node = found(OLD, ours=False)
    (refusal,) = plan(node, later("replace", IN_ROOT))["refusals"]
    assert refusal["check"] == "cann-cross-foreign"
    assert f"bash {HOME}/*-linux/script/uninstall.sh" in refusal["remedy"]
    assert refused(node, later()) == []  # beside it disturbs nobody


def test_an_interrupted_crossing_goes_on() -> None:
    node = found(OLD, state="half-installed")
    node["environments"]["current"] = None
    assert list(steps(node, later("replace", IN_ROOT)))[:2] == ["cross", "toolkit"]
    gone = found(OLD, state="absent")
    assert list(steps(gone, later("replace", IN_ROOT)))[:2] == ["toolkit", "kernels"]


def test_the_other_way_round_it_is_refused_or_replaced() -> None:
    node = found(NEW_IN_ROOT)
    assert sorted(refused(node, wanted(allow_downgrade=True))) == ["cann-cross"]
    assert "downgrade" in refused(node, wanted())
    asked = wanted(allow_downgrade=True, cann_cross="replace")
    assert refused(node, asked) == []
    assert list(steps(node, asked))[:3] == ["python", "cross", "toolkit"]


def test_an_older_one_goes_beside_a_later_one_that_lies_apart() -> None:
    """Nothing current is newer: then the other links are nobody's downgrade."""
    node = found(NEW_APART)
    assert refused(node, wanted()) == []
    assert "cross" not in steps(node, wanted(cann_cross="replace"))


def test_two_side_by_side_are_in_step_with_either() -> None:
    node = found(OLD, NEW_APART)
    assert steps(node, wanted()) == {}
    current = {**node["environments"]["all"][NAME], "cann_home": APART, "lock_digest": "x", "release": "9.0.0"}
    node["environments"]["all"][NAME]["release"] = "8.0.RC1"
    node["environments"] = {"current": "9.0.0-x", "all": {**node["environments"]["all"], "9.0.0-x": current}}
    assert steps(node, later()) == {}
    assert plan(node, later())["remarks"] == []  # each has its own links
    back = rollback(node, "8.0.RC1")["target"]
    assert back is not None
    assert (back["cann_version"], back["switch"], back["lead_latest"]) == ("8.0.RC1", True, False)
    node["environments"]["current"] = NAME
    forward = rollback(node, "9.0.0")["target"]
    assert forward is not None
    assert (forward["cann_version"], forward["lead_latest"]) == ("9.0.0", False)
    node["cann"]["latest_beside"] = "9.1.0"
    assert [each["check"] for each in plan(node, later())["remarks"]] == ["latest-other"]


def test_after_a_crossing_a_rollback_says_that_it_has_to_install() -> None:
    node = found(NEW_IN_ROOT)
    node["environments"] = converged()["environments"]
    node["environments"]["all"][NAME]["release"] = "8.0.RC1"
    (refusal,) = rollback(node, "8.0.RC1")["refusals"]
    assert "toolkit 8.0.RC1: absent" in refusal["found"]
    assert refusal["remedy"].startswith("ansible-playbook site.yml -e ascend_release=8.0.RC1")
    assert refusal["remedy"].endswith("-e cann_cross=replace  # installs it again")


def test_a_lost_link_beside_is_a_step_of_its_own() -> None:
    node = found(OLD, NEW_APART)
    node["cann"]["latest_beside"] = None
    assert steps(node, wanted()) == {}  # 8.0.RC1 does not use it
    assert "latest" in steps(node, later())
    node["cann"]["latest_beside"] = "9.1.0"
    assert "latest" not in steps(node, later())


def test_links_that_the_wanted_cann_does_not_use_are_no_drift() -> None:
    def told(node: dict[str, Any], asked: dict[str, Any]) -> list[str]:
        return [each["check"] for each in plan(node, asked)["warnings"]]

    node = found(OLD, NEW_APART)
    broken = {"subset": "cann", "name": "cann-latest-mixed", "problem": "p", "wanted": "w", "found": "f", "remedy": "r"}
    for where, of_old in ((f"{ROOT}/ascend-toolkit/latest", True), (f"{ROOT}/beside/cann", False)):
        node["findings"] = [{**broken, "where": where}]
        assert told(node, wanted()) == (["cann-latest-mixed"] if of_old else [])
        node["environments"]["current"] = None
        assert ("cann-latest-mixed" in told(node, later())) is not of_old
        node["environments"]["current"] = NAME


def test_no_way_back_to_the_same_version_in_another_place() -> None:
    node = found(OLD, NEW_APART)
    made_for_root = {**node["environments"]["all"][NAME], "cann_home": IN_ROOT, "release": "9.0.0"}
    node["environments"]["all"]["9.0.0-a"] = made_for_root
    (refusal,) = rollback(node, "9.0.0-a")["refusals"]
    assert "toolkit 9.0.0: absent" in refusal["found"]
