# SPDX-License-Identifier: Apache-2.0
"""What goes together is held on the control node; the matrix of releases in words."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import Refusal
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import resolve
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release import compatibility
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.compatibility import (
    problems,
    problems_of,
    release_problems,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import (
    layout_of,
    read_matrix,
    read_release,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.table import lines
from tests.unit.plan.planner_nodes import bare

ROOT = Path(__file__).resolve().parents[3]
RELEASES = ROOT / "releases"
PINS = {
    "torch": "2.6.0+cpu",
    "torch-npu": "2.6.0",
    "deepspeed": "0.16.9",
    "llamafactory": "0.9.3",
}


@pytest.fixture
def release() -> dict[str, Any]:
    return copy.deepcopy(read_release(str(RELEASES / "8.2.RC1")))


@pytest.fixture
def matrix() -> dict[str, Any]:
    return copy.deepcopy(read_matrix(str(RELEASES)))


def subjects(found: list[Refusal]) -> list[str]:
    assert {(refused["component"], refused["check"]) for refused in found} <= {("system", "release")}
    assert all(refused["wanted"] and refused["found"] and refused["remedy"] for refused in found)
    return [refused["subject"] for refused in found]


def test_what_goes_together(release: dict[str, Any], matrix: dict[str, Any]) -> None:
    assert problems(release, PINS, matrix) == []
    assert problems(release, {**PINS, "torch": "2.6.0", "numpy": "1.26.4"}, matrix) == []


@pytest.mark.parametrize(
    ("pins", "told"),
    [
        ({"torch": "2.5.1"}, ["torch", "requirements torch"]),
        ({"torch-npu": "2.5.1.post1"}, ["torch", "llamafactory", "requirements torch-npu"]),
        ({"torch-npu": "2.6.0.post3"}, ["cann", "llamafactory", "requirements torch-npu"]),
        ({"torch-npu": "2.6.0.post9"}, ["cann", "torch-npu", "llamafactory", "requirements torch-npu"]),
        ({"llamafactory": "0.9.2"}, ["llamafactory", "deepspeed", "requirements llamafactory"]),
        ({"llamafactory": "0.9.9"}, ["llamafactory", "requirements llamafactory"]),
        ({"deepspeed": "0.17.0"}, ["deepspeed", "requirements deepspeed"]),
        ({"deepspeed": "0.9.5"}, ["deepspeed", "requirements deepspeed"]),
        ({"deepspeed": "0.13.2"}, ["requirements deepspeed"]),
        ({"deepspeed": "newest"}, ["deepspeed", "requirements deepspeed"]),
        ({"deepspeed": ""}, ["deepspeed"]),
        ({"torch": ""}, ["torch"]),
        ({"torch-npu": ""}, ["torch-npu"]),
        ({"llamafactory": ""}, ["llamafactory"]),
    ],
)
def test_a_lock_that_does_not_fit(
    pins: dict[str, str], told: list[str], release: dict[str, Any], matrix: dict[str, Any]
) -> None:
    locked = {name: version for name, version in {**PINS, **pins}.items() if version}
    assert subjects(problems(release, locked, matrix)) == told


@pytest.mark.parametrize(
    ("keys", "value", "told"),
    [
        (["driver", "minimum"], "24.1.rc2", ["driver"]),
        (["driver", "minimum"], "none", ["driver"]),
        (["driver", "minimum"], "25.2.0", []),
        (["driver", "firmware"], "7.3.0.1.231", ["firmware"]),
        (["python", "series"], "3.12", ["python"]),
        (["python", "series"], "3.8", ["python", "llamafactory python"]),
        (["cann", "version"], "8.9.RC1", ["cann", "requirements cann"]),
        (["cann", "layout"], "cann", ["layout"]),
        (
            ["packages", "kernels", "910b", "aarch64", "file"],
            "Ascend-cann-kernels-910b_8.2.RC1_linux.run",
            ["kernels 910b aarch64"],
        ),
        (["requirements"], {}, []),
    ],
)
def test_a_release_that_does_not_fit(
    keys: list[str], value: Any, told: list[str], release: dict[str, Any], matrix: dict[str, Any]
) -> None:
    part = release
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    assert subjects(problems(release, PINS, matrix)) == told


def test_a_refusal_says_which_versions_fit(release: dict[str, Any], matrix: dict[str, Any]) -> None:
    found = {refused["subject"]: refused for refused in problems(release, {**PINS, "torch-npu": "2.4.0.post2"}, matrix)}
    assert found["cann"]["problem"] == "torch-npu 2.4.0.post2 was not made for CANN 8.2.RC1"
    assert found["cann"]["wanted"] == "one of 2.1.0.post13, 2.5.1.post1, 2.6.0"
    assert (found["torch"]["wanted"], found["torch"]["found"]) == ("2.4.0", "2.6.0")


def test_a_release_has_the_layout_of_its_cann(release: dict[str, Any], matrix: dict[str, Any]) -> None:
    """A release of before there were two layouts names none: right for its CANN, and refused for a later one."""
    del release["cann"]["layout"]
    assert problems(release, PINS, matrix) == []
    matrix["cann"]["8.2.RC1"]["layout"] = "cann"
    (refused,) = problems(release, PINS, matrix)
    told = (refused["subject"], refused["wanted"], refused["found"])
    assert told == ("layout", "layout cann", "ascend-toolkit")
    assert refused["remedy"] == "set cann.layout in release.yml to cann"
    del matrix["cann"]["8.2.RC1"]["layout"]
    assert problems(release, PINS, matrix) == [], "a row that says no layout allows both"


def test_cann_has_an_order_of_its_own(release: dict[str, Any], matrix: dict[str, Any]) -> None:
    alpha = "8.2.RC1.alpha003"
    release["cann"]["version"] = alpha
    release["packages"]["kernels"] = {}
    matrix["cann"][alpha] = matrix["cann"]["8.2.RC1"]
    release["requirements"]["cann"] = {"minimum": "8.2.RC1.alpha001", "tested_maximum": "8.2.RC1"}
    assert problems(release, PINS, matrix) == []
    release["requirements"]["cann"]["minimum"] = "8.2.RC1"
    assert subjects(problems(release, PINS, matrix)) == ["requirements cann"]


def own_release(folder: Path, rows: str = "") -> Path:
    """A release of the operator's, of a CANN that the project does not know."""
    shutil.copytree(RELEASES / "8.2.RC1", folder / "mine")
    text = (folder / "mine" / "release.yml").read_text().replace("8.2.RC1", "8.2.RC9")
    (folder / "mine" / "release.yml").write_text(text.replace('release: "8.2.RC9"', 'release: "mine"'))
    if rows:
        (folder / "compatibility.yml").write_text(rows)
    return folder / "mine"


