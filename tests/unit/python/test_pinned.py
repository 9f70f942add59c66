# SPDX-License-Identifier: Apache-2.0
"""Which CPython of a series the depot takes, and which one a node keeps whatever the depot has by now."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import python as depot_python
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.web import Sources
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import resolve
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import (
    accepts_python,
    read_release,
)
from tests.unit.plan.planner_nodes import bare, converged
from tests.unit.plan.test_wanted import NAME, ROOT, node, settings

PINNED = {"series": "3.10", "accepted": ">=3.10.4,!=3.10.6", "depot": "3.10.13"}


@pytest.fixture
def depot(tmp_path: Path) -> Index:
    (tmp_path / "depot").mkdir()
    return Index(tmp_path / "depot")


def taken(
    depot: Index, monkeypatch: pytest.MonkeyPatch, given: list[str], here: list[str], fetched: bool = False
) -> str:
    """The version that the depot takes of what lies in its incoming folder, what the release pins and what is here."""

    def offered(versions: list[str]) -> Any:
        def way(index: Index, asked: depot_python.Asked, tried: list[str]) -> tuple[str, str] | None:
            for version in versions:
                if asked.takes(version):
                    (index.folder / "python").joinpath(version).write_text(version)
                    return version, f"python/{version}"
            tried.append("none")
            return None

        return way

    monkeypatch.setattr(depot_python, "_from_here", offered(here))
    incoming = depot.folder.parent / "incoming"
    incoming.mkdir(exist_ok=True)
    for version in given:
        (incoming / f"cpython-{version}+20260101-x86_64-unknown-linux-gnu-install_only.tar.gz").write_text(version)
    archive = incoming / "of-the-release"
    if fetched:
        archive.write_text("pinned")
    archives = {"x86_64": {"url": archive.as_uri(), "sha256": hashlib.sha256(b"pinned").hexdigest()}}
    asked = depot_python.Asked({**PINNED, "archives": archives if fetched else {}}, "x86_64", make=True)
    depot_python.fill(depot, asked, Sources(incoming), silent(), False)
    return str(depot["pythons"]["x86_64"]["3.10"]["version"])


@pytest.mark.parametrize(
    ("given", "fetched", "here", "version"),
    [
        (["3.10.9", "3.10.13", "3.10.20"], False, [], "3.10.13"),  # the pinned one
        (
            ["3.10.9", "3.10.11"],
            True,
            ["3.10.13"],
            "3.10.11",
        ),  # what the operator gives comes first, the newest of it
        (["3.10.2", "3.10.6"], False, ["3.10.13"], "3.10.13"),  # not accepted
        ([], True, ["3.10.20"], "3.10.13"),
        ([], False, ["3.10.12", "3.10.13"], "3.10.13"),
        ([], False, ["3.10.12"], "3.10.12"),  # the pinned one is nowhere
    ],
)
def test_what_the_depot_takes(
    depot: Index, monkeypatch: pytest.MonkeyPatch, given: list[str], fetched: bool, here: list[str], version: str
) -> None:
    assert taken(depot, monkeypatch, given, here, fetched) == version


def test_an_accepted_one_stays_in_the_depot(depot: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    assert taken(depot, monkeypatch, ["3.10.11"], []) == "3.10.11"
    assert taken(depot, monkeypatch, ["3.10.13"], []) == "3.10.11"
    depot["pythons"]["x86_64"]["3.10"]["version"] = "3.10.2"
    assert taken(depot, monkeypatch, ["3.10.13"], []) == "3.10.13"


def test_no_accepted_one_is_an_error_that_names_what_there_was(depot: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AscendError, match=r"cpython-3\.10\.13-linux-x86_64.*>=3\.10\.4.*not accepted: 3\.10\.2"):
        taken(depot, monkeypatch, ["3.10.2"], ["3.10.6"])


def test_which_pythons_are_accepted() -> None:
    said = {version: accepts_python(PINNED, version) for version in ("3.10.3", "3.10.4", "3.10.6", "3.10.99", "3.11.0")}
    assert said == {"3.10.3": False, "3.10.4": True, "3.10.6": False, "3.10.99": True, "3.11.0": False}
    assert accepts_python({"series": "3.10"}, "3.10.0")
    assert not accepts_python({"series": "3.10"}, "3.10.x")
    with pytest.raises(AscendError, match="does not say which Pythons are accepted"):
        accepts_python({"series": "3.10", "accepted": "newer than 3"}, "3.10.1")


@pytest.mark.parametrize("release", sorted(path.parent.name for path in (ROOT / "releases").glob("*/release.yml")))
def test_every_release_pins_a_python_that_it_accepts(release: str) -> None:
    python = read_release(str(ROOT / "releases" / release))["python"]
    assert python["accepted"]
    assert accepts_python(python, python["depot"])


def with_python(folder: Path, version: str) -> Path:
    """A depot with one Python, and nothing else."""
    sections: dict[str, Any] = {name: {} for name in ("cann", "uv", "locks", "sources")}
    sections["pythons"] = {"aarch64": {"3.10": {"version": version, "file": "python/a"}}}
    sections["files"] = {"python/a": {"sha256": "0" * 64, "size_bytes": 1, "mtime_ns": 1}}
    (folder / "index.json").write_text(json.dumps({"schema": 1, **sections}))
    return folder


def told(found: dict[str, Any], depot: Path) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    wanted = resolve(found, settings(depot))
    steps = plan(found, wanted)["steps"]
    return wanted["python"], [(step["component"], step["action"]) for step in steps]


@pytest.mark.parametrize("version", ["3.10.13", "3.10.14", "3.10.2"])
def test_another_patch_in_the_depot_makes_no_converged_node_absent(tmp_path: Path, version: str) -> None:
    python, steps = told(node(converged()), with_python(tmp_path, version))
    assert (python["version"], python["program"], steps) == ("3.10.13", "/opt/ascend/python/3.10.13/bin/python3", [])


def test_a_new_environment_has_the_depots(tmp_path: Path) -> None:
    python, steps = told(node(bare()), with_python(tmp_path, "3.10.14"))
    assert (python["version"], python["replaces"], steps[0]) == ("3.10.14", "", ("python", "install"))
    found = node(converged())
    found["environments"]["all"] = {"older": found["environments"]["all"].pop(NAME)}
    found["environments"]["current"] = "older"
    python, steps = told(found, with_python(tmp_path, "3.10.14"))
    assert (python["version"], steps[0]) == ("3.10.14", ("python", "install"))


def test_a_depot_whose_python_is_not_accepted_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(read_release(str(ROOT / "releases" / "8.0.RC1"))["python"], "accepted", ">=3.10.4")
    wanted = resolve(node(bare()), settings(with_python(tmp_path, "3.10.2")))
    assert "Python 3.10" in {problem["subject"] for problem in wanted["problems"]}
    assert wanted["python"]["version"] == ""


@pytest.mark.parametrize(
    ("depot", "steps"),
    [
        ("3.10.13", [("python", "repair")]),
        # The damaged one's archive is no longer there: the environment is made anew with what is.
        ("3.10.14", [("python", "install"), ("environment", "repair")]),
    ],
)
def test_a_damaged_python(tmp_path: Path, depot: str, steps: list[tuple[str, str]]) -> None:
    found = node(converged())
    found["pythons"]["3.10.13"]["state"] = "half-installed"
    python, planned = told(found, with_python(tmp_path, depot))
    assert (python["version"], planned) == (depot, steps)
    assert python["replaces"] == ("" if depot == "3.10.13" else "3.10.13")


def test_a_python_that_is_not_accepted_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = read_release(str(ROOT / "releases" / "8.0.RC1"))
    monkeypatch.setitem(release["python"], "accepted", "!=3.10.13")
    found = node(converged())
    python, steps = told(found, with_python(tmp_path, "3.10.14"))
    assert (python["replaces"], steps) == ("3.10.13", [("python", "install"), ("environment", "repair")])
    step = plan(found, resolve(found, settings(tmp_path)))["steps"][1]
    assert "runs Python 3.10.13, which the release does not accept (release.yml, python.accepted)" in step["reason"]
    assert (step["causes"][0]["wanted"], step["causes"][0]["found"]) == ("3.10.14", "3.10.13")
    found["pythons"]["3.10.14"] = {"state": "complete"}
    found["environments"]["all"][NAME]["python"] = "3.10.14"
    assert told(found, with_python(tmp_path, "3.10.15"))[1] == []


@pytest.mark.parametrize(("state", "words"), [("complete", "does not accept"), ("half-installed", "is half-installed")])
def test_a_python_that_has_to_go_is_told_also_where_the_depot_has_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, words: str
) -> None:
    """No silence: a step that says why, and a refusal that says what the depot lacks."""
    release = read_release(str(ROOT / "releases" / "8.0.RC1"))
    monkeypatch.setitem(release["python"], "accepted", "!=3.10.13")
    found = node(converged())
    found["pythons"]["3.10.13"]["state"] = state
    wanted = resolve(found, settings(with_python(tmp_path, "3.10.13")))
    result = plan(found, wanted)
    (step,) = result["steps"]
    assert step["component"] == "environment"
    assert f"3.10.13, which {'the release ' if state == 'complete' else ''}{words}" in step["reason"]
    assert "the depot has none that it accepts" in step["reason"]
    assert "Python 3.10" in {refusal["subject"] for refusal in result["refusals"]}
