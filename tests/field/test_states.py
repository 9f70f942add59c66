# SPDX-License-Identifier: Apache-2.0
"""What earlier code left (README.md), read and planned by this code: in step, finished, gone back, reported on."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import journal, leftovers, origin, run_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.settings import drop_ins
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.fill import fill
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import fleet, history, report_folder
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollback import rollback
from tests.field import states
from tests.field.states import ASCEND_ROOT, STATE, Field

ENDED = ("converged", "previous", "other-layout", "checkout")
# What is left to do of a change that was interrupted, and what it left for the next one to clear away.
INTERRUPTED: dict[str, tuple[list[str], list[str]]] = {
    "in-the-installer": (
        ["toolkit repair", "kernels repair", "environment install", "current switch"],
        [r"/var/tmp/ascend-fleet-\d+-\w+"],
    ),
    "in-the-environment": (
        ["environment repair", "current switch"],
        [r"/opt/ascend/env/\.building-8\.2\.RC1-\w{12}"],
    ),
    "in-a-repair": (["environment repair", "current switch"], [r"/opt/ascend/env/\.building-8\.0\.RC1-\w{12}"]),
    "before-the-switch": (["current switch"], []),
    "after-the-switch": ([], []),
    "latest-elsewhere": (["latest restore", "current switch"], []),
}
CHECKED = {"field-1": "converged", "field-11": "card-warning", "field-12": "link-down"}  # by the drift reports
PACKAGES = "opt/ascend/env/8*/lib/python3.10/site-packages"
# A file that is lost, and the step that brings it back.
LOST = (
    ("converged", "usr/local/Ascend/ascend-toolkit/8.0.RC1/aoe/content/part0.bin", "toolkit repair"),
    ("other-layout", "usr/local/Ascend/ascend-toolkit/8.2.RC1/devkit/version.info", "toolkit repair"),
    ("converged", "opt/ascend/python/3.10.13/lib/python3.10/ssl.py", "python repair"),
    ("converged", f"{PACKAGES}/torch_npu/npu.py", "environment repair"),
    ("checkout", "opt/ascend/env/8*/src/LLaMA-Factory/src/llamafactory/cli.py", "source repair"),
)
NEW = ("ascend-env", "examples")
OTHER = dict.fromkeys(("run", "who", "control", "machine", "boot", "pid", "started"), "other")
CHANGE = {"action": "provision", "from": "a", "to": "b"}

Read = Callable[[str], Field]


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The control node's depot and releases."""
    folder = tmp_path_factory.mktemp("control")
    states.lay_control(folder)
    return folder


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory, control: Path) -> Read:
    """A node, laid and read once for all tests: they leave it as it is."""
    fields: dict[str, Field] = {}
    known: dict[str, Path] = {}

    def laid(state: str) -> Field:
        if state not in fields:
            fields[state] = Field(state, tmp_path_factory.mktemp(state), control)
            states.lay_node(state, fields[state].root, known=known)
        return fields[state]

    return laid


def state_dir(state: str, root: Path) -> str:
    """A state folder that the test may change."""
    states.lay_node(state, root, STATE)
    return f"{root}{STATE}"


@contextmanager
def as_then(folder: str) -> Iterator[None]:
    """As if the node had not been started again since its lock was taken, and that were some seconds ago."""
    for path in Path(folder).iterdir():
        os.utime(path)
    boot = (run_lock.read(folder) or {})["node_boot"]
    with mock.patch(
        "ansible_collections.ascend.fleet.plugins.module_utils.ascend.change.process.boot", return_value=boot
    ):
        yield


def steps(field: Field, found: dict[str, Any] | None = None) -> list[str]:
    """What is done to a node, but for what this checkout brings: it is copied, and installs nothing."""
    planned = field.plan(found or field.found)
    assert planned["refusals"] == []
    return [f"{each['component']} {each['action']}" for each in planned["steps"] if each["component"] not in NEW]


def test_every_state_is_looked_at() -> None:
    assert set(states.archive()["nodes"]) == {*ENDED, *INTERRUPTED, *CHECKED.values()}


@pytest.mark.parametrize("state", ENDED)
def test_a_node_in_step_is_left_as_it_is_and_its_change_has_ended(read: Read, state: str) -> None:
    field = read(state)
    assert steps(field) == []
    assert field.found["ascend_env"]["sha256"]
    assert leftovers.leftovers(field.places) == []
    assert run_lock.read(field.places.state_dir) is None
    changes, current = field.found["changes"], field.found["environments"]["current"]
    assert changes["running"] is None
    assert changes["last"] == journal.entries(field.places.state_dir)[-1]
    told = [changes["last"][key] for key in ("result", "who", "control", "action", "to")]
    assert told == ["done", "operator", "control-1", "provision", current]


