# SPDX-License-Identifier: Apache-2.0
"""Driver and firmware against the release: what is too old, what is new enough, and what nobody can tell."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from tests.unit.plan.planner_nodes import bare, converged, wanted

OF_8_2 = {"minimum": "25.0.rc1", "firmware": "7.7.0.1.231", "policy": "fail"}


def node(found: dict[str, Any], driver: str | None, firmware: str | None = None) -> dict[str, Any]:
    found["npu"]["driver_version"] = driver
    found["driver"] = {"version": driver, "firmware_version": firmware}
    return found


def told(found: dict[str, Any], **driver: Any) -> dict[str, list[str]]:
    answer = plan(found, wanted(driver={**wanted()["driver"], **driver}))
    return {level: [each["check"] for each in answer[level]] for level in ("refusals", "warnings", "remarks")}


NOTHING: dict[str, list[str]] = {"refusals": [], "warnings": [], "remarks": []}
UNORDERED = ["24.1.rc1-custom", "24.1.rc1.SPC002", "24.1-custom", "not-a-version", "V100R001", None]


@pytest.mark.parametrize(
    "driver",
    [
        "24.1.rc1",
        "24.1.rc1.b030",
        "24.1.rc2.2",
        "25.0.rc1.1",
        "25.0.RC1.1",
        "25.0.rc1.b030",
        "24.1.0.1",
        "25.5.1",
        "26.0.RC1",
        "24.1.rc2-custom",
        "24.1.rc3.SPC002",
        "25.x",
    ],
)
def test_drivers_that_are_new_enough(driver: str) -> None:
    """vllm-ascend#556, #676; sgl-kernel-npu#525: they run on most servers."""
    assert told(node(converged(), driver)) == NOTHING
    assert told(node(bare(), driver)) == NOTHING


@pytest.mark.parametrize("driver", ["23.0.7", "22.0.4.3", "23.0.rc3", "24.0.custom", "23-lts"])
def test_drivers_that_are_too_old(driver: str) -> None:
    assert told(node(converged(), driver)) == {**NOTHING, "refusals": ["driver"]}
    assert told(node(converged(), driver), policy="warn") == {**NOTHING, "warnings": ["driver"]}


@pytest.mark.parametrize("driver", UNORDERED)
@pytest.mark.parametrize("policy", ["fail", "warn"])
def test_a_driver_of_which_nobody_knows_the_order(driver: str | None, policy: str) -> None:
    """A warning before a change, a remark every night; nobody is sent to install what may be older."""
    assert told(node(bare(), driver), policy=policy) == {**NOTHING, "warnings": ["driver-order-unknown"]}
    assert told(node(converged(), driver), policy=policy) == {**NOTHING, "remarks": ["driver-unordered"]}
    (warning,) = plan(node(bare(), driver), wanted())["warnings"]
    assert "cannot tell" in warning["problem"]
    assert "install" not in warning["remedy"]
    assert str(driver or "no version") in warning["found"]


@pytest.mark.parametrize("driver", ["22.0.4", "23.0.7", "24.0.custom"])
def test_the_advice_is_never_older_than_what_is_there(driver: str) -> None:
    (refusal,) = plan(node(bare(), driver), wanted())["refusals"]
    assert "install Ascend HDK 24.1.rc1 or newer" in refusal["remedy"]
    assert refusal["found"] == driver


@pytest.mark.parametrize(
    ("driver", "firmware", "expected"),
    [
        ("24.1.rc1", "7.1.0.6.220", NOTHING),
        ("24.1.rc1.b030", "7.1.0.7.220", NOTHING),
        ("24.1.rc1", "7.1.0.5.220", {**NOTHING, "refusals": ["firmware"]}),
        ("24.1.rc1.b030", "7.1.0.5", {**NOTHING, "refusals": ["firmware"]}),
        ("24.1.rc1", "7.1.0.6.220-custom", {**NOTHING, "warnings": ["firmware-order-unknown"]}),
        ("24.1.rc1", "unreadable", {**NOTHING, "warnings": ["firmware-order-unknown"]}),
        ("24.1.rc1", None, NOTHING),
        # Other lines number their firmware in their own way.
        ("24.1.rc2.2", "7.1.0.1.1", NOTHING),
        ("25.0.rc1.1", "6.9.9.9.9", NOTHING),
        ("24.1.0", "7.1.0.5.220", NOTHING),
        # One reason at a time: the driver's.
        ("23.0.7", "7.1.0.11.220", {**NOTHING, "refusals": ["driver"]}),
        ("23.0.3", "7.1.0.5.220", {**NOTHING, "refusals": ["driver"]}),
        ("24.1.rc1-custom", "7.1.0.5.220", {**NOTHING, "warnings": ["driver-order-unknown"]}),
    ],
)
def test_firmware_is_held_to_the_number_of_its_own_line(driver: str, firmware: str | None, expected: Any) -> None:
    assert told(node(bare(), driver, firmware)) == expected