OWN = """
cann:
  "8.2.RC9":
    driver: "25.0.rc1"
    firmware: "7.7.0.1.231"
    kernels: "Ascend-cann-kernels-{chip}_{version}_linux-{architecture}.run"
    torch-npu: ["2.6.0"]
"""


def test_a_release_of_ones_own_brings_its_row(tmp_path: Path) -> None:
    folder = own_release(tmp_path)
    assert subjects(problems_of(folder, folder / "lock-aarch64.txt")) == ["cann"]
    (tmp_path / "compatibility.yml").write_text(OWN)
    assert problems_of(folder, folder / "lock-aarch64.txt") == []
    assert set(read_matrix(str(tmp_path))["cann"]) >= {"8.2.RC1", "8.2.RC9"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('torch_npu: {"2.6.0": {}}', "a table torch_npu"),
        ("cann: {8.2: {}}", "cann 8.2: its version is not quoted"),
        ('torch-npu: {"2.6.0": {torch: "2.6.0"}}', "torch-npu '2.6.0': no python"),
        ('torch-npu: {"2.6.0": {torch: "2.6.0", python: [3.10]}}', "3.1 is not quoted"),
        ('torch-npu: {"2.6.0": }', "torch-npu '2.6.0': no torch"),
        ('driver: {"25.2.3": {firmwares: "7.7.0.10.220"}}', "driver '25.2.3': no firmware"),
        ("driver: {25.2: {firmware: '7.7.0.10.220'}}", "driver 25.2: its version is not quoted"),
        ("drivers: {}", "a table drivers"),
        ('cann: {"9.9.0": {layout: cann-toolkit}}', "cann '9.9.0': layout: 'cann-toolkit'"),
        ('cann: {"9.9.0": {layout: [cann]}}', "cann '9.9.0': layout: ['cann']"),
        ('llamafactory: {"1": {python: "3.9", torch-npu: [], deepspeed: {minimum: "1"}}}', "minimum and maximum"),
    ],
)
def test_rows_that_are_not_in_their_form(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "compatibility.yml").write_text(text)
    with pytest.raises(AscendError, match="does not match its schema") as raised:
        read_matrix(str(tmp_path))
    assert told in raised.value.found
    assert raised.value.where == str(tmp_path / "compatibility.yml")


