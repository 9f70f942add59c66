# SPDX-License-Identifier: Apache-2.0
"""What the control node does: words for plans, files for the depot."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import (
    cann as depot_cann,
    fetch as depot_fetch,
    fill as filling,
    python as depot_python,
    source as depot_source,
    wheels as depot_wheels,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index, python_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.web import Sources
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.words import (
    fleet_plan,
    refusal_text,
    remark_lines,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import read_release
from tests.standin import build as standin
from tests.unit.depot.test_makeself import made

RELEASES = Path(__file__).resolve().parents[3] / "releases"
STEP = {"component": "toolkit", "action": "install", "reason": "toolkit 8.0.RC1 is absent"}
REFUSAL: Any = {"problem": "cards are not healthy", "wanted": "OK", "found": "NPU 3: Alarm", "remedy": "npu-smi info"}


def test_nodes_with_the_same_plan_share_a_block() -> None:
    same: Any = {"steps": [STEP], "refusals": [], "warnings": [], "remarks": []}
    plans = {f"n{number:02}": same for number in range(12)}
    plans["ok"] = {"steps": [], "refusals": [], "warnings": [], "remarks": []}
    plans["sick"] = {"steps": [STEP], "refusals": [REFUSAL], "warnings": [], "remarks": []}
    assert fleet_plan(plans) == [
        "12 nodes (n00, n01, n02, n03, n04, n05, n06, n07 and 4 more):",
        "  1. toolkit     install: toolkit 8.0.RC1 is absent",
        "1 node (ok): nothing to do",
        "1 node (sick): must not be changed: cards are not healthy; once this is fixed, these steps remain:",
        "  1. toolkit     install: toolkit 8.0.RC1 is absent",
    ]
    plans["sick"]["steps"] = []
    assert fleet_plan(plans)[-1] == "1 node (sick): must not be changed: cards are not healthy"


def test_nodes_with_the_same_warning_share_a_line() -> None:
    warning = {"problem": "the link is not UP", "found": "card 2", "remedy": "hccn_tool"}
    plan: Any = {"steps": [], "refusals": [], "warnings": [warning], "remarks": []}
    other: Any = {**plan, "warnings": [{**warning, "found": "card 3"}]}
    assert fleet_plan({"a": plan, "b": plan, "c": other}) == [
        "3 nodes (a, b, c): nothing to do",
        "2 nodes (a, b): warning: the link is not UP (card 2; hccn_tool)",
        "1 node (c): warning: the link is not UP (card 3; hccn_tool)",
    ]


def test_a_remark_is_shown_as_such() -> None:
    remark: Any = {"problem": "CANN's layout is not the documented one", "found": "no opp", "remedy": "record.yml"}
    plan: Any = {"steps": [], "refusals": [], "warnings": [], "remarks": [remark]}
    words = "remark: CANN's layout is not the documented one (no opp; record.yml)"
    assert fleet_plan({"a": plan, "b": plan}) == ["2 nodes (a, b): nothing to do", f"2 nodes (a, b): {words}"]
    assert remark_lines([remark]) == [words]


def test_a_refusal_says_all_four() -> None:
    assert refusal_text([REFUSAL]).splitlines() == [
        "cards are not healthy",
        "  wanted: OK",
        "  found:  NPU 3: Alarm",
        "  next:   npu-smi info",
    ]
    elsewhere: Any = {**REFUSAL, "where": "npu-smi info"}
    assert refusal_text([elsewhere]).splitlines()[3] == "  where:  npu-smi info"


@pytest.fixture
def depot(tmp_path: Path) -> Index:
    folder = tmp_path / "depot"
    folder.mkdir()
    return Index(folder)


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    standin.build(tmp_path / "own")
    return tmp_path / "own" / "incoming"


def fill(depot: Index, incoming: Path, check: bool = False) -> list[str]:
    lock = incoming.parent / "lock-8.0.RC1.txt"
    return depot_wheels.fill(depot, "8.0.RC1", "x86_64", lock, "3.10", Sources(incoming), silent(), check)


def test_own_wheels_need_no_network(depot: Index, incoming: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depot_fetch, "_resolve", lambda *_: pytest.fail("the package index was asked"))
    every = len(list(incoming.glob("*.whl")))
    assert len(fill(depot, incoming, check=True)) == every
    assert not (depot.folder / "wheels").exists()
    assert len(fill(depot, incoming)) == every
    assert fill(depot, incoming) == []
    depot.save()
    again = Index(depot.folder)
    entry = again["locks"]["8.0.RC1"]["x86_64"]
    assert len((depot.folder / entry["file"]).read_text().splitlines()) == every
    assert fill(again, incoming, check=True) == []


def test_a_damaged_wheel_is_taken_again(depot: Index, incoming: Path) -> None:
    fill(depot, incoming)
    wheel = next((depot.folder / "wheels").rglob("torch-*.whl"))
    wheel.unlink()
    wheel.write_bytes(b"damaged")
    assert fill(depot, incoming) == ["torch==2.1.0+standin"]


def test_wheels_of_another_lock_are_not_the_locks(depot: Index, incoming: Path, tmp_path: Path) -> None:
    """One that lies in the folder by another's name and sum is none: the lock's sums decide."""
    fill(depot, incoming)
    (folder,) = (depot.folder / "wheels").iterdir()
    wheel = next(folder.glob("torch-*.whl"))
    wheel.unlink()
    shutil.copy(next(folder.glob("deepspeed-*.whl")), wheel)
    assert fill(depot, incoming, check=True) == ["torch==2.1.0+standin"]
    assert fill(depot, incoming) == ["torch==2.1.0+standin"]
    other = folder / "torch-9.9-py3-none-any.whl"
    shutil.copy(wheel, other)
    assert fill(depot, incoming) == []
    assert other.name not in (folder / "index.html").read_text()
    assert "torch==9.9" not in (depot.folder / depot["locks"]["8.0.RC1"]["x86_64"]["file"]).read_text()


def test_the_operators_wheel_is_taken_by_its_sum_and_not_by_its_name(
    depot: Index, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = next(incoming.glob("torch-*.whl"))
    wheel.write_bytes(b"another wheel of that name")
    asked: list[list[str]] = []

    def resolve(entries: list[str], *_: object) -> list[dict[str, Any]]:
        asked.append(entries)
        return []

    monkeypatch.setattr(depot_fetch, "_resolve", resolve)
    with pytest.raises(AscendError, match=r"missing.*wanted: torch==2\.1\.0"):
        fill(depot, incoming)
    assert [entry.split()[0] for entry in asked[0]] == ["torch==2.1.0+standin"], "the index is asked for it alone"
    assert not list(depot.folder.rglob("torch-*.whl"))


def test_the_page_lists_the_locks_wheels_by_addresses_that_a_url_can_hold(depot: Index, incoming: Path) -> None:
    fill(depot, incoming)
    (page,) = depot.folder.rglob("index.html")
    links = re.findall(r'<a href="([^"#]+)#sha256=([0-9a-f]{64})">([^<]+)</a>', page.read_text())
    assert len(links) == len(list(incoming.glob("*.whl")))
    for address, sha256, name in links:
        assert unquote(address) == name
        assert "+" not in address, "another server reads a blank"
        assert hashlib.sha256((page.parent / name).read_bytes()).hexdigest() == sha256
    assert str(page.relative_to(depot.folder)) in depot["files"]


def test_the_best_wheel_is_chosen() -> None:
    def file(name: str) -> dict[str, Any]:
        return {"name": name, "hashes": {"sha256": "0" * 64}}

    names = [
        "a-1.tar.gz",
        "a-1-cp311-cp311-manylinux_2_17_aarch64.whl",
        "a-1-cp310-cp310-manylinux_2_28_x86_64.whl",
        "a-1-cp310-cp310-manylinux_2_34_aarch64.whl",
        "a-1-cp310-cp310-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
        "a-1-cp38-abi3-manylinux_2_28_aarch64.whl",
        "a-1-py3-none-any.whl",
    ]
    package = {"name": "a", "version": "1", "files": [file(name) for name in names]}
    assert depot_fetch._best(package, "aarch64", "3.10")["name"] == names[4]
    package["files"] = [file(name) for name in (names[0], names[5], names[6])]
    assert depot_fetch._best(package, "aarch64", "3.10")["name"] == names[5]
    package["files"] = [file(names[0])]
    assert depot_fetch._best(package, "aarch64", "3.10")["name"] == names[0]
    package["files"] = [file(names[1]), file(names[3])]
    with pytest.raises(AscendError, match="no file for aarch64"):
        depot_fetch._best(package, "aarch64", "3.10")


def fill_python(index: Index, series: str, incoming: Path | None, check: bool = False) -> list[str]:
    """Take a CPython for aarch64 from a folder; return what was taken."""
    asked = depot_python.Asked({"series": series}, "aarch64")
    return depot_python.fill(index, asked, Sources(incoming), silent(), check)[0]


def python_archive(incoming: Path, version: str) -> str:
    incoming.mkdir(exist_ok=True)
    name = f"cpython-{version}-linux-aarch64.tar.gz"
    (incoming / name).write_bytes(version.encode())
    return f"python/{name}"


def test_pythons_of_two_series_share_a_depot(depot: Index, tmp_path: Path) -> None:
    files = [python_archive(tmp_path / "own", version) for version in ("3.10.13", "3.11.7")]
    for series, file in zip(("3.10", "3.11"), files, strict=True):
        assert fill_python(depot, series, tmp_path / "own", True) == [f"CPython {series} for aarch64"]
        assert fill_python(depot, series, tmp_path / "own") == [file]
    assert fill_python(depot, "3.10", None) == [], "the other series took nothing away"
    assert depot["pythons"] == {
        "aarch64": {
            "3.10": {"version": "3.10.13", "file": files[0]},
            "3.11": {"version": "3.11.7", "file": files[1]},
        }
    }
    assert python_of(depot["pythons"], "aarch64", "3.11")["version"] == "3.11.7"
    assert python_of(depot["pythons"], "x86_64", "3.11") == {}


def test_a_depot_of_before_lacks_its_python(depot: Index, tmp_path: Path) -> None:
    file = python_archive(tmp_path / "own", "3.10.13")
    depot["pythons"]["aarch64"] = {"version": "3.10.13", "file": file}
    assert python_of(depot["pythons"], "aarch64", "3.10") == {}
    assert fill_python(depot, "3.10", tmp_path / "own") == [file]
    assert depot["pythons"] == {"aarch64": {"3.10": {"version": "3.10.13", "file": file}}}


def test_a_python_that_was_lost_is_taken_again(depot: Index, tmp_path: Path) -> None:
    file = python_archive(tmp_path / "own", "3.11.7")
    fill_python(depot, "3.11", tmp_path / "own")
    (depot.folder / file).unlink()
    assert fill_python(depot, "3.11", tmp_path / "own") == [file]


def cann_release(sum_of_zip: str) -> dict[str, Any]:
    package = {"file": "Ascend-cann-toolkit.run", "url": "https://192.0.2.1/Ascend-cann-toolkit.zip"}
    packages = {"toolkit": {"aarch64": {**package, "zip_sha256": sum_of_zip}}, "kernels": {}}
    return {"cann": {"version": "8.0.RC1"}, "packages": packages}


def package(path: Path, *machines: str) -> bytes:
    """A makeself archive with a part for each of these machines; for aarch64 where none is named."""
    payload = io.BytesIO()
    with tarfile.open(fileobj=payload, mode="w:gz") as archive:
        for machine in machines or ("aarch64",):
            archive.addfile(tarfile.TarInfo(f"./CANN-runtime-8.0.RC1-linux.{machine}.run"))
    return made(path, payload.getvalue()).read_bytes()


def fill_cann(
    index: Index, release: dict[str, Any], incoming: Path, sums: dict[str, str] | None = None, check: bool = False
) -> tuple[list[str], list[str]]:
    """Take a release's packages for aarch64 from a folder; return (what was taken, warnings)."""
    return depot_cann.fill(index, release, "aarch64", sums or {}, Sources(incoming), silent(), check)


