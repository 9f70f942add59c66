# SPDX-License-Identifier: Apache-2.0
"""A node's own Pythons, found by names; what CANN's installer would miss beside one; and what the plan makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import virtualenv
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import Refusal
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.python import system as system_pythons
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan import documents, wanted as control
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.asked import WantedPython
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import Step, names_of, step
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.found import SystemPython
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.system_python import python_refusals
from tests import environment_tree as tree
from tests.unit.plan.planner_nodes import bare

TOOLKIT = [step("toolkit", "install", "it is absent", "absent", "8.2.RC1")]
ENVIRONMENT = [step("environment", "install", "it is absent", "absent", "x")]


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """/usr/bin of Debian 12 with python3-pip, and /bin as a link to it."""
    folder = tmp_path / "usr/bin"
    folder.mkdir(parents=True)
    program(folder / "python3.11")
    (folder / "python3").symlink_to("python3.11")
    program(folder / "pip3", "#!/usr/bin/python3\n")
    (tmp_path / "bin").symlink_to("usr/bin")
    return folder


def program(path: Path, text: str = "\x7fELF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def read(root: Path) -> dict[str, Any]:
    return system_pythons.read(tree.node(root))


def test_a_node_without_any(tmp_path: Path) -> None:
    assert read(tmp_path) == {}


def test_debians_own(tmp_path: Path, debian: Path) -> None:
    for name in ("python3.11-config", "python3-config", "python3.11m", "python2.7", "python3."):
        program(debian / name)
    assert read(tmp_path) == {"3.11": {"path": "/usr/bin/python3.11", "lacks": []}}


@pytest.mark.parametrize(
    ("damage", "lacks"),
    [
        (lambda usr: (usr / "pip3").unlink(), ["pip3"]),
        (lambda usr: (usr / "pip3").chmod(0o644), ["pip3"]),
        (lambda usr: (usr / "pip3").write_text("#!/usr/bin/python3.9 -s\n"), ["pip3"]),
        (lambda usr: (usr / "pip3").write_text("#!/usr/bin/python3.11 -s\n"), []),
        (lambda usr: (usr / "pip3").write_text("#!/bin/python3\n"), []),
        (lambda usr: (usr / "pip3").write_text("#!/bin/sh\nexec python3 -m pip\n"), []),
        (lambda usr: (usr / "python3").unlink(), ["python3", "pip3"]),
        (lambda usr: program(usr / "python3.9").replace(usr / "python3"), ["python3", "pip3"]),
    ],
)
def test_what_the_installer_would_miss(
    tmp_path: Path, debian: Path, damage: Callable[[Path], object], lacks: list[str]
) -> None:
    program(debian / "python3.9")
    damage(debian)
    assert read(tmp_path)["3.11"]["lacks"] == lacks


def test_links_lead_where_the_node_sees_them(tmp_path: Path, debian: Path) -> None:
    (debian / "python3").unlink()
    (debian / "python3").symlink_to("/etc/alternatives/python3")
    (tmp_path / "etc/alternatives").mkdir(parents=True)
    (tmp_path / "etc/alternatives/python3").symlink_to("/usr/bin/python3.11")
    (debian / "python3.13").symlink_to("/nowhere/python3.13")
    assert read(tmp_path) == {"3.11": {"path": "/usr/bin/python3.11", "lacks": []}}


def test_the_distributions_comes_before_one_that_was_built_here(tmp_path: Path, debian: Path) -> None:
    program(tmp_path / "usr/local/bin/python3.11")
    program(tmp_path / "usr/local/bin/python3.9")
    program(tmp_path / "usr/local/bin/python3.10")
    found = read(tmp_path)
    assert list(found) == ["3.9", "3.10", "3.11"]
    assert found["3.11"]["path"] == "/usr/bin/python3.11"
    assert found["3.9"] == {"path": "/usr/local/bin/python3.9", "lacks": ["python3", "pip3"]}


def test_an_update_of_the_distributions_python_is_no_damage(tmp_path: Path, debian: Path) -> None:
    """3.11.2 becomes 3.11.5 in its place: the environment still says 3.11.2, and its receipt, too."""
    place = tree.environment(tmp_path, tree.PINS)
    (place / "bin/python").unlink()
    (place / "bin/python").symlink_to("/usr/bin/python3.11")
    (place / "pyvenv.cfg").write_text("home = /usr/bin\nimplementation = CPython\nversion_info = 3.11.2\n")
    before = virtualenv.read(str(place), tree.node(tmp_path).path)
    assert (before.version, before.series, before.problems) == ("3.11.2", "3.11", ())
    program(debian / "python3.11", "\x7fELF of 3.11.5")
    assert virtualenv.read(str(place), tree.node(tmp_path).path) == before
    # The next release of the distribution takes it away.
    (debian / "python3.11").unlink()
    (problem,) = virtualenv.read(str(place), tree.node(tmp_path).path).problems
    assert problem.words == "bin/python points to /usr/bin/python3.11, which is missing"


# --- what the plan makes of it -----------------------------------------------------------------------------------


def refused(pythons: dict[str, Any], source: str, steps: list[Step]) -> list[Refusal]:
    python = WantedPython("", source=source, series="3.11")
    there = {series: documents.read(SystemPython, each) for series, each in pythons.items()}
    return python_refusals(there, python, "8.2.RC1", names_of(steps))


def found(**pythons: dict[str, Any]) -> dict[str, Any]:
    return {"3." + name[1:]: python for name, python in pythons.items()}


def test_nothing_is_asked_of_a_node_that_takes_the_depots() -> None:
    assert refused(found(), "depot", TOOLKIT) == []
    assert refused(found(), "", TOOLKIT) == []


def test_a_node_with_the_release_s_series_is_as_wanted() -> None:
    assert refused(found(p11={"path": "/usr/bin/python3.11", "lacks": []}), "system", TOOLKIT) == []


@pytest.mark.parametrize("steps", [[], ENVIRONMENT, TOOLKIT])
def test_a_node_without_the_series_is_refused(steps: list[Step]) -> None:
    (refusal,) = refused(found(p9={"path": "/usr/bin/python3.9", "lacks": []}), "system", steps)
    assert (refusal["component"], refusal["check"], refusal["found"]) == ("python", "system-python", "Python 3.9")
    assert "ascend_python: depot" in refusal["remedy"]
    (refusal,) = refused(found(), "system", steps)
    assert refusal["found"] == "no Python in /usr/bin and /usr/local/bin"


def test_what_the_installer_calls_is_asked_for_when_it_is_to_run() -> None:
    there = found(p11={"path": "/usr/local/bin/python3.11", "lacks": ["python3", "pip3"]})
    assert refused(there, "system", ENVIRONMENT) == []
    refusals = refused(there, "system", [*ENVIRONMENT, *TOOLKIT])
    assert [refusal["subject"] for refusal in refusals] == ["python3", "pip3"]
    assert [refusal["where"] for refusal in refusals] == ["/usr/local/bin/python3", "/usr/local/bin/pip3"]
    assert "python3-pip" in refusals[1]["remedy"]
    assert "python3-pip" not in refusals[0]["remedy"]


# --- what the control node wants ---------------------------------------------------------------------------------


@pytest.fixture
def resolve(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Resolve the Python of release 8.2.RC1 for an aarch64 node with these Pythons, over a depot that has none."""
    root = Path(__file__).resolve().parents[3]
    settings = {
        **{
            name: f"/x/{name}"
            for name in ("cann_root", "ascend_root", "cache_dir", "state_dir", "tmp_dir", "ascend_env")
        },
        "depot_transport": "ssh",
        "depot_url": "",
        **dict.fromkeys(("check_mode", "deep", "accept_eula", "allow_downgrade"), False),
        "release": "8.2.RC1",
        "releases_dir": str(root / "releases"),
        "depot_dir": str(tmp_path),
        "locks": {},
        "cards": {"count": 0, "memory_mb": 0, "out": [], "health_policy": "fail"},
        "driver_policy": "fail",
        "system_settings": "apply",
        "system_packages": "check",
        "cann_cross": "beside",
        "llamafactory_source": {},
        "ascend_env_file": __file__,
    }

    def resolved(python: str, **pythons: dict[str, Any]) -> dict[str, Any]:
        facts = {**bare(), "system_pythons": found(**pythons)}
        facts["npu"]["devices"] = []
        return control.resolve(facts, {**settings, "python": python})

    return resolved


