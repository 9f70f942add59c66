# SPDX-License-Identifier: Apache-2.0
"""The planner's warnings: what is told of a node though no step cures it and nothing is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import finding
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import REMARKS
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from tests.unit.plan.planner_nodes import HOME, NAME, converged, wanted


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


@pytest.mark.parametrize(
    ("keepers", "container", "level", "check", "remedy"),
    [
        ([], None, "warnings", "clock", "systemctl enable --now chronyd"),
        (["chronyd"], None, "warnings", "clock", "chronyc tracking"),
        (["ntpd"], None, "warnings", "clock", "ntpq -pn"),
        (["systemd-timesyn"], None, "warnings", "clock", "timedatectl timesync-status"),
        (["ptp4l", "phc2sys"], None, "remarks", "clock-kept-otherwise", "systemctl status ptp4l"),
        (["chronyd", "phc2sys"], None, "remarks", "clock-kept-otherwise", "chronyc tracking"),
        (["sfptpd"], None, "remarks", "clock-kept-otherwise", "systemctl status sfptpd"),
        (["chronyd"], "docker", "remarks", "clock-kept-otherwise", "chronyc tracking"),
        ([], "docker", "warnings", "clock", "systemctl enable --now chronyd"),
    ],
)
def test_a_clock_that_something_else_keeps(
    keepers: list[str], container: str | None, level: str, check: str, remedy: str
) -> None:
    found = converged()
    found["system"].update(time_synchronised=False, time_keepers=keepers, container=container)
    result: Any = plan(found, wanted())
    (told,) = result["warnings"] + result["remarks"]
    assert ([told], told["check"]) == (result[level], check)
    assert told["remedy"].startswith(remedy)
    assert not keepers or "enable" not in told["remedy"]


@pytest.mark.parametrize(
    ("keepers", "remedy"), [(["ptp4l"], "restart ptp4l"), (["ntpd"], "restart ntpd"), ([], "chronyd")]
)
def test_a_wrong_clock_is_set_by_what_keeps_it(keepers: list[str], remedy: str) -> None:
    found = converged()
    found["system"].update(time_s=0, time_keepers=keepers)
    (refusal,) = plan(found, wanted(now_s=100_000))["refusals"]
    assert refusal["check"] == "clock-wrong"
    assert remedy in refusal["remedy"]
    assert not keepers or "chronyd" not in refusal["remedy"]


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


@pytest.mark.parametrize("name", REMARKS)
def test_what_is_unknown_or_busy_is_a_remark_and_no_warning(name: str) -> None:
    result = plan(observed("cann", name), wanted())
    assert (result["warnings"], [remark["check"] for remark in result["remarks"]]) == ([], [name])


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


def test_a_newer_cann_beside_the_wanted_one_is_told_and_forbids_nothing() -> None:
    found = converged()
    found["cann"]["latest"] = "8.0.0"
    result = plan(found, wanted())
    assert (result["steps"], result["refusals"], result["warnings"]) == ([], [], [])
    assert [remark["check"] for remark in result["remarks"]] == ["latest-other"]


def test_a_latest_that_is_to_be_led_back_is_a_step_and_told_once() -> None:
    found = converged()
    found["cann"].update(latest="8.0.1", repairing={"repaired": "8.0.RC1", "latest": "8.2.RC1"})
    result = plan(found, wanted())
    assert [(step["component"], step["found"], step["wanted"]) for step in result["steps"]] == [
        ("latest", "8.0.1", "8.2.RC1")
    ]
    assert (result["warnings"], result["remarks"]) == ([], [])


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
    assert warning["found"] == f"provision to {NAME}, started 2026-03-02T01:30:00Z by alice on control node ctl-1"


def test_a_node_that_is_still_drained_is_told_with_the_command_that_resumes_it() -> None:
    found = converged()
    found["changes"]["drained"] = {key: CHANGE[key] for key in ("began", "who", "control", "run")}
    result = plan(found, wanted())
    (warning,) = result["warnings"]
    assert (result["steps"], result["refusals"], warning["check"]) == ([], [], "node-drained")
    assert warning["found"] == "drained 2026-03-02T01:30:00Z by alice from control node ctl-1"
    assert warning["where"].endswith("/drained")
    assert "ansible-playbook site.yml --limit NODE" in warning["remedy"]