def bundle(incoming: Path) -> str:
    path = incoming / "Ascend-cann-toolkit.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/Ascend-cann-toolkit.run", package(incoming / "same.run"))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_official_bundle(depot: Index, tmp_path: Path) -> None:
    sum_of_zip = bundle(tmp_path)
    release = cann_release(sum_of_zip)
    assert fill_cann(depot, release, tmp_path)[0] == ["Ascend-cann-toolkit.run"]
    assert (depot.folder / "cann/8.0.RC1/Ascend-cann-toolkit.run").read_bytes() == package(tmp_path / "same.run")
    assert fill_cann(depot, release, tmp_path)[0] == []
    assert not list(depot.folder.rglob("*.part"))
    with pytest.raises(AscendError, match="not the published one"):
        fill_cann(Index(tmp_path / "other"), cann_release("0" * 64), tmp_path)


def test_the_operators_own_package(depot: Index, tmp_path: Path) -> None:
    own = tmp_path / "Ascend-cann-toolkit.run"
    content = package(own)
    release = cann_release("0" * 64)
    with pytest.raises(AscendError, match="does not match the checksum that you gave"):
        fill_cann(depot, release, tmp_path, {own.name: "0" * 64})
    taken, warnings = fill_cann(depot, release, tmp_path)
    assert (taken, len(warnings)) == ([own.name], 1)
    known = {own.name: hashlib.sha256(content).hexdigest()}
    assert fill_cann(depot, release, tmp_path, known) == ([], [])


