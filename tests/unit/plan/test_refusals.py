# SPDX-License-Identifier: Apache-2.0
"""The planner's refusals: every reason not to change a node, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import finding, refusal
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.asked import wanted_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.found import found_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.preconditions import repairs_cann
from tests.unit.plan.planner_nodes import NAME, bare, cards as inventory_cards, converged, refusals, steps, wanted


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
        (changed(npu__devices__3__health="Warning"), "health"),
        (changed(npu__devices__3__health="UNKNOWN"), "health"),
        (changed(npu__devices__3__health=None), "health"),
        (changed(npu__driver_version="23.0.6"), "driver"),
        (changed(npu__driver_version=None, driver__version="23.0.6"), "driver"),
        (changed(driver__firmware_version="7.1.0.5.999"), "firmware"),
        (changed(driver__firmware_version="6.4"), "firmware"),
        (changed(system__glibc="2.27"), "glibc"),
        (changed(system__glibc=None), "glibc"),
        (changed(system__paths__0__mode="0750"), "directory"),
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
    assert refusals(found, cards=inventory_cards(**cards)) == check


def test_chips_of_one_card_are_one_card() -> None:
    found = bare()
    for number, device in enumerate(found["npu"]["devices"]):
        device.update(npu_id=number // 2, chip_id=number % 2)
    assert refusals(found, cards=inventory_cards(count=4)) == []


def test_a_memory_size_that_the_table_lacks_is_not_judged() -> None:
    assert refusals(bare(), cards=inventory_cards(count=8, memory_mb=65536)) == []
    found = bare()
    found["npu"]["devices"][3].update(hbm_total_mb=32768)
    (refusal,) = plan(found, wanted(cards=inventory_cards(memory_mb=65536)))["refusals"]
    assert (refusal["check"], refusal["found"]) == ("card-memory", "1 x 32768 MB")


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


def with_a_newer_one_beside(found: dict[str, Any], state: str) -> dict[str, Any]:
    """A CANN of the users' beside ours, to which `latest` leads."""
    found["cann"]["latest"] = "8.2.RC1"
    toolkit = {"state": state, "problems": ["lib64/libascendcl.so is lost"], "problem_count": 1}
    found["cann"]["versions"] = {"8.0.RC1": {"toolkit": toolkit, "kernels": {}}} if state != "absent" else {}
    return found


@pytest.mark.parametrize("state", ["altered", "half-installed", "complete", "absent"])
def test_a_newer_cann_beside_ours_forbids_no_repair_of_ours(state: str) -> None:
    found = with_a_newer_one_beside(converged(), state)
    assert [step["component"] for step in plan(found, wanted())["steps"]][-1] == "kernels"
    assert refusals(found) == []
    assert repairs_cann(found_of(found), wanted_of(wanted()), plan(found, wanted())["steps"])


@pytest.mark.parametrize("state", ["altered", "half-installed"])
def test_a_repair_that_was_interrupted_goes_on(state: str) -> None:
    """Nothing is current while the CANN below it is repaired."""
    found = with_a_newer_one_beside(converged(), state)
    found["environments"]["current"] = None
    assert refusals(found) == []


def test_what_is_no_repair_of_ours() -> None:
    staged = with_a_newer_one_beside(converged(), "absent")
    staged["environments"]["current"] = None  # the environment was built beside a CANN that is still to come
    first = with_a_newer_one_beside(bare(), "half-installed")
    other = with_a_newer_one_beside(converged(), "altered")
    other["environments"]["all"][NAME]["cann_home"] = "/elsewhere"
    for found in (staged, first, other):
        assert refusals(found) == ["downgrade"]
        assert not repairs_cann(found_of(found), wanted_of(wanted()), plan(found, wanted())["steps"])
        assert refusals(found, allow_downgrade=True) == []


def test_a_cann_whose_order_is_not_known_is_told_as_such() -> None:
    found = bare()
    found["cann"]["latest"] = "8.0.RC1-custom"
    (refusal,) = plan(found, wanted())["refusals"]
    assert (refusal["check"], refusal["problem"]) == (
        "downgrade",
        "cannot tell whether CANN 8.0.RC1 is older than the installed one",
    )


def test_what_the_depot_lacks() -> None:
    lacking = refusal("system", "depot", "no wheels", "w", "f", "r")
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


@pytest.mark.parametrize("mode", ["0755", "0775", "0777", "1777", "2755", "2775", "0757"])
def test_modes_that_the_installer_takes(mode: str) -> None:
    """Wider than 0755 is a warning of its own, and it goes on."""
    assert refusals(changed(system__paths__0__mode=mode)) == []
    assert refusals(changed(system__paths__1__mode=mode)) == []


@pytest.mark.parametrize("mode", ["0700", "0750", "0711", "0754", "2750", "0555", "0655", "0776", "0770", "0774", None])
def test_modes_of_its_own_folder_that_it_refuses(mode: str | None) -> None:
    """Narrower than 0755; or others may not read and enter what is installed for all."""
    assert refusals(changed(system__paths__0__mode=mode)) == ["directory"]


@pytest.mark.parametrize(("mode", "refused"), [("0555", []), ("0700", ["directory"]), ("0754", ["directory"])])
def test_modes_of_a_parent(mode: str, refused: list[str]) -> None:
    assert refusals(changed(system__paths__1__mode=mode)) == refused


@pytest.mark.parametrize(
    ("uid", "mode", "remedy"),
    [
        (0, "0700", "chmod 0755 /usr"),
        (1000, "2775", "chown root:root /usr"),
        (1000, "0700", "chown root:root /usr && chmod 0755 /usr"),
    ],
)
def test_the_remedy_changes_what_has_to_be_changed(uid: int, mode: str, remedy: str) -> None:
    found = changed(system__paths__1__mode=mode, system__paths__1__uid=uid)
    (refusal,) = plan(found, wanted())["refusals"]
    assert refusal["remedy"] == remedy
