# SPDX-License-Identifier: Apache-2.0
"""The planner: every step, every refusal, and nothing at all on a converged node."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible.module_utils.ascend.node import finding
from ansible.module_utils.ascend.plan import forms
from ansible.module_utils.ascend.plan.plan import plan

COMPLETE = {"state": "complete", "problems": [], "problem_count": 0}
NAME = "8.0.RC1-0123456789ab"
HOME = "/usr/local/Ascend/ascend-toolkit/8.0.RC1"


def wanted(**changes: Any) -> dict[str, Any]:
    """What a node of eight 910B3 should be."""
    places = {"cann": "/usr/local/Ascend", "tmp": "/var/tmp", "env": "/opt/ascend", "cache": "/var/cache/x"}
    places["state"] = "/var/lib/ascend-fleet"
    return {
        "release": "8.0.RC1",
        "chips": {
            "910": {"names": "910A?", "supported": False, "reason": "no kernels"},
            "910b": {"names": "910B[1-4].*", "supported": True},
        },
        "driver": {"minimum": "24.1.rc1", "firmware": "7.1.0.6.220", "policy": "fail"},
        "cards": {"count": 0, "memory_mb": 0},
        "system": {"limits": {}, "kernel_settings": {}},
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
        "driver": {"version": "24.1.rc1", "firmware_version": "7.1.0.6.220"},
        "changes": {"running": None, "last": None},
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
    assert [cause["name"] for cause in step["causes"]][-2:] == ["damage", "unlisted"]
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
        (changed(driver__firmware_version="7.1.0.5.999"), "firmware"),
        (changed(driver__firmware_version="6.4"), "firmware"),
        (changed(system__glibc="2.27"), "glibc"),
        (changed(system__glibc=None), "glibc"),
        (changed(system__paths__0__mode="0775"), "directory"),
        (changed(system__paths__1__uid=1000), "directory"),
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


def test_old_firmware_can_be_a_warning_and_unknown_firmware_is_not_judged() -> None:
    want = wanted(driver={**wanted()["driver"], "policy": "warn"})
    result = plan(changed(driver__firmware_version="7.1.0.5.1"), want)
    assert (result["refusals"], [warning["check"] for warning in result["warnings"]]) == ([], ["firmware"])
    assert refusals(changed(driver__firmware_version=None)) == []
    assert refusals(changed(driver__firmware_version="7.3.0.1.231")) == []


def test_each_sick_card_is_a_refusal_of_its_own() -> None:
    found = bare()
    for number in (2, 5):
        found["npu"]["devices"][number]["health"] = "Alarm"
    told = plan(found, wanted())["refusals"]
    assert [(refusal["check"], refusal["subject"]) for refusal in told] == [("health", "2"), ("health", "5")]


@pytest.mark.parametrize(
    ("cards", "check"),
    [
        ({"count": 8, "memory_mb": 65536}, []),
        ({"count": 0, "memory_mb": 0}, []),
        ({"count": 16, "memory_mb": 0}, ["card-count"]),
        ({"count": 7, "memory_mb": 0}, ["card-count"]),
        ({"count": 8, "memory_mb": 32768}, ["card-memory"]),
    ],
)
def test_the_inventorys_cards(cards: dict[str, int], check: list[str]) -> None:
    found = bare()
    for device in found["npu"]["devices"]:
        device.update(hbm_total_mb=65536, memory_total_mb=0)
    assert refusals(found, cards=cards) == check


def test_chips_of_one_card_are_one_card() -> None:
    found = bare()
    for number, device in enumerate(found["npu"]["devices"]):
        device.update(npu_id=number // 2, chip_id=number % 2)
    assert refusals(found, cards={"count": 4, "memory_mb": 0}) == []


def test_a_memory_size_that_the_table_lacks_is_not_judged() -> None:
    assert refusals(bare(), cards={"count": 8, "memory_mb": 65536}) == []
    found = bare()
    found["npu"]["devices"][3].update(hbm_total_mb=32768)
    (refusal,) = plan(found, wanted(cards={"count": 0, "memory_mb": 65536}))["refusals"]
    assert (refusal["check"], refusal["found"]) == ("card-memory", "1 x 32768 MB")


def warned(found: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    result = plan(found, wanted(**changes))["warnings"]
    for warning in result:
        assert all(warning[key] for key in ("component", "problem", "wanted", "found", "remedy")), warning
    return [(warning["check"], warning["subject"]) for warning in result]


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"nofile": [1024, 8192]}, []),
        ({"nofile": [1024, -1]}, []),
        ({"nofile": [1024, 4096]}, [("limit", "nofile")]),
        ({}, []),
    ],
)
def test_limits_that_the_release_names(limits: dict[str, Any], told: list[Any]) -> None:
    found = converged()
    found["system"]["limits"] = limits
    assert warned(found, system={"limits": {"nofile": 8192}, "kernel_settings": {}}) == told


@pytest.mark.parametrize(
    ("have", "want", "good"),
    [
        ("65530", "65530", True),
        ("70000", "65530", True),
        ("9", "10", False),
        ("60000-60015", "60000-60015", True),
        ("22,50000-60020", "60000-60015", True),
        ("60000-60010,60012-60015", "60000-60015", False),
        ("", "60000-60015", False),
        (None, "60000-60015", False),
        ("always [madvise] never", "always  [madvise] never", True),
        ("never", "always", False),
        ("1", "always", False),
    ],
)
def test_kernel_settings_that_the_release_names(have: str | None, want: str, good: bool) -> None:
    found = converged()
    found["system"]["kernel_settings"] = {"net.x": have}
    told = warned(found, system={"limits": {}, "kernel_settings": {"net.x": want}})
    assert told == ([] if good else [("kernel-setting", "net.x")])


@pytest.mark.parametrize(("synchronised", "told"), [(True, []), (None, []), (False, [("clock", "")])])
def test_the_clock(synchronised: bool | None, told: list[Any]) -> None:
    found = converged()
    found["system"]["time_synchronised"] = synchronised
    assert warned(found) == told


def observed(subset: str, name: str, where: str = "", **facts: Any) -> dict[str, Any]:
    found = {**converged(), **facts}
    found["findings"] = [finding(subset, name, "problem", "wanted", "found", where, "remedy")]
    return found


@pytest.mark.parametrize(
    ("subset", "name", "component"),
    [
        ("network", "network-link-down", "network"),
        ("npu", "fewer-chips-visible", "cards"),
        ("npu", "npu-smi-unread", "driver"),
        ("driver", "driver-reboot-pending", "driver"),
        ("cann", "cann-latest-mixed", "cann"),
        ("python", "environment-leak", "env"),
        ("python", "python-half-installed", "python"),
    ],
)
def test_what_no_step_cures_is_a_warning_of_its_component(subset: str, name: str, component: str) -> None:
    (warning,) = plan(observed(subset, name), wanted())["warnings"]
    assert (warning["check"], warning["component"]) == (name, component)


def test_what_a_step_or_a_refusal_tells_is_not_told_twice() -> None:
    assert plan(observed("npu", "card-unhealthy"), wanted())["warnings"] == []
    found = observed("cann", "cann-altered", HOME)
    found["cann"]["versions"]["8.0.RC1"]["toolkit"]["state"] = "altered"
    assert plan(found, wanted())["warnings"] == []
    stale = observed("cann", "cann-record-stale", "/etc/Ascend/x", cann=found["cann"])
    assert warned(stale) == [("cann-record-stale", "")]


def test_what_lies_beside_the_release_is_no_drift() -> None:
    other = f"{HOME.replace('RC1', 'RC2')}"
    found = observed("cann", "cann-half-installed", other)
    found["cann"]["versions"]["8.0.RC2"] = {"path": other, "toolkit": {"state": "half-installed"}, "kernels": {}}
    found["cann"]["versions"]["8.0.RC1"]["path"] = HOME
    assert warned(found) == []
    found["findings"][0]["where"] = HOME
    assert warned(found) == [("cann-half-installed", "")]
    found = observed("python", "environment-leak", "/opt/ascend/env/older/lib/x.pth")
    found["environments"]["all"]["older"] = {"path": "/opt/ascend/env/older"}
    assert warned(found) == []
    found["findings"][0]["where"] = "/opt/ascend/env/older-one"
    assert warned(found) == [("environment-leak", "")]
    assert warned(observed("cann", "cann-elsewhere", "/home/anna/Ascend")) == []


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
    broken["environments"]["all"][NAME]["problems"] = ["p"]
    broken["environments"]["all"][NAME]["problem_count"] = 1
    assert steps(broken, environment=environment) == [("environment", "repair"), ("source", "repair")]


def test_eula() -> None:
    assert refusals(bare(), accept_eula=False) == ["eula"]
    assert refusals(converged(), accept_eula=False) == []


def of_newer(version: str) -> dict[str, Any]:
    """A node on which a newer release is current, and the wanted one is there beside it."""
    found = converged()
    newer = {**found["environments"]["all"][NAME], "cann_home": f"/usr/local/Ascend/ascend-toolkit/{version}"}
    found["environments"]["all"]["newer"] = newer
    found["environments"]["current"] = "newer"
    found["cann"]["latest"] = version
    return found


@pytest.mark.parametrize("version", ["8.0.0", "8.5.weird"])
def test_an_older_release_is_made_current_only_when_asked(version: str) -> None:
    assert refusals(of_newer(version)) == ["downgrade"]
    assert refusals(of_newer(version), allow_downgrade=True) == []
    assert steps(of_newer(version), allow_downgrade=True) == [("current", "switch")]


@pytest.mark.parametrize("version", ["8.0.0", "8.5.weird"])
def test_an_older_cann_is_installed_only_when_asked(version: str) -> None:
    found = bare()
    found["cann"]["latest"] = version
    assert refusals(found) == ["downgrade"]
    assert refusals(found, allow_downgrade=True) == []


def test_a_newer_cann_beside_the_wanted_one_is_told_and_forbids_nothing() -> None:
    found = converged()
    found["cann"]["latest"] = "8.0.0"
    result = plan(found, wanted())
    assert (result["steps"], result["refusals"]) == ([], [])
    assert [warning["check"] for warning in result["warnings"]] == ["latest-other"]


def test_what_the_depot_lacks() -> None:
    lacking = forms.refusal("system", "depot", "no wheels", "w", "f", "r")
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


CHANGE = {
    "began": "2026-03-02T01:30:00Z",
    "who": "alice",
    "control": "ctl-1",
    "run": "ctl-1-1-1",
    "action": "provision",
}


def test_a_change_that_has_not_ended_is_told_and_needs_no_step() -> None:
    """A run that is at work looks at its own node as well, in its end."""
    found = converged()
    found["changes"]["running"] = {**CHANGE, "from": "none", "to": NAME}
    result = plan(found, wanted())
    (warning,) = result["warnings"]
    assert (result["steps"], result["refusals"], warning["check"]) == ([], [], "change-unfinished")
    assert warning["found"] == f"provision to {NAME}, begun 2026-03-02T01:30:00Z by alice from control node ctl-1"