def test_a_package_that_cannot_be_the_right_one_is_not_taken(depot: Index, tmp_path: Path) -> None:
    own = tmp_path / "Ascend-cann-toolkit.run"
    package(own, "x86_64")
    with pytest.raises(AscendError, match="architecture"):
        fill_cann(depot, cann_release("0" * 64), tmp_path)
    own.write_text("<html>log in</html>")
    with pytest.raises(AscendError, match="not a CANN package"):
        fill_cann(depot, cann_release("0" * 64), tmp_path)
    assert not list(depot.folder.rglob("*.run*"))


@pytest.mark.parametrize("name", sorted(path.parent.name for path in RELEASES.glob("*/release.yml")))
def test_the_packages_of_each_release(name: str, depot: Index, tmp_path: Path) -> None:
    """The section of the second package is the same for both layouts, whatever its file is called."""
    release = read_release(str(RELEASES / name))
    packages = release["packages"]
    files = [packages["toolkit"]["aarch64"]["file"], packages["kernels"]["910b"]["aarch64"]["file"]]
    for file in files:
        package(tmp_path / file)
    assert fill_cann(depot, release, tmp_path)[0] == files
    version = release["cann"]["version"]
    toolkit, kernels = (f"cann/{version}/{file}" for file in files)
    assert depot["cann"] == {version: {"toolkit": {"aarch64": toolkit}, "kernels": {"910b": {"aarch64": kernels}}}}