def test_a_driver_of_ones_own_is_added(tmp_path: Path) -> None:
    (tmp_path / "compatibility.yml").write_text('driver: {"99.0.1": {firmware: "9.9.0.1.100"}}')
    drivers = read_matrix(str(tmp_path))["driver"]
    assert drivers["99.0.1"] == {"firmware": "9.9.0.1.100"}
    assert drivers["25.2.3"] == {"firmware": "7.7.0.10.220"}


def test_a_release_of_before_the_layouts_is_read(tmp_path: Path) -> None:
    text = (RELEASES / "8.2.RC1" / "release.yml").read_text()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "release.yml").write_text(text.replace("  layout: ascend-toolkit\n", ""))
    assert "layout" not in read_release(str(tmp_path / "mine"))["cann"]
    assert layout_of(read_release(str(tmp_path / "mine"))) == "ascend-toolkit"
    assert layout_of(read_release(str(RELEASES / "9.0.0"))) == "cann"


def test_a_fleet_is_held_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own_release(tmp_path, OWN)
    asked: list[int] = []

    def counted(*arguments: Any) -> list[Refusal]:
        asked.append(1)
        return problems(*arguments)

    monkeypatch.setattr(compatibility, "problems", counted)
    for _ in range(3):
        problems_of(folder, folder / "lock-aarch64.txt")
    assert len(asked) == 1
    os.utime(tmp_path / "compatibility.yml", (1, 1))
    problems_of(folder, folder / "lock-aarch64.txt")
    assert len(asked) == 2


def settings(releases: Path, release: str, locks: dict[str, str]) -> dict[str, Any]:
    return {"releases_dir": str(releases), "release": release, "locks": locks}


def test_every_lock_is_held(tmp_path: Path) -> None:
    both = ["aarch64", "x86_64"]
    assert release_problems(settings(RELEASES, "8.2.RC1", {}), both) == []
    other = {"aarch64": str(RELEASES / "8.0.0" / "lock-aarch64.txt")}
    told = release_problems(settings(RELEASES, "8.2.RC1", other), both)
    assert "cann" in subjects(told)
    assert {refused["where"] for refused in told} == set(other.values())
    assert release_problems(settings(RELEASES, "8.2.RC1", other), ["x86_64"]) == []
    folder = own_release(tmp_path)
    assert subjects(release_problems(settings(tmp_path, folder.name, {}), both)) == ["cann"], (
        "what both locks lack is said once"
    )
    assert release_problems(settings(RELEASES, "8.2.RC1", {}), ["riscv64"]) == [], (
        "the plan speaks of an unknown architecture"
    )
    with pytest.raises(AscendError, match=r"unknown release: 9\.9"):
        release_problems(settings(RELEASES, "9.9", {}), both)


