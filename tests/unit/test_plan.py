# SPDX-License-Identifier: Apache-2.0
"""The planner: every step, every refusal, and nothing at all on a converged node."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible.module_utils.ascend.node import finding
from ansible.module_utils.ascend.plan import plan

COMPLETE = {"state": "complete", "problems": [], "problem_count": 0}
NAME = "8.0.RC1-0123456789ab"
HOME = "/usr/local/Ascend/ascend-toolkit/8.0.RC1"


def wanted(**changes: Any) -> dict[str, Any]:
    """What a node of eight 910B3 should be."""
    places = {"cann": "/usr/local/Ascend", "tmp": "/var/tmp", "env": "/opt/ascend", "cache": "/var/cache/x"}
    return {
        "release": "8.0.RC1",
        "chips": {
            "910": {"names": "910A?", "supported": False, "reason": "no kernels"},
            "910b": {"names": "910B[1-4].*", "supported": True},
        },
        "driver": {"minimum": "24.1.rc1", "firmware": "7.1.0.6.220", "policy": "fail"},
        "disk_mb": {"cann": 15000, "tmp": 8000, "env": 8000, "cache": 8000},
        "places": places,
        "accept_eula": True,
        "allow_downgrade": False,
        "toolkit": {"version": "8.0.RC1"},
        "kernels": {"version": "8.0.RC1", "chip": "910b"},
        "python": {"version": "3.10.13"},
        "environment": {"name": NAME, "lock_digest": "0123456789ab", "cann_home": HOME, "source": {}},
        "ascend_env": {"path": "/usr/local/bin/ascend-env", "sha256": "aa"},
        "problems": [],
        **changes,
    }


def bare() -> dict[str, Any]:
    """A node with its driver and nothing else."""
    disk = {"free_mb": 100_000, "device": 1}
    paths = [{"path": path, "exists": True, "uid": 0, "mode": "0755"} for path in ("/usr/local/Ascend", "/usr", "/")]
    return {
        "system": {
            "architecture": "aarch64",
            "glibc": "2.34",
            "disk": {place: dict(disk) for place in wanted()["places"].values()},
            "paths": paths,
        },
        "npu": {
            "answered": True,
            "driver_version": "24.1.rc1",
            "devices": [{"npu_id": n, "chip_id": 0, "name": "910B3", "health": "OK", "errors": []} for n in range(8)],
        },
        "driver": {"version": "24.1.rc1"},
        "findings": [],
        "cann": {"latest": None, "versions": {}},
        "pythons": {},
        "environments": {"current": None, "all": {}},
        "ascend_env": {"sha256": None},
    }


def converged() -> dict[str, Any]:
    """The same node after site.yml."""
    found = bare()
    kernels = {"910b": dict(COMPLETE)}
    found["cann"] = {"latest": "8.0.RC1", "versions": {"8.0.RC1": {"toolkit": dict(COMPLETE), "kernels": kernels}}}
    found["pythons"] = {"3.10.13": {"state": "complete"}}
    environment = {
        "state": "complete",
        "lock_digest": "0123456789ab",
        "cann_home": HOME,
        "difference": {"missing": {}, "other": {}, "extra": {}},
        "difference_count": 0,
        "editable": {},
        "problems": [],
        "problem_count": 0,
    }
    found["environments"] = {"current": NAME, "all": {NAME: environment}}
    found["ascend_env"] = {"sha256": "aa"}
    return found


def steps(found: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    return [(step["component"], step["action"]) for step in plan(found, wanted(**changes))["steps"]]


def refusals(found: dict[str, Any], **changes: Any) -> list[str]:
    result = plan(found, wanted(**changes))["refusals"]
    for refusal in result:
        assert all(refusal[key] for key in ("problem", "wanted", "found", "remedy")), refusal
    return [refusal["check"] for refusal in result]


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
    assert plan(converged(), wanted()) == {"steps": [], "refusals": [], "warnings": []}


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


def test_kernels_alone() -> None:
    found = converged()
    del found["cann"]["versions"]["8.0.RC1"]["kernels"]["910b"]
    assert steps(found) == [("kernels", "install")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda env: env["difference"]["missing"].update({"torch": "2.1.0"}), "torch is missing"),
        (lambda env: env["difference"]["other"].update({"torch": ["2.2.0", "2.1.0"]}), "torch is 2.2.0, not 2.1.0"),
        (lambda env: env["difference"]["extra"].update({"foo": "1"}), "foo 1 is extra"),
        (lambda env: env.update(lock_digest="ffff"), "it was built from lock ffff, not 0123456789ab"),
        (lambda env: env.update(lock_digest=None), "it was built from lock None, not 0123456789ab"),
        (lambda env: env["problems"].append("torch: RECORD is missing"), "RECORD is missing"),
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
        problems=["p: RECORD is missing", "q: RECORD is missing"],
        problem_count=12,
    )
    (step,) = plan(found, wanted())["steps"]
    words = "a is missing, b is missing, c is 1, not 2, d 1 is extra, p: RECORD is missing and 31 more"
    assert step["reason"] == f"environment {NAME}: {words}"


def test_the_editable_checkout_is_wanted() -> None:
    environment = {**wanted()["environment"], "source": {"version": "0.9.1"}}
    assert steps(converged(), environment=environment) == [("environment", "repair")]


def test_ascend_env_and_the_link() -> None:
    found = converged()
    found["ascend_env"]["sha256"] = "bb"
    found["environments"]["current"] = "8.0.RC1-older"
    assert steps(found) == [("ascend-env", "repair"), ("current", "switch")]


def changed(**parts: Any) -> dict[str, Any]:
    found = bare()
    for path, value in parts.items():
        *folders, last = path.split("__")
        place: Any = found
        for folder in folders:
            place = place[int(folder)] if folder.isdigit() else place[folder]
        place[last] = value
    return found


def silent(found: dict[str, Any]) -> dict[str, Any]:
    """The node with an npu-smi that says nothing but why."""
    found["npu"] = {"answered": False, "driver_version": None, "devices": []}
    why = finding("npu", "driver-not-answering", "the driver hangs", "a table", "ret is -8005", "npu-smi", "dmesg")
    found["findings"] = [finding("cann", "cann-altered", "x"), why, finding("driver", "driver-half-installed", "y")]
    return found


@pytest.mark.parametrize(
    ("found", "check"),
    [
        (silent(bare()), "driver-not-answering"),
        (changed(npu__devices=[]), "card"),
        (changed(npu__devices__3__name="910A"), "chip"),
        (changed(npu__devices__3__name="Mystery"), "chip"),
        (changed(npu__devices__3__health="Alarm"), "health"),
        (changed(npu__driver_version="23.0.6"), "driver"),
        (changed(npu__driver_version="not-a-version"), "driver"),
        (changed(npu__driver_version=None, driver__version="23.0.6"), "driver"),
        (changed(npu__driver_version=None, driver__version=None), "driver"),
        (changed(system__glibc="2.27"), "glibc"),
        (changed(system__glibc=None), "glibc"),
        (changed(system__paths__0__mode="0775"), "directory"),
        (changed(system__paths__1__uid=1000), "directory"),
        (changed(cann__latest="8.0.0"), "downgrade"),
        (changed(cann__latest="8.5.weird"), "downgrade"),
    ],
)
def test_refusals(found: dict[str, Any], check: str) -> None:
    assert refusals(found) == [check]


def test_the_tools_own_words_are_quoted() -> None:
    result = plan(silent(bare()), wanted())
    (refusal,) = result["refusals"]
    assert result["warnings"] == []
    assert (refusal["problem"], refusal["found"], refusal["remedy"]) == ("the driver hangs", "ret is -8005", "dmesg")


def test_a_sick_card_is_refused_with_its_error_codes() -> None:
    found = changed(npu__devices__3__health="Alarm", npu__devices__3__errors=["A4025021"])
    (refusal,) = plan(found, wanted())["refusals"]
    assert refusal["found"] == "NPU 3 chip 0: Alarm A4025021"


def test_the_running_driver_counts_and_not_the_one_that_waits_for_a_reboot() -> None:
    assert refusals(changed(driver__version="23.0.6")) == []
    found = bare()
    found["findings"] = [finding("driver", "driver-reboot-pending", "p", "w", "f", "x", "reboot")]
    result = plan(found, wanted())
    assert (result["refusals"], [warning["check"] for warning in result["warnings"]]) == ([], ["driver-reboot-pending"])


def test_an_old_driver_can_be_a_warning() -> None:
    want = wanted(driver={**wanted()["driver"], "policy": "warn"})
    result = plan(changed(npu__driver_version="23.0.6"), want)
    assert result["refusals"] == []
    assert [warning["check"] for warning in result["warnings"]] == ["driver"]


def test_eula() -> None:
    assert refusals(bare(), accept_eula=False) == ["eula"]
    assert refusals(converged(), accept_eula=False) == []


def test_a_downgrade_that_was_asked_for() -> None:
    assert refusals(changed(cann__latest="8.0.0"), allow_downgrade=True) == []


def test_what_the_depot_lacks() -> None:
    lacking = {"check": "depot", "problem": "no wheels", "wanted": "w", "found": "f", "remedy": "r"}
    assert refusals(bare(), problems=[lacking]) == ["depot"]


def test_places_on_one_disk_share_its_room() -> None:
    found = bare()
    for disk in found["system"]["disk"].values():
        disk["free_mb"] = 38_999  # 15000 + 8000 + 8000 + 8000 are asked for together
    assert refusals(found) == ["disk"]
    for number, disk in enumerate(found["system"]["disk"].values()):
        disk["device"] = number
    assert refusals(found) == []


def test_a_converged_node_needs_no_room() -> None:
    found = converged()
    for disk in found["system"]["disk"].values():
        disk["free_mb"] = 1
    assert refusals(found) == []


def test_distributions_with_a_read_only_root_may_have_0555() -> None:
    assert refusals(changed(system__paths__2__mode="0555")) == []
    assert refusals(changed(system__paths__0__mode="0555")) == ["directory"]