@pytest.mark.parametrize("version", ["0.7.1", "0.9.2", "1.0", "main"])
def test_llamafactory_outside_of_what_was_tested(version: str) -> None:
    requirements = read_release(str(RELEASES / "8.0.RC1"))["requirements"]
    depot_source.require_tested("llamafactory", "0.9.1", requirements)
    depot_source.require_tested("llamafactory", "0.8.0", requirements)
    with pytest.raises(AscendError, match=r"(?s)was not tested.*torch-npu +2\.1\.0 +2\.1\.0\.post3"):
        depot_source.require_tested("llamafactory", version, requirements)


def test_a_llamafactory_that_does_not_take_the_libraries_of_the_lock() -> None:
    """Between two that do: 0.9.0 wants transformers <= 4.45.0 and others, as its extras/misc.py says."""
    requirements = read_release(str(RELEASES / "8.0.RC1"))["requirements"]
    with pytest.raises(
        AscendError, match=r"(?s)0\.9\.0 does not work with the libraries.*without 0\.9\.0.*transformers <= 4\.45"
    ):
        depot_source.require_tested("llamafactory", "0.9.0", requirements)


@pytest.mark.parametrize("source", [{"url": "u"}, {"archive": ""}, {"version": "v0.9.1"}, {"archive": "a", "url": "u"}])
def test_a_source_that_is_not_complete(depot: Index, source: dict[str, str]) -> None:
    with pytest.raises(AscendError, match=r"wanted: \{url: \.\.\., version"):
        depot_source.fill(depot, source, {}, True)


def test_of_two_runs_one_fills_the_depot_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new" / "depot"

    def taken() -> bool:
        return subprocess.run(["flock", "--nonblock", folder / ".lock", "true"], check=False).returncode != 0

    seen = []

    def fill_part(*_arguments: object) -> tuple[list[str], list[str]]:
        seen.append(taken())
        return [], []

    monkeypatch.setattr(filling, "fill_part", fill_part)
    assert filling.fill({"folder": str(folder), "served": False}, False, silent()) == ([], [])
    assert (seen, taken()) == ([True], False)
    filling.fill({"folder": str(tmp_path / "unmade"), "served": False}, True, silent())
    assert not (tmp_path / "unmade").exists()
