# SPDX-License-Identifier: Apache-2.0
"""Pythons and environments read from their files: whole ones, the links to them, and somebody else's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import read as environment_read
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.python import read as pythons
from tests import environment_tree as tree
from tests.contract.tree import NODE_UTILS
from tests.unit.environment.environment_facts import ROOT, Damage, names, one, read, site, whole


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return whole(tmp_path)


def test_a_whole_environment(place: Path, tmp_path: Path) -> None:
    (place.parent / "current").symlink_to(place.name)
    (place.parent / "previous").symlink_to("7.0.0-ba9876543210")
    for deep in (False, True):
        facts, findings = read(tmp_path, deep)
        assert findings == []
        assert facts == {
            "current": tree.NAME,
            "previous": "7.0.0-ba9876543210",
            "all": {
                tree.NAME: {
                    "path": f"{ROOT}/{tree.NAME}",
                    "state": "complete",
                    "release": "8.0.RC1",
                    "python": "3.10.13",
                    "cann_home": tree.HOME,
                    "lock_digest": "0123456789ab",
                    "distribution_count": 5,
                    "versions": {"torch": "2.1.0", "torch-npu": "2.1.0.post3"},
                    "distributions": dict(sorted(tree.PINS.items())),
                    "difference": {"missing": {}, "other": {}, "extra": {}},
                    "difference_count": 0,
                    "editable": {},
                    "commit": {},
                    "sources": {},
                    "examples": None,
                    "problems": [],
                    "problem_count": 0,
                }
            },
        }


def test_only_the_current_one_lists_its_distributions(place: Path, tmp_path: Path) -> None:
    tree.environment(tmp_path, {"fire": "0.6.0"}, "older")
    (place.parent / "current").symlink_to("older")
    everything = read(tmp_path)[0]["all"]
    assert everything["older"]["distributions"] == {"fire": "0.6.0"}
    assert "distributions" not in everything[tree.NAME]
    (place.parent / "current").unlink()
    assert not any("distributions" in environment for environment in read(tmp_path)[0]["all"].values())


def test_the_difference_to_what_it_was_built_from(place: Path, tmp_path: Path) -> None:
    shutil.rmtree(site(place) / "fire-0.7.0.dist-info")
    shutil.rmtree(site(place) / "numpy-1.26.4.dist-info")
    tree.distribution(site(place), "numpy", "1.26.3")
    tree.distribution(site(place), "extra", "1")
    found = one(tmp_path)
    assert found["difference"] == {
        "missing": {"fire": "0.7.0"},
        "other": {"numpy": ["1.26.3", "1.26.4"]},
        "extra": {"extra": "1"},
    }
    assert found["difference_count"] == 3
    (finding,) = read(tmp_path)[1]
    assert finding["name"] == "environment-differs"
    assert finding["found"] == "fire is missing, numpy is 1.26.3, not 1.26.4, extra 1 was added"


def test_lists_are_bounded_and_counted(place: Path, tmp_path: Path) -> None:
    for number in range(30):
        tree.distribution(site(place), f"extra{number:02}", "1")
        (site(place) / f"~left{number}").mkdir()
    found = one(tmp_path)
    assert len(found["difference"]["extra"]) == environment_read.SHOWN
    assert (found["difference_count"], found["problem_count"]) == (30, 30)
    assert len(found["problems"]) == environment_read.SHOWN
    assert len(json.dumps(read(tmp_path))) < 3500


def test_facts_load_nothing_that_builds() -> None:
    """Each module that a node has to compile costs every nightly check a few milliseconds."""
    load = "import sys; sys.path.insert(0, sys.argv[1])\n"
    load += "import ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment.read; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", load, str(NODE_UTILS.parents[1] / "collections")],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.rpartition(".")[2] for name in said.stdout.split() if ".ascend.environment." in name}
    assert "read" in loaded
    assert loaded & {"build", "checkout_restore", "checkout_manifest", "damage", "lock"} == set()


def test_somebody_elses_environments(tmp_path: Path) -> None:
    """conda: no pyvenv.cfg, no receipt, the version in conda-meta."""
    place = tmp_path / "opt/ascend/env/mine"
    (place / "conda-meta").mkdir(parents=True)
    (place / "conda-meta/python-3.9.18-h955ad1f_0.json").touch()
    tree.distribution(place / "lib/python3.9/site-packages", "numpy", "2.0.1")
    (place / "bin/python").write_text("x")
    (place / "bin/python").chmod(0o755)
    found = read(tmp_path)[0]["all"]["mine"]
    assert (found["python"], found["state"], found["distribution_count"]) == ("3.9.18", "half-installed", 1)
    assert names(tmp_path) == ["environment-half-installed", "environment-interpreter", "environment-numpy-2"]


def test_environments_and_the_link(place: Path, tmp_path: Path) -> None:
    root = place.parent
    (root / ".building-other").mkdir()
    (root / "unfinished").mkdir()
    (root / "file").touch()
    (root / "link").symlink_to(place.name)
    assert read(tmp_path)[0]["current"] is None
    assert sorted(read(tmp_path)[0]["all"]) == [tree.NAME, "unfinished"]
    assert names(tmp_path) == ["environment-half-installed", "environment-interpreter"]


@pytest.mark.parametrize(
    ("target", "current", "dangling"),
    [
        (tree.NAME, tree.NAME, False),
        (f"{ROOT}/{tree.NAME}", tree.NAME, False),
        (f"./{tree.NAME}/", tree.NAME, False),
        ("gone", "gone", True),
        ("current", "current", True),
        (f"/elsewhere/{tree.NAME}", f"/elsewhere/{tree.NAME}", True),
        ("../other", "../other", True),
    ],
)
def test_where_the_link_leads(place: Path, tmp_path: Path, target: str, current: str, dangling: bool) -> None:
    (place.parent / "current").symlink_to(target)
    facts, findings = read(tmp_path)
    assert facts["current"] == current
    assert [finding["name"] for finding in findings] == ["environment-current-dangling"] * dangling


def test_a_folder_in_place_of_the_link(place: Path, tmp_path: Path) -> None:
    (place.parent / "current").mkdir()
    facts, findings = read(tmp_path)
    assert (facts["current"], list(facts["all"])) == (None, [tree.NAME])
    assert [(finding["name"], finding["problem"]) for finding in findings] == [
        ("environment-current-dangling", "the link current is not a link")
    ]


def test_nothing_at_all(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == ({"current": None, "previous": None, "all": {}}, [])
    assert pythons.read(str(tmp_path / "none")) == {}


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda place: (place / "bin/pip").touch(), ""),
        (lambda place: (place / "bin/python3.10").unlink(), "bin/python3.10 cannot be run"),
        (lambda place: (place / "bin/pip3").unlink(), "bin/pip3, which CANN's installer calls, cannot be run"),
        (lambda place: (place / ".ascend-fleet.json").unlink(), "its receipt is missing, or from another version"),
        (lambda place: (place / ".ascend-fleet.json").write_text('{"version": "3.9.1"}'), "its receipt is missing"),
        (
            lambda place: (place / ".ascend-fleet.json").write_text("7"),
            "its receipt is missing, or from another version",
        ),
        (lambda place: (place / "lib/python3.10").mkdir(parents=True), "lib/python3.10 lacks the standard library"),
    ],
)
def test_pythons(tmp_path: Path, damage: Damage, problem: str) -> None:
    damage(tree.python(tmp_path))
    there = pythons.read(str(tmp_path / "opt/ascend/python"))
    found = there[tree.PYTHON]
    assert found["state"] == ("half-installed" if problem else "complete")
    assert problem in found.get("problem", "")
    assert [finding["name"] for finding in pythons.findings(there)] == ["python-half-installed"] * bool(problem)