def test_the_plan_refuses_what_does_not_fit(tmp_path: Path) -> None:
    index: dict[str, Any] = {section: {} for section in ("files", "cann", "uv", "locks", "sources")}
    pythons = {"aarch64": {"3.11": {"version": "3.11.7", "file": "python/a"}}}
    files = {"python/a": {"sha256": "0" * 64, "size_bytes": 1}}
    (tmp_path / "index.json").write_text(json.dumps({**index, "files": files, "pythons": pythons}))
    asked = yaml.safe_load((ROOT / "roles" / "ascend" / "vars" / "main.yml").read_text())["ascend_settings"]
    told: dict[str, Any] = {
        **dict.fromkeys(asked, ""),
        "cards": {"count": 0, "memory_mb": 0, "out": [], "health_policy": "fail"},
        **{name: f"/x/{name}" for name in ("cann_root", "ascend_root", "cache_dir", "state_dir", "tmp_dir")},
        "depot_dir": str(tmp_path),
        "driver_policy": "fail",
        "python": "depot",
        "depot_transport": "ssh",
        "system_settings": "apply",
        "system_packages": "check",
        "cann_cross": "beside",
        "ascend_env_file": __file__,
    }
    told |= {"check_mode": False, "deep": False, "accept_eula": False, "allow_downgrade": False}
    facts = bare()
    facts["npu"]["devices"] = []
    fits = resolve(facts, {**told, **settings(RELEASES, "8.2.RC1", {})})
    assert [refused for refused in fits["problems"] if refused["check"] != "depot"] == []
    assert fits["python"]["version"] == "3.11.7"
    older = resolve(facts, {**told, **settings(RELEASES, "8.0.0", {})})
    assert "Python 3.10" in {refused["subject"] for refused in older["problems"] if refused["check"] == "depot"}
    other = {"aarch64": str(RELEASES / "8.0.0" / "lock-aarch64.txt")}
    refused = resolve(facts, {**told, **settings(RELEASES, "8.2.RC1", other)})["problems"]
    assert "cann" in {refusal["subject"] for refusal in refused if refusal["check"] == "release"}


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_matrix_fits_the_terminal(width: int) -> None:
    shown, together = lines(RELEASES, "8.0.RC1", width)
    assert together
    assert max(map(len, shown)) <= width
    text = "\n".join(shown)
    for name in ("8.0.RC1 (default)", "8.0.0", "8.2.RC1", "8.3.RC1", "9.0.0", "2.1.0.post3", "25.0.rc1", "0.16.9"):
        assert text.count(name) >= 1, name
    order = [text.index(name) for name in ("8.0.RC1", "8.0.0", "8.2.RC1", "8.3.RC1", "9.0.0")]
    assert order == sorted(order)


def test_the_matrix_in_one_block() -> None:
    shown, _ = lines(RELEASES, "8.0.0", 200)
    assert len([line for line in shown if line.startswith("CANN ")]) == 1
    rows = {line.split("  ")[0]: line.split("  ", 1)[1].split() for line in shown}
    assert rows["Python"] == [
        yaml.safe_load((RELEASES / name / "release.yml").read_text())["python"]["series"] for name in rows["CANN"]
    ]
    assert "8.0.0 (default)" in shown[0]


def test_the_matrix_tells_what_does_not_fit(tmp_path: Path) -> None:
    own_release(tmp_path)
    argv = [sys.executable, str(ROOT / "scripts" / "releases.py"), str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "80"})
    assert done.returncode == 1, done.stderr
    assert "goes together     no: see below\n" in done.stdout
    assert "mine: it is unknown what goes with CANN 8.2.RC9\n  wanted a row for 8.2.RC9, found none;" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
