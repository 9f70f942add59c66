# SPDX-License-Identifier: Apache-2.0
"""A hardened node: root's umask is 077. The modules are run as Ansible does, and looked at as another user."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import facts, rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import read as environment_read
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import Places
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from tests.standin import build as standin
from tests.unit.environment.test_build_checkout import BACKEND
from tests.unit.plan.planner_nodes import converged, wanted

NOBODY = 65534
VERSION = ".".join(str(number) for number in sys.version_info[:2])
PYTHON = Path(f"/usr/bin/python{VERSION}")  # of all users
UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or ""
NAME = "8.0.RC1-x"
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not PYTHON.exists(), reason=f"becomes another user, who runs {PYTHON.name} of the system"
)
# Everything below a folder that its user cannot read or enter, and that he needs.
LOOK = """
import os, sys
for folder, folders, names in os.walk(sys.argv[1], onerror=lambda error: print(error.filename)):
    for name in names:
        path = os.path.join(folder, name)
        if os.path.exists(path) and not os.access(path, os.R_OK):
            print(path)
"""


@pytest.fixture(params=["0022", "0027", "0077"])
def umask(request: pytest.FixtureRequest) -> int:
    return int(request.param, 8)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users can get to, as pytest's own cannot be."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def module(root: Path, name: str, umask: int, /, **options: Any) -> dict[str, Any]:
    code = "import runpy, sys\nsys.path.insert(0, sys.argv[1])\n"
    code += "sys.argv = sys.argv[2:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    argv = [sys.executable, "-c", code, str(root / "collections"), str(root / f"library/{name}.py")]
    text = json.dumps({"ANSIBLE_MODULE_ARGS": options})
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, umask=umask)
    said: dict[str, Any] = json.loads(done.stdout)
    assert "failed" not in said, said
    return said


def as_nobody(*argv: str) -> str:
    done = subprocess.run(
        argv, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", env={}, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def unreadable(folder: Path) -> str:
    return as_nobody("/usr/bin/python3", "-c", LOOK, str(folder))


def said_of(name: str, path: Path) -> dict[str, Any]:
    key = {"uv_": Path(UV), "source_": path, "": path}[name]
    digest = hashlib.sha256(key.read_bytes()).hexdigest()
    return {f"{name}url": key.as_uri(), f"{name}sha256": digest, f"{name}size_bytes": key.stat().st_size}


def checkout(folder: Path) -> Path:
    """An archive of a checkout that one user alone may read."""
    tree = folder / "LLaMA-Factory"
    (tree / "src" / "llamafactory").mkdir(parents=True)
    (tree / "src" / "llamafactory" / "__init__.py").write_text("version = '0.9.1'\n")
    (tree / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "llamafactory"\nversion = "0.9.1"\n'
    )
    (tree / "backend.py").write_text(BACKEND)
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    with tarfile.open(folder / "source.tar.gz", "w:gz") as archive:
        archive.add(tree, tree.name)
    return folder / "source.tar.gz"


def build(root: Path, place: Path, umask: int, **more: Any) -> Path:
    depot = place / "depot"
    if not depot.exists():
        standin.build(depot)
    text = (depot / "lock-8.0.RC1.txt").read_text()
    path = place / "opt" / "ascend" / "env" / NAME
    module(
        root,
        "python_env",
        umask,
        path=str(path),
        release="8.0.RC1",
        python=str(PYTHON),
        cann_home="/usr/local/Ascend/ascend-toolkit/8.0.RC1",
        lock=text,
        wheelhouse=(depot / "incoming").as_uri(),
        cache_dir=str(place / "cache"),
        state_dir=str(place / "state"),
        current=True,
        **said_of("uv_", Path(UV)),
        **more,
    )
    return path


def observe(place: Path) -> dict[str, Any]:
    """The facts, in the form of a node whose /opt lies in ``place``; the rest is a converged one's."""
    places = Places(*(str(place / name) for name in ("cann", "opt/ascend", "cache", "state", "tmp")))
    node = Node(query, lambda _name: None)
    return {**converged(), **facts.collect(node, places, ["python"], 5)}


def test_an_environment(root: Path, place: Path, umask: int) -> None:
    path = build(root, place, umask)
    current = path.parent / "current"
    assert unreadable(place / "opt") == ""
    assert "0.9.1" in as_nobody(f"{current}/bin/llamafactory-cli", "version")
    assert as_nobody(f"{current}/bin/python", "-c", "import torch; print(torch.__version__)").startswith("2.1")
    assert environment_read.read_environment(str(path)).get("closed") is None


def test_a_checkout_that_was_packed_for_one_user(root: Path, place: Path, umask: int) -> None:
    archive = checkout(place)
    path = build(root, place, umask, **said_of("source_", archive))
    assert (path / "src" / "LLaMA-Factory" / "src" / "llamafactory" / "__init__.py").is_file()
    assert unreadable(path) == ""
    assert as_nobody(f"{path}/bin/python", "-c", "import llamafactory; print(llamafactory.version)") == "0.9.1\n"
    (path / "src").chmod(0o700)
    (path / "src" / "LLaMA-Factory" / "src").chmod(0o700)
    closed = environment_read.read_environment(str(path))["closed"]
    assert closed == "src (0700), src/LLaMA-Factory/src (0700)"
    module(root, "node_rights", umask, trees=[str(path)], state_dir=str(place / "state"))
    assert unreadable(path) == ""


