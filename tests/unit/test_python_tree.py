# SPDX-License-Identifier: Apache-2.0
"""Environments read from their files: what is in them, and everything that can be wrong with a dist-info."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from ansible.module_utils.ascend import python_tree


def distribution(environment: Path, name: str, version: str, module: str = "") -> Path:
    """A distribution as an installer leaves it; return its dist-info."""
    module = module or name.lower().replace("-", "_")
    site = environment / "lib" / "python3.10" / "site-packages"
    (site / module).mkdir(parents=True, exist_ok=True)
    (site / module / "__init__.py").write_text("x = 1\n")
    info = site / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nWords: more\n")
    rows = [f"{module}/__init__.py,sha256=x,6", f"{module}/__pycache__/__init__.cpython-310.pyc,,"]
    rows += [f"{info.name}/METADATA,sha256=x,", f"{info.name}/RECORD,,", "../../../bin/tool,sha256=x,3"]
    (info / "RECORD").write_text("".join(f"{row}\n" for row in rows))
    (environment / "bin").mkdir(exist_ok=True)
    (environment / "bin" / "tool").write_text("abc")
    return info


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    place = tmp_path / "env" / "8.0.RC1-x"
    distribution(place, "Torch_NPU", "2.1.0.post3", "torch_npu")
    distribution(place, "fire", "0.7.0")
    (place / "bin" / "python").write_text("#!/bin/sh\n")
    (place / "bin" / "python").chmod(0o755)
    (place / ".cann_home").write_text("/usr/local/Ascend/ascend-toolkit/8.0.RC1\n")
    (place / python_tree.RECORD).write_text(json.dumps({"python": "3.10.13", "lock_digest": "x"}))
    return place


def info(environment: Path, name: str) -> Path:
    (found,) = (environment / "lib" / "python3.10" / "site-packages").glob(f"{name}-*.dist-info")
    return found


def test_a_whole_environment(environment: Path) -> None:
    found = python_tree.read_environment(str(environment))
    assert found == {
        "path": str(environment),
        "state": "complete",
        "python": "3.10.13",
        "cann_home": "/usr/local/Ascend/ascend-toolkit/8.0.RC1",
        "lock_digest": "x",
        "distributions": {"torch-npu": "2.1.0.post3", "fire": "0.7.0"},
        "editable": {},
        "problems": [],
    }
    assert python_tree.lost_files(str(environment)) == {}
    assert python_tree.broken_infos(str(environment)) == []


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda env: (info(env, "fire") / "RECORD").unlink(), "fire: RECORD is missing"),
        (lambda env: (info(env, "fire") / "RECORD").write_text(""), "fire: RECORD is missing"),
        (lambda env: (info(env, "fire") / "METADATA").unlink(), "fire-0.7.0.dist-info has no readable METADATA"),
        (lambda env: (info(env, "fire") / "METADATA").write_bytes(b"\xff\xfe"), "no readable METADATA"),
        (lambda env: shutil.rmtree(info(env, "fire").parent / "fire"), "fire: fire is missing"),
        (lambda env: distribution(env, "fire", "0.6.0"), "fire is there twice: 0.6.0 and 0.7.0"),
        (lambda env: (env / "bin" / "python").chmod(0o644), "bin/python cannot be run"),
        (lambda env: (env / "bin" / "python").unlink(), "bin/python cannot be run"),
    ],
)
def test_damage_is_a_problem(environment: Path, damage: object, problem: str) -> None:
    assert callable(damage)
    damage(environment)
    found = python_tree.read_environment(str(environment))
    assert problem in " ".join(found["problems"])


def test_without_its_record_it_is_not_finished(environment: Path) -> None:
    (environment / python_tree.RECORD).unlink()
    assert python_tree.read_environment(str(environment))["state"] == "half-installed"
    (environment / python_tree.RECORD).write_text("[1]")
    assert python_tree.read_environment(str(environment))["state"] == "half-installed"


def test_lost_and_altered_files(environment: Path) -> None:
    module = info(environment, "fire").parent / "fire" / "__init__.py"
    module.write_text("x = 100\n")
    (environment / "bin" / "tool").unlink()
    assert python_tree.lost_files(str(environment)) == {
        "fire": ["fire/__init__.py", "../../../bin/tool"],
        "torch-npu": ["../../../bin/tool"],
    }


def test_a_record_that_speaks_of_another_folder(environment: Path) -> None:
    old = info(environment, "fire")
    new = old.rename(old.with_name("fire-0.6.0.dist-info"))
    assert python_tree.broken_infos(str(environment)) == [str(new)]


def test_editable_checkouts(environment: Path) -> None:
    direct = {"url": "file:///opt/src/LLaMA-Factory", "dir_info": {"editable": True}}
    (info(environment, "fire") / "direct_url.json").write_text(json.dumps(direct))
    assert python_tree.read_environment(str(environment))["editable"] == {"fire": "/opt/src/LLaMA-Factory"}


def test_environments_and_the_link(environment: Path) -> None:
    root = environment.parent
    (root / ".building-other").mkdir()
    (root / "unfinished").mkdir()
    (root / "file").touch()
    assert python_tree.read_environments(str(root))["current"] is None
    (root / "current").symlink_to(environment.name)
    found = python_tree.read_environments(str(root))
    assert (found["current"], sorted(found["all"])) == (environment.name, [environment.name, "unfinished"])
    assert found["all"]["unfinished"]["state"] == "half-installed"


def test_nothing_at_all(tmp_path: Path) -> None:
    assert python_tree.read_environments(str(tmp_path / "none")) == {"current": None, "all": {}}
    assert python_tree.read_pythons(str(tmp_path / "none")) == {}
