# SPDX-License-Identifier: Apache-2.0
"""What stops a change before it does harm: disks, the clock, the record that CANN's installer insists on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import elsewhere as cann_elsewhere
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import CANN_INSTALL_RECORD
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import Plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from tests.answers import node, write
from tests.unit.plan.planner_nodes import bare, converged, refusals, wanted

ROOT = "/usr/local/Ascend"
NOON = 1_735_732_800  # 2025-01-01T12:00:00Z
PLACES = {**wanted()["places"], "state": "/var/lib/x"}
WHERE = {**PLACES, "record": "/etc/Ascend", "program": "/usr/local/bin"}
TRAINING = {"/tmp": "/tmp", "/dev/shm": "/dev/shm"}


def with_disks(found: dict[str, Any], **changed: dict[str, Any]) -> dict[str, Any]:
    """Every place on a file system of its own, with room; ``changed`` by the names of places."""
    found["system"]["disk"] = {
        path: {"path_measured": path, "free_mb": 100_000, "total_mb": 200_000, "device": number, "read_only": False}
        | {"noexec": False, "free_inodes": 10**6, **changed.get(place, {})}
        for number, (place, path) in enumerate([*WHERE.items(), *TRAINING.items()])
    }
    return found


def only(component: str) -> dict[str, Any]:
    """A node that needs just one step."""
    found = converged()
    if component == "python":
        found["pythons"] = {}
    elif component == "current":
        found["environments"]["current"] = "another"
    elif component == "ascend-env":
        found["ascend_env"]["sha256"] = None
    elif component == "environment":
        found["environments"]["all"]["8.0.RC1-0123456789ab"]["state"] = "half-installed"
    elif component == "kernels":
        found["cann"]["versions"]["8.0.RC1"]["kernels"] = {}
    return found


def test_disks_that_take_everything_stop_nothing() -> None:
    assert refusals(with_disks(bare()), places=PLACES) == []


@pytest.mark.parametrize("place", sorted(WHERE))
def test_a_read_only_place_stops_a_new_node(place: str) -> None:
    found = with_disks(bare(), **{place: {"read_only": True, "path_measured": "/measured"}})
    (told,) = plan(found, wanted(places=PLACES))["refusals"]
    assert (told["component"], told["check"], told["subject"]) == ("system", "read-only", WHERE[place])
    assert "findmnt -T /measured;" in told["remedy"]


@pytest.mark.parametrize(
    ("component", "written"),
    [
        ("python", {"env", "cache", "state"}),
        ("kernels", {"cann", "tmp", "cache", "state"}),
        ("environment", {"env", "cache", "state"}),
        ("ascend-env", {"program", "state"}),
        ("current", {"env", "state"}),
    ],
)
def test_a_read_only_place_stops_only_what_writes_there(component: str, written: set[str]) -> None:
    assert [step["component"] for step in plan(with_disks(only(component)), wanted(places=PLACES))["steps"]] == [
        component
    ]
    stopped = set()
    for place in WHERE:
        found = with_disks(only(component), **{place: {"read_only": True}})
        if refusals(found, places=PLACES):
            stopped.add(place)
    assert stopped == written


def test_a_converged_node_may_be_read_only_and_full() -> None:
    nothing = {"read_only": True, "free_mb": 0, "free_inodes": 0}
    assert refusals(with_disks(converged(), **dict.fromkeys(WHERE, nothing)), places=PLACES) == []


@pytest.mark.parametrize(
    ("component", "started"),
    [
        ("python", {"env"}),
        ("kernels", {"cann", "tmp", "env"}),
        ("environment", {"env", "cache", "cann"}),
        ("ascend-env", {"program"}),
        ("current", {"env", "cann"}),
    ],
)
def test_noexec_stops_only_what_starts_programs_there(component: str, started: set[str]) -> None:
    stopped = set()
    for place in WHERE:
        found = with_disks(only(component), **{place: {"noexec": True}})
        if refusals(found, places=PLACES):
            stopped.add(place)
    assert stopped == started


def test_noexec_names_the_variable_of_another_place() -> None:
    found = with_disks(bare(), tmp={"noexec": True, "device": 7}, cache={"noexec": True, "device": 7})
    (told,) = plan(found, wanted(places=PLACES))["refusals"]
    assert (told["check"], told["subject"], told["found"]) == ("noexec", "/var/cache/x, /var/tmp", "noexec")
    assert "ascend_cache_dir, ascend_tmp_dir in the inventory" in told["remedy"]
    assert "mount -o remount,exec $(findmnt -no TARGET -T /var/cache/x)" in told["remedy"]
    (fixed,) = plan(with_disks(bare(), program={"noexec": True}), wanted(places=PLACES))["refusals"]
    assert fixed["remedy"].endswith("-T /usr/local/bin)"), "there is no variable for it"


def told_of(found: dict[str, Any]) -> list[tuple[str, str]]:
    warnings = plan(found, wanted(places=PLACES))["warnings"]
    for warning in warnings:
        assert all(warning[key] for key in ("problem", "wanted", "found", "remedy", "where")), warning
    return [(warning["check"], warning["subject"]) for warning in warnings]


NEARLY_FULL = [
    ({"free_mb": 1023}, "disk-low"),
    ({"free_inodes": 999}, "inodes-low"),
    ({"read_only": True}, "mounted-read-only"),
    ({"device": -1, "free_mb": 0, "total_mb": None, "read_only": None, "free_inodes": None}, "disk-error"),
]


@pytest.mark.parametrize(("what", "check"), NEARLY_FULL)
@pytest.mark.parametrize("place", sorted({**WHERE, **TRAINING}))
def test_a_converged_node_tells_of_every_place_that_takes_nothing(place: str, what: dict[str, Any], check: str) -> None:
    assert told_of(with_disks(converged(), **{place: what})) == [(check, {**WHERE, **TRAINING}[place])]


@pytest.mark.parametrize("place", ["cann", "tmp", "env", "cache", "program"])
def test_a_converged_node_tells_of_noexec_where_programs_are_started(place: str) -> None:
    assert told_of(with_disks(converged(), **{place: {"noexec": True}})) == [("mounted-noexec", WHERE[place])]


def test_a_healthy_node_says_nothing_of_its_disks() -> None:
    quiet: dict[str, dict[str, Any]] = {
        "tmp": {"free_mb": 1024, "free_inodes": 1000},
        "/tmp": {"total_mb": 512, "free_mb": 52, "noexec": True},  # in memory, as CIS asks
        "/dev/shm": {"total_mb": 64, "free_mb": 64, "noexec": True},
        "state": {"noexec": True},
        "record": {"noexec": True, "free_inodes": -1},
        "env": {"total_mb": None, "free_inodes": None},  # facts of another version
    }
    assert told_of(with_disks(converged(), **quiet)) == []


def test_one_full_disk_is_told_once_and_what_is_refused_is_not_told_again() -> None:
    full: dict[str, Any] = {"free_mb": 0, "device": 7}
    assert told_of(with_disks(converged(), **dict.fromkeys((*WHERE, *TRAINING), full))) == [
        ("disk-low", ", ".join(sorted([*WHERE.values(), *TRAINING.values()])))
    ]
    found = with_disks(bare(), **dict.fromkeys((*WHERE, *TRAINING), full))
    assert refusals(found, places=PLACES) == ["disk"]
    assert told_of(found) == []


def test_places_of_one_read_only_disk_are_one_refusal() -> None:
    found = with_disks(bare(), **{key: {"device": 7, "read_only": True} for key in WHERE})
    (told,) = plan(found, wanted(places=PLACES))["refusals"]
    assert (
        told["subject"]
        == "/etc/Ascend, /opt/ascend, /usr/local/Ascend, /usr/local/bin, /var/cache/x, /var/lib/x, /var/tmp"
    )


def test_a_disk_without_inodes() -> None:
    found = with_disks(bare(), env={"free_inodes": 24_999})
    (told,) = plan(found, wanted(places=PLACES))["refusals"]
    assert (told["check"], told["subject"], told["found"]) == ("inodes", "/opt/ascend", "24999 free inodes")
    assert told["wanted"] == "25000 free inodes"
    assert refusals(with_disks(bare(), env={"free_inodes": 25_000}), places=PLACES) == []
    shared = {name: {"device": 7, "free_inodes": 25_000} for name in ("env", "cann")}
    assert refusals(with_disks(bare(), **shared), places=PLACES) == ["inodes"]


@pytest.mark.parametrize("unknown", [-1, None])
def test_a_disk_that_does_not_count_its_files_is_not_judged(unknown: int | None) -> None:
    found = with_disks(bare(), **{key: {"free_inodes": unknown} for key in WHERE})
    assert refusals(found, places=PLACES) == []


def test_what_the_depot_holds_counts_for_the_cache_when_it_is_larger() -> None:
    mb = 1024 * 1024
    sizes = {
        "toolkit": {"version": "8.0.RC1", "size_bytes": 6000 * mb},
        "kernels": {"version": "8.0.RC1", "chip": "910b", "size_bytes": 3000 * mb + 1},
    }
    short, enough = (with_disks(bare(), cache={"free_mb": room}) for room in (9000, 9001))
    (told,) = plan(short, wanted(places=PLACES, **sizes))["refusals"]
    assert (told["check"], told["wanted"], told["subject"]) == ("disk", "9001 MB free", "/var/cache/x")
    assert refusals(enough, places=PLACES, **sizes) == []
    assert refusals(with_disks(bare(), cache={"free_mb": 7999}), places=PLACES) == ["disk"], "the release's own figure"
    bundle = {"toolkit": {**sizes["toolkit"], "url": "http://depot/toolkit.zip"}, "kernels": sizes["kernels"]}
    assert refusals(enough, places=PLACES, **bundle) == ["disk"], "a bundle is unpacked beside itself"
    kernels = with_disks(only("kernels"), cache={"free_mb": 8500})
    assert refusals(kernels, places=PLACES, **sizes) == [], "only what is taken counts"


def test_wheels_that_are_sent_need_room_in_the_cache_until_the_environment_is_there() -> None:
    sent = {**wanted()["environment"], "wheels_bytes": 3000 * 1024 * 1024}
    node = with_disks(only("environment"), cache={"free_mb": 2999})
    del node["environments"]["all"][sent["name"]]
    (told,) = plan(node, wanted(places=PLACES, environment=sent))["refusals"]
    assert (told["check"], told["wanted"]) == ("disk", "3000 MB free")
    assert refusals(node, places=PLACES) == [], "nodes that fetch them need none"
    there = with_disks(only("environment"), cache={"free_mb": 2999})
    assert refusals(there, places=PLACES, environment=sent) == [], "a repair: they may lie there"


@pytest.mark.parametrize(("off_s", "told"), [(0, False), (3600, False), (-3600, False), (3601, True), (-3601, True)])
def test_a_wrong_clock(off_s: int, told: bool) -> None:
    found = converged()
    found["system"]["time_s"] = NOON + off_s
    assert refusals(found, now_s=NOON) == (["clock-wrong"] if told else [])


def test_both_times_are_shown() -> None:
    found = converged()
    found["system"]["time_s"] = 10
    (told,) = plan(found, wanted(now_s=NOON))["refusals"]
    assert told["wanted"].startswith("2025-01-01T12:00:00Z")
    assert told["found"] == "1970-01-01T00:00:10Z"
    found["system"]["time_s"] = 10**19
    assert refusals(found, now_s=NOON) == ["clock-wrong"]


def test_a_time_that_is_not_known_is_not_judged() -> None:
    found = converged()
    assert refusals(found, now_s=NOON) == []
    found["system"]["time_s"] = 10
    assert refusals(found) == []


# The record: content (None for a folder), the finding of the facts, the refusal of a node that needs the toolkit.
RECORDS: dict[str, tuple[str | None, str, str]] = {
    "as it should be": (f"Toolkit_InstallPath={ROOT}\n", "", ""),
    "of other products": ("Nnae_InstallPath=/opt\n", "", ""),
    "of another root": ("Toolkit_InstallPath=/data/Ascend\n", "cann-record-stale", "set cann_root: /data/Ascend in"),
    "of a lost root": ("Toolkit_InstallPath=/gone\n", "cann-record-stale", "mv "),
    "empty": ("", "cann-record-stale", ""),
    "zeros, as a power cut leaves": ("\0" * 512, "cann-record-stale", ""),
    "garbage": ("\x7fELF\x02\x01\x03 zz", "cann-record-unreadable", "ls -la "),
    "a folder": (None, "cann-record-unreadable", "ls -la "),
}


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_the_record_of_cann_s_place(tmp_path: Path, name: str) -> None:
    content, expected, remedy = RECORDS[name]
    for folder in (ROOT, "/data/Ascend"):
        (tmp_path / folder.strip("/")).mkdir(parents=True)
    if content is None:
        (tmp_path / CANN_INSTALL_RECORD.strip("/")).mkdir(parents=True)
    else:
        write(tmp_path, CANN_INSTALL_RECORD, content)
    record, findings = cann_elsewhere.read_install_record(node(tmp_path), ROOT)
    assert [finding["name"] for finding in findings] == [expected] * bool(expected)

    def plan_of(found: dict[str, Any]) -> Plan:
        found["findings"] = findings
        found["cann"].update(root=ROOT, record=record)
        return plan(found, wanted())

    result = plan_of(bare())
    assert [told["check"] for told in result["refusals"]] == ["cann-record"] * bool(remedy)
    assert all(told["remedy"].startswith(remedy) and told["found"] for told in result["refusals"])
    warned = [] if remedy or not expected else [expected]
    assert [told["check"] for told in result["warnings"]] == warned, "what is refused is not told twice"
    result = plan_of(converged())
    assert result["refusals"] == []
    assert [told["check"] for told in result["warnings"]] == [expected] * bool(expected)


def test_a_record_of_the_wanted_root_that_is_not_there_yet_stops_nothing(tmp_path: Path) -> None:
    write(tmp_path, CANN_INSTALL_RECORD, f"Toolkit_InstallPath={ROOT}/\n")
    record, findings = cann_elsewhere.read_install_record(node(tmp_path), ROOT)
    found = bare()
    found["findings"] = findings
    found["cann"].update(root=ROOT, record=record)
    assert [finding["name"] for finding in findings] == ["cann-record-stale"]
    assert refusals(found) == []