def test_a_python(root: Path, place: Path, umask: int) -> None:
    """From an archive that one user packed for himself alone."""
    program = place / "tree" / "python" / "bin" / "python3.10"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 3.10.13\n")
    shutil.copy(program, program.with_name("pip3"))
    for path in (place / "tree" / "python", program.parent, program, program.with_name("pip3")):
        path.chmod(0o700)
    with tarfile.open(place / "python.tar.gz", "w:gz") as tar:
        tar.add(place / "tree" / "python", "python")
    options = {"cache_dir": str(place / "cache"), "state_dir": str(place / "state"), "version": "3.10.13"}
    of = said_of("", place / "python.tar.gz")
    made = module(root, "python_runtime", umask, ascend_root=str(place / "opt/ascend"), **options, **of)
    assert unreadable(place / "opt") == ""
    assert as_nobody(f"{made['path']}/bin/python3.10") == "3.10.13\n"
    assert observe(place)["pythons"]["3.10.13"]["state"] == "complete"


def environment_of(found: dict[str, Any]) -> dict[str, Any]:
    there = found["environments"]["all"][NAME]
    return {
        **wanted()["environment"],
        "name": NAME,
        "path": there["path"],
        "lock_digest": there["lock_digest"],
        "cann_home": there["cann_home"],
    }


CLOSED = {
    "our root": ("opt/ascend", False),
    "the environments' folder": ("opt/ascend/env", False),
    "the environment": (f"opt/ascend/env/{NAME}", False),
    "its programs": (f"opt/ascend/env/{NAME}/bin", False),
    "a program": (f"opt/ascend/env/{NAME}/bin/llamafactory-cli", False),
    "its CANN": (f"opt/ascend/env/{NAME}/.cann_home", False),
    "a package": (f"opt/ascend/env/{NAME}/lib/python{VERSION}/site-packages/torch_npu", False),
    "a module": (f"opt/ascend/env/{NAME}/lib/python{VERSION}/site-packages/torch_npu/__init__.py", False),
    "all of it": (f"opt/ascend/env/{NAME}", True),
}


USUAL = ("our root", "its CANN", "a program", "all of it")


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=[] if what in USUAL else pytest.mark.whole) for what in CLOSED]
)
def test_what_others_cannot_use_is_seen_planned_and_opened(root: Path, place: Path, what: str) -> None:
    build(root, place, 0o022)
    found = observe(place)
    ask = wanted(environment=environment_of(found), python={"version": ""})
    ask["ascend_env"]["sha256"] = found["ascend_env"]["sha256"]
    assert [step["component"] for step in plan({**found, "closed": []}, ask)["steps"]] == []
    relative, whole = CLOSED[what]
    for path in (place / relative, *((place / relative).rglob("*") if whole else ())):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    found = observe(place)
    (step,) = plan(found, ask)["steps"]
    assert (step["component"], step["action"]) == ("rights", "repair")
    assert Path(relative).name.split(" ")[0] in step["reason"] or whole
    assert rights.FINDING in [each["name"] for each in found["findings"]]
    options = {
        "paths": [str(place / "opt/ascend"), str(place / "opt/ascend/env")],
        "trees": [ask["environment"]["path"]],
        "state_dir": str(place / "state"),
    }
    would = module(root, "node_rights", 0o077, **options, _ansible_check_mode=True)
    assert would["changed"]
    assert unreadable(place / "opt") != ""
    assert module(root, "node_rights", 0o077, **options)["opened"] == would["opened"]
    assert unreadable(place / "opt") == ""
    assert not module(root, "node_rights", 0o077, **options)["changed"]
    assert plan(observe(place), ask)["steps"] == []


def test_what_users_made_stays_theirs(root: Path, place: Path) -> None:
    path = build(root, place, 0o022)
    secret = path / "src" / "LLaMA-Factory" / "saves" / "adapter"
    secret.parent.mkdir(parents=True)
    secret.write_text("weights")
    secret.chmod(0o600)
    (path / "src").chmod(0o755)
    assert not module(root, "node_rights", 0o077, trees=[str(path)], state_dir=str(place / "state"))["changed"]
    assert secret.stat().st_mode & 0o777 == 0o600


def test_a_folder_above_ours_is_refused_and_left(root: Path, place: Path) -> None:
    build(root, place, 0o022)
    (place / "opt").chmod(0o750)
    found = observe(place)
    ask = wanted(environment=environment_of(found), python={"version": ""})
    refused = [each for each in plan(found, ask)["refusals"] if each["check"] == rights.FINDING]
    assert [(each["where"], each["found"], each["remedy"]) for each in refused] == [
        (f"{place}/opt", "mode 0750", f"chmod o+rx {place}/opt")
    ]
    assert "rights" not in [step["component"] for step in plan(found, ask)["steps"]]


def test_every_module_that_makes_something_sets_the_umask(root: Path) -> None:
    makes = ("module_lock.taken(", "job.begin(")
    modules = [path for path in (root / "library").glob("*.py") if any(call in path.read_text() for call in makes)]
    assert "train_job.py" in [path.name for path in modules]
    assert len(modules) > 5
    for path in modules:
        assert "def main() -> None:\n    rights.begin()\n" in path.read_text(), path.name
    assert "        rights.begin()\n" in (root / "plugins" / "action" / "depot.py").read_text(), (
        "the depot's is an action"
    )