@pytest.mark.parametrize("state", ENDED)
def test_it_is_whole_in_the_deep_form_too(read: Read, state: str) -> None:
    """Of the Pythons no content is kept, so of these the fast form alone is asked."""
    found = read(state).read(deep=True)
    told = {each["name"] for each in found["findings"] if not each["where"].startswith(f"{ASCEND_ROOT}/python")}
    assert told == ({"cann-layout-unknown"} if state == "other-layout" else set())
    current = found["environments"]["all"][found["environments"]["current"]]
    assert (current["state"], current["problem_count"], current["difference_count"]) == ("complete", 0, 0)


@pytest.mark.parametrize(("state", "pattern", "step"), LOST)
def test_what_was_recorded_of_files_still_counts(read: Read, state: str, pattern: str, step: str) -> None:
    field = read(state)
    (lost,) = field.root.glob(pattern)
    aside = lost.rename(field.root / "aside")
    planned = steps(field, field.read())
    aside.rename(lost)
    assert step in planned


@pytest.mark.parametrize("state", INTERRUPTED)
def test_what_is_left_of_an_interrupted_change_is_planned_and_known(read: Read, state: str) -> None:
    field = read(state)
    planned, left = INTERRUPTED[state]
    assert steps(field) == planned
    running = field.found["changes"]["running"]
    assert [running[key] for key in ("who", "control", "action")] == ["operator", "control-1", "provision"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", running["began"])
    found = [path.removeprefix(str(field.root)) for path in leftovers.leftovers(field.places)]
    assert len(found) == len(left), found
    assert all(re.fullmatch(pattern, path) for pattern, path in zip(left, found, strict=True)), found


@pytest.mark.parametrize("state", INTERRUPTED)
def test_the_lock_of_its_run_holds_until_that_is_known_to_be_dead(tmp_path: Path, state: str) -> None:
    folder = state_dir(state, tmp_path)
    lock, earlier = run_lock.read(folder), journal.entries(folder)
    assert lock
    assert earlier
    with as_then(folder):
        assert run_lock.take(folder, OTHER, CHANGE) == lock
        assert run_lock.take(folder, OTHER, CHANGE, dead=lock["run"]) is None
    *before, last = journal.entries(folder)
    assert before == earlier
    assert (last["result"], last["who"], last["began"]) == ("interrupted", "operator", lock["began"])
    assert (run_lock.read(folder) or {})["run"] == "other"


def test_what_a_dead_run_left_at_work_is_ended(tmp_path: Path) -> None:
    """An installer whose module was killed keeps the lock that the module had."""
    folder = state_dir("in-the-installer", tmp_path)
    handle = os.open(f"{folder}/changing", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with subprocess.Popen(["sleep", "600"], pass_fds=[handle], start_new_session=True) as installer:
        os.close(handle)
        try:
            with as_then(folder):
                assert run_lock.take(folder, OTHER, CHANGE, dead=(run_lock.read(folder) or {})["run"]) is None
            assert installer.wait(20) == -signal.SIGTERM
        finally:
            installer.kill()


@pytest.mark.parametrize("state", ["previous", "other-layout", "after-the-switch"])
def test_the_way_back_leads_to_what_was_current_before(read: Read, state: str) -> None:
    field = read(state)
    way = rollback(field.found, "", ASCEND_ROOT)
    assert way["refusals"] == []
    assert way["target"]
    assert (way["from"].partition("-")[0], way["target"]["release"]) == ("8.2.RC1", "8.0.RC1")
    assert way["target"]["name"] == os.path.basename(os.readlink(field.root / "opt/ascend/env/previous"))
    assert rollback(field.found, "8.0.RC1", ASCEND_ROOT)["target"] == way["target"]


@pytest.mark.parametrize(("state", "toolkits"), [("converged", ["8.0.RC1"]), ("previous", ["8.0.RC1", "8.2.RC1"])])
def test_a_removal_knows_what_came_with_us(read: Read, state: str, toolkits: list[str]) -> None:
    known = origin.read(read(state).places.state_dir)
    assert known["toolkits"] == toolkits
    assert {"/opt/ascend", "/usr/local/Ascend/ascend-toolkit", "/var/cache/ascend-fleet"} <= set(known["absent"])
    kernel, limits = ((read(state).root / path[1:]).read_text() for path in (drop_ins.SYSCTL, drop_ins.LIMITS))
    assert drop_ins.read_kernel(kernel).was == {"net.ipv4.ip_local_reserved_ports": ""}
    assert drop_ins.read_limits(limits)


def untaken(control: Path, part: str, release: str) -> list[str]:
    """What the depot would take of a part, with nowhere to take it from."""
    options: dict[str, Any] = dict.fromkeys(("lock", "incoming", "python", "extra_index"))
    options |= {"part": part, "folder": str(control / "depot"), "release": str(control / "releases" / release)}
    options |= {"architecture": "x86_64", "requirements": str(states.ROOT / "roles" / "depot" / "files" / "uv.txt")}
    options |= {"served": False, "deep": False, "cann_sha256": {}, "source": {}, "addresses": {}, "make_python": False}
    taken, _warnings = fill(options, True, silent())
    return taken


@pytest.mark.parametrize(
    ("part", "file", "told"),
    [
        ("cann", "*toolkit_8.0*", "Ascend-cann-toolkit_8.0.RC1_linux-x86_64.run"),
        ("python", "cpython-3.10*", "CPython 3.10 for x86_64"),
        ("uv", "uv-*", "uv-0.9.9-x86_64"),
        ("wheels", "torch-2.1*", "torch==2.1.0+standin"),
    ],
)
def test_a_filled_depot_takes_what_it_lost_and_nothing_else(tmp_path: Path, part: str, file: str, told: str) -> None:
    states.lay_control(tmp_path)
    assert untaken(tmp_path, part, "8.0.RC1") == untaken(tmp_path, part, "8.2.RC1") == []
    (lost,) = (tmp_path / "depot").rglob(file)
    lost.unlink()
    assert [os.path.basename(name) for name in untaken(tmp_path, part, "8.0.RC1")] == [told]


def reported(fields: dict[str, Field], reports: Path, made: str) -> dict[str, Any]:
    """The report of nodes (by name), as a drift check makes it and adds it to the history."""
    components = fleet.chosen("")
    nodes = []
    for name, field in fields.items():
        wanted, planned = field.wanted(field.found), field.plan(field.found)
        nodes.append(fleet.checked(name, field.found, wanted, planned, components, "site.yml") | {"groups": ["ascend"]})
    run = {"made": made, "seconds": 1.0, "inventory": ["inventory/prod"], "limit": None, "deep": False}
    report = fleet.fleet(nodes, {**run, "components": components}, [])
    history.update(reports / "history.sqlite", report)
    return report


def test_the_history_knows_since_when_a_finding_is_there(read: Read, tmp_path: Path) -> None:
    """The first report saw a card's warning and a clock without time, the second one the warning and a dead link."""
    states.lay_files("reports", tmp_path)
    first, second = (json.loads(path.read_text())["made"] for path in sorted(tmp_path.glob("2*/fleet.json")))
    fields = {name: read(state) for name, state in CHECKED.items()}
    report = reported(fields, tmp_path, "2099-01-01T00:00:00Z")
    assert report["history"] is None, report["history"]
    told = {found["name"]: found for node in report["nodes"] for found in node["findings"]}
    assert (told["health"]["first_seen"], told["health"]["status"]) == (first, "still")
    assert (told["network-link-down"]["first_seen"], told["network-link-down"]["status"]) == (second, "still")
    assert {found["name"] for found in report["changes"]["new"]} == set(NEW)
    assert (report["changes"]["since"], report["changes"]["gone"]) == (second, [])
    assert [point["made"] for point in report["trend"]] == [first, second, "2099-01-01T00:00:00Z"]
    cured = reported({**fields, "field-11": read("converged")}, tmp_path, "2099-01-02T00:00:00Z")
    assert [(found["name"], found["first_seen"]) for found in cured["changes"]["gone"]] == [("health", first)]


def test_reports_are_pruned_as_reports(tmp_path: Path) -> None:
    states.lay_files("reports", tmp_path)
    older, newer = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    (tmp_path / "latest").symlink_to(newer)
    assert report_folder.prune(tmp_path, 10000, 1, datetime.now(timezone.utc)) == [older]
    assert (tmp_path / "latest" / "fleet.json").is_file()