def test_the_firmware_advised_is_the_drivers_own() -> None:
    """Firmware of the release's oldest driver may be older than what a newer driver of that line needs."""
    found = node(bare(), "25.0.rc1.2", "7.7.0.1.100")
    (refusal,) = plan(found, wanted(driver=OF_8_2))["refusals"]
    assert "firmware of Ascend HDK 25.0.rc1.2" in refusal["remedy"]
    assert told(found, **{**OF_8_2, "policy": "warn"}) == {**NOTHING, "warnings": ["firmware"]}
    assert told(node(bare(), "25.2.3", "7.7.0.1.100"), **OF_8_2) == NOTHING


# As releases/compatibility.yml has them: driver -> the firmware of its Ascend HDK.
FIRMWARES = {
    "24.1.rc1": "7.1.0.6.220",
    "25.0.rc1": "7.7.0.1.231",
    "25.0.rc1.1": "7.7.0.1.231",
    "25.2.3": "7.7.0.10.220",
    "25.5.0": "7.8.0.5.216",
    "25.5.2": "7.8.0.7.220",
}
ANOTHERS = {**NOTHING, "remarks": ["firmware-of-another-driver"]}


@pytest.mark.parametrize(
    ("driver", "firmware", "expected"),
    [
        ("25.5.2", "7.8.0.7.220", NOTHING),
        ("25.5.2", "7.7.0.1.231", ANOTHERS),
        ("25.5.2", "7.8.0.5.216", ANOTHERS),
        # Of no driver that the table knows: older is told, newer may be a patch.
        ("25.5.2", "7.7.0.9", ANOTHERS),
        ("25.5.2", "7.8.0.8.220", NOTHING),
        # 7.7.0.10 is newer than 7.7.0.9, whatever their text says.
        ("25.2.3", "7.7.0.9.220", ANOTHERS),
        # Its upgrade begins with the firmware, and the driver was forgotten.
        ("25.2.3", "7.8.0.7.220", ANOTHERS),
        # Two drivers with one firmware.
        ("25.0.rc1", "7.7.0.1.231", NOTHING),
        ("25.0.RC1.1", "7.7.0.1.231", NOTHING),
        # Drivers without a row: as before.
        ("25.5.1", "7.7.0.1.231", NOTHING),
        ("25.5.2.b010", "7.7.0.1.231", NOTHING),
        ("25.5.2-custom", "7.7.0.1.231", NOTHING),
        ("25.5.2", "unreadable", NOTHING),
        ("25.5.2", None, NOTHING),
        # One reason at a time: what the release needs, then what belongs together.
        ("24.1.rc1", "7.1.0.5.220", {**NOTHING, "refusals": ["firmware"]}),
        ("24.1.rc1", "7.7.0.1.231", ANOTHERS),
        ("23.0.7", "7.7.0.1.231", {**NOTHING, "refusals": ["driver"]}),
    ],
)
def test_firmware_of_another_driver_is_a_remark(driver: str, firmware: str | None, expected: Any) -> None:
    """Each line of drivers numbers its firmware, so the release's minimum says nothing of most nodes."""
    for found in (bare(), converged()):
        assert told(node(found, driver, firmware), firmwares=FIRMWARES) == expected
        assert told(node(found, driver, firmware), firmwares=FIRMWARES, policy="warn")["remarks"] == expected["remarks"]


def test_it_says_whose_firmware_it_is_and_which_it_should_be() -> None:
    changes = {"driver": {**wanted()["driver"], "firmwares": FIRMWARES}}
    (remark,) = plan(node(bare(), "25.5.2", "7.7.0.1.231"), wanted(**changes))["remarks"]
    assert remark["wanted"] == "firmware 7.8.0.7.220, as in Ascend HDK 25.5.2"
    assert remark["found"] == "7.7.0.1.231, that of driver 25.0.rc1, 25.0.rc1.1"
    assert "the firmware of 25.5.2" in remark["remedy"]
    (remark,) = plan(node(bare(), "25.5.2", "7.7.0.9"), wanted(**changes))["remarks"]
    assert remark["found"] == "7.7.0.9"


@pytest.mark.parametrize("name", ["firmware-incompatible", "driver-reboot-pending"])
def test_what_the_drivers_own_files_say_is_enough(name: str) -> None:
    """A warning of the facts; the table would say the same once more."""
    found = node(converged(), "25.5.2", "7.7.0.1.231")
    words = {"problem": "p", "wanted": "w", "found": "f", "where": "x", "remedy": "r"}
    found["findings"] = [{"subset": "driver", "name": name, **words}]
    assert told(found, firmwares=FIRMWARES) == {**NOTHING, "warnings": [name]}