def test_the_nodes_own_python_is_asked_of_no_depot(resolve: Callable[..., dict[str, Any]]) -> None:
    result = resolve("system", p9={"path": "/usr/bin/python3.9"}, p11={"path": "/usr/local/bin/python3.11"})
    python = result["python"]
    assert (python["program"], python["bin"]) == ("/usr/local/bin/python3.11", "/usr/local/bin")
    assert (python["source"], python["series"], python["version"]) == ("system", "3.11", "")
    assert "Python 3.11" not in [problem["subject"] for problem in result["problems"]]
    assert resolve("system")["python"]["program"] == ""


def test_the_depots_python_has_its_own_place(resolve: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    there = {"path": "/usr/bin/python3.11", "lacks": []}
    assert "Python 3.11" in [problem["subject"] for problem in resolve("depot", p11=there)["problems"]]
    index = {"files": {"python/p": {"sha256": "0", "size_bytes": 1}}, "uv": {}, "cann": {}, "locks": {}, "sources": {}}
    index["pythons"] = {"aarch64": {"3.11": {"version": "3.11.7", "file": "python/p"}}}
    (tmp_path / "index.json").write_text(json.dumps(index))
    python = resolve("depot", p11=there)["python"]
    assert (python["program"], python["bin"]) == (
        "/x/ascend_root/python/3.11.7/bin/python3",
        "/x/ascend_root/python/3.11.7/bin",
    )
    assert (python["source"], python["url"]) == ("depot", "ssh:/python/p")
