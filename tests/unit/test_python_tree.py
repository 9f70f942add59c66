# SPDX-License-Identifier: Apache-2.0
"""Pythons and environments read from their files: complete, damaged in every way, or somebody else's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ascend.python import python_tree
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import environment_tree as tree
from tests.contract.tree import NODE_UTILS

ROOT = "/opt/ascend/env"
Damage = Callable[[Path], object]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of a whole environment on a node whose root is tmp_path."""
    tree.python(tmp_path)
    return tree.environment(tmp_path, tree.PINS)


def read(root: Path, deep: bool = False) -> tuple[dict[str, Any], list[dict[str, str]]]:
    facts, findings = python_tree.read_environments(tree.node(root), ROOT, deep)
    assert json.loads(json.dumps((facts, findings))) == [facts, findings]
    for finding in findings:
        assert finding["subset"] == "python"
        assert all(finding[key] for key in ("name", "problem", "wanted", "found", "where", "remedy")), finding
    return facts, findings


def one(root: Path, deep: bool = False) -> dict[str, Any]:
    environment: dict[str, Any] = read(root, deep)[0]["all"][tree.NAME]
    return environment


def names(root: Path, deep: bool = False) -> list[str]:
    return [finding["name"] for finding in read(root, deep)[1]]


def site(place: Path) -> Path:
    return place / "lib/python3.10/site-packages"


def record(place: Path, **changes: object) -> None:
    value = json.loads((place / python_tree.RECORD).read_text())
    (place / python_tree.RECORD).write_text(json.dumps({**value, **changes}))


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
    assert finding["found"] == "fire is missing, numpy is 1.26.3, not 1.26.4, extra 1 is extra"


def test_lists_are_bounded_and_counted(place: Path, tmp_path: Path) -> None:
    for number in range(30):
        tree.distribution(site(place), f"extra{number:02}", "1")
        (site(place) / f"~left{number}").mkdir()
    found = one(tmp_path)
    assert len(found["difference"]["extra"]) == python_tree.SHOWN
    assert (found["difference_count"], found["problem_count"]) == (30, 30)
    assert len(found["problems"]) == python_tree.SHOWN
    assert len(json.dumps(read(tmp_path))) < 3500


def pyvenv(old: str, new: str) -> Damage:
    def damage(place: Path) -> None:
        config = place / "pyvenv.cfg"
        assert old in config.read_text()
        config.write_text(config.read_text().replace(old, new))

    return damage


def link_python(target: str) -> Damage:
    def damage(place: Path) -> None:
        (place / "bin/python").unlink()
        (place / "bin/python").symlink_to(target)

    return damage


def copied_python(place: Path) -> None:
    """A program in place of the link, as venv --copies makes it; here with nothing in it."""
    (place / "bin/python").unlink()
    (place / "bin/python").touch(mode=0o755)


def replace(name: str, version: str) -> Damage:
    """Another version in place of one, as pip leaves it."""

    def damage(place: Path) -> None:
        shutil.rmtree(site(place) / f"{name.replace('-', '_')}-{tree.PINS[name]}.dist-info")
        tree.distribution(site(place), name, version)

    return damage


def remove(name: str) -> Damage:
    return lambda place: shutil.rmtree(site(place) / f"{name}-{tree.PINS[name]}.dist-info")


def editable(place: Path, source: str = "/src/fire") -> None:
    direct = {"url": f"file://{source}", "dir_info": {"editable": True}}
    (site(place) / "fire-0.7.0.dist-info/direct_url.json").write_text(json.dumps(direct))


def depot_python(place: Path) -> Path:
    return place.parents[1] / "python" / tree.PYTHON


# Damage, names of the findings, words that are among the problems.
DAMAGE: list[tuple[Damage, list[str], str]] = [
    (lambda place: (place / ".ascend-fleet.json").unlink(), ["environment-half-installed"], ""),
    (lambda place: (place / ".ascend-fleet.json").write_text("[1]"), ["environment-half-installed"], "cannot be read"),
    (lambda place: (place / ".ascend-fleet.json").write_text('{"lock_di'), ["environment-half-installed"], "cannot be"),
    (lambda place: record(place, distributions=130), ["environment-half-installed"], "does not say what it was built"),
    (lambda place: record(place, distributions={"fire": 1}), ["environment-half-installed"], "does not say"),
    (lambda place: record(place, python="3.10.14"), ["environment-interpreter"], "its Python is 3.10.13, not 3.10.14"),
    (lambda place: (place / "bin/python").unlink(), ["environment-interpreter"], "bin/python is missing"),
    (link_python("/gone/python3"), ["environment-interpreter"], "bin/python leads to /gone/python3, which is missing"),
    (link_python("python"), ["environment-interpreter"], "bin/python cannot be run"),
    (link_python("/opt/ascend/python/3.10.13/bin"), ["environment-interpreter"], "bin/python cannot be run"),
    (copied_python, ["environment-interpreter"], "bin/python is empty"),
    (lambda place: shutil.rmtree(depot_python(place)), ["environment-interpreter"], "which is missing"),
    (lambda place: (place / "pyvenv.cfg").unlink(), ["environment-interpreter"], "pyvenv.cfg is missing"),
    (lambda place: (place / "pyvenv.cfg").write_bytes(b"\0\xff=\0"), ["environment-interpreter"], "names no home"),
    (lambda place: (place / "pyvenv.cfg").write_text("home = /\0"), ["environment-interpreter"], "names no home"),
    (pyvenv("3.10.13/bin", "3.9.1/bin"), ["environment-interpreter"], "the home /opt/ascend/python/3.9.1/bin, which"),
    (
        pyvenv("= 3.10.13\n", "= 3.9.1\n"),
        ["environment-interpreter"],
        "leads to Python 3.10.13, it was made with 3.9.1",
    ),
    (pyvenv("= false", "= True"), ["environment-leak"], "pyvenv.cfg takes in the system's site-packages"),
    (lambda place: (place / "conda-meta").mkdir(), ["environment-interpreter"], "it is a conda environment"),
    (
        lambda place: tree.distribution(place / "lib/python3.9/site-packages", "x", "1"),
        ["environment-interpreter"],
        "3.9",
    ),
    (lambda place: (site(place) / "~orch").mkdir(), ["environment-leftover"], "~orch is left of an interrupted pip"),
    (lambda place: (site(place) / "x.pth").write_text("/other\n"), ["environment-leak"], "x.pth brings in /other"),
    (lambda place: (site(place) / "sitecustomize.py").touch(), ["environment-leak"], "sitecustomize.py is run by"),
    (lambda place: (site(place) / "usercustomize").mkdir(), ["environment-leak"], "usercustomize is run by"),
    (
        lambda place: (site(place) / "fire/core.py").unlink(),
        ["environment-files-altered"],
        "fire: fire/core.py is missing",
    ),
    (lambda place: (site(place) / "fire-0.7.0.dist-info/RECORD").unlink(), ["environment-record-broken"], "RECORD is"),
    (lambda place: (site(place) / "Fire-1.egg-info").touch(), ["environment-record-broken"], "no readable PKG-INFO"),
    (
        replace("torch", "2.1.2"),
        ["environment-differs", "environment-torch-pair"],
        "torch-npu is 2.1.0.post3, torch is 2.1.2",
    ),
    (replace("torch", "2.1.0+cpu"), ["environment-differs"], ""),
    (remove("torch"), ["environment-differs", "environment-torch-pair"], "torch-npu is 2.1.0.post3, torch is missing"),
    (
        replace("numpy", "2.0.1"),
        ["environment-differs", "environment-numpy-2"],
        "numpy is 2.0.1, CANN needs one below 2",
    ),
    (replace("setuptools", "70.0.0"), ["environment-differs", "environment-setuptools"], "setuptools is 70.0.0"),
    (replace("setuptools", "82.0.0"), ["environment-differs", "environment-setuptools"], "setuptools is 82.0.0"),
    (replace("setuptools", "70.0.1"), ["environment-differs"], ""),
    (remove("setuptools"), ["environment-differs", "environment-setuptools"], "setuptools is missing"),
    (editable, ["environment-editable", "environment-editable-missing"], "fire is an editable checkout of /src/fire"),
    (
        lambda place: record(place, editable={"fire": "/x"}),
        ["environment-editable"],
        "fire is not the editable checkout",
    ),
    (lambda place: (place / ".cann_home").unlink(), ["environment-cann-home"], ""),
    (lambda place: (place / ".cann_home").write_text("/other\n"), ["environment-cann-home"], ""),
]


@pytest.mark.parametrize(("damage", "findings", "words"), DAMAGE)
def test_damage_is_a_finding_and_a_problem(
    place: Path, tmp_path: Path, damage: Damage, findings: list[str], words: str
) -> None:
    damage(place)
    assert names(tmp_path) == findings
    found = one(tmp_path)
    assert found["state"] == ("half-installed" if "environment-half-installed" in findings else "complete")
    assert any(words in problem for problem in found["problems"]) == bool(words), found["problems"]
    if found["state"] != "complete":
        assert found["difference_count"] == 0


def test_a_lock_that_walks_into_a_trap_is_no_damage(place: Path, tmp_path: Path) -> None:
    """A repair would change nothing: the finding stays, the planner is not told."""
    replace("numpy", "2.0.1")(place)
    record(place, distributions={**tree.PINS, "numpy": "2.0.1"})
    assert names(tmp_path) == ["environment-numpy-2"]
    assert (one(tmp_path)["problems"], one(tmp_path)["difference_count"]) == ([], 0)


def test_an_egg_in_place_of_a_wheel(place: Path, tmp_path: Path) -> None:
    remove("fire")(place)
    (site(place) / "fire-0.7.0.egg-info").write_text("Name: fire\nVersion: 0.7.0\n")
    assert one(tmp_path)["problems"] == ["fire was not installed from a wheel: it has no RECORD"]
    environment = python_tree.inspect(str(place))
    assert python_tree.foreign_paths(environment) == [str(site(place) / "fire-0.7.0.egg-info")]


def test_an_editable_checkout_and_its_commit(place: Path, tmp_path: Path) -> None:
    source = f"{ROOT}/{tree.NAME}/src/LLaMA Factory"
    editable(place, source.replace(" ", "%20"))
    record(place, editable={"fire": source}, cann_home=tree.HOME)
    assert one(tmp_path)["problems"] == [f"fire: its source {source} is missing"]
    git = tmp_path / source.lstrip("/") / ".git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs with: peeled\n" + "a" * 40 + " refs/heads/main\n")
    found = one(tmp_path)
    assert (found["editable"], found["commit"]) == ({"fire": source}, {"fire": "a" * 40})


SOURCE = f"{ROOT}/{tree.NAME}/src/LLaMA-Factory"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The checkout in an environment that was built with one."""
    tree.python(tmp_path)
    files = {f"src/llamafactory/part{number}.py": "x = 1\n" for number in range(9)}
    place = tree.environment(tmp_path, {**tree.PINS, "llamafactory": "0.9.1"})
    return tree.checkout(tmp_path, place, files)


def test_a_checkout_as_it_was_unpacked(checkout: Path, tmp_path: Path) -> None:
    (checkout / "saves").mkdir()
    (checkout / "saves/result.json").touch()
    for deep in (False, True):
        facts, findings = read(tmp_path, deep)
        assert findings == []
        assert facts["all"][tree.NAME]["sources"] == {
            "llamafactory": {
                "path": SOURCE,
                "commit": None,
                "recorded_commit": None,
                "archive": "0" * 64,
                "recorded": True,
                "edited": [],
                "edited_count": 0,
            }
        }
        assert facts["all"][tree.NAME]["problems"] == []


def test_edits_are_a_finding_and_no_problem_of_the_environment(checkout: Path, tmp_path: Path) -> None:
    for number in range(7):
        (checkout / f"src/llamafactory/part{number}.py").write_text("mine")
    found, findings = read(tmp_path)
    source = found["all"][tree.NAME]["sources"]["llamafactory"]
    files = [f"src/llamafactory/part{number}.py" for number in range(5)]
    assert (source["edited"], source["edited_count"]) == (files, 7)
    assert (found["all"][tree.NAME]["problems"], found["all"][tree.NAME]["difference_count"]) == ([], 0)
    (finding,) = findings
    assert (finding["name"], finding["where"]) == ("environment-source-edited", SOURCE)
    assert finding["found"] == ", ".join(files) + " and 2 more"


def test_only_the_deep_form_reads_a_checkout_in_full(checkout: Path, tmp_path: Path) -> None:
    path = checkout / "src/llamafactory/part0.py"
    before = path.stat()
    path.write_text("x = 2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert names(tmp_path) == []
    assert names(tmp_path, True) == ["environment-source-edited"]


def test_another_commit_is_a_finding_and_no_problem_of_the_environment(checkout: Path, tmp_path: Path) -> None:
    (checkout / ".git").mkdir()
    (checkout / ".git/HEAD").write_text("a" * 40)
    found, findings = read(tmp_path)
    source = found["all"][tree.NAME]["sources"]["llamafactory"]
    assert (source["commit"], source["recorded_commit"], source["edited_count"]) == ("a" * 40, None, 0)
    assert found["all"][tree.NAME]["problems"] == []
    (finding,) = findings
    assert (finding["name"], finding["where"]) == ("environment-source-commit", SOURCE)


@pytest.mark.parametrize("text", [None, "", '{"files"'])
def test_a_checkout_that_nobody_recorded(checkout: Path, tmp_path: Path, text: str | None) -> None:
    manifest = checkout.parents[1] / ".ascend-fleet-source-llamafactory.json"
    manifest.unlink()
    if text is not None:
        manifest.write_text(text)
    found = one(tmp_path)
    assert found["problems"] == ["llamafactory: what was unpacked is not recorded"]
    assert found["sources"]["llamafactory"]["recorded"] is False
    assert names(tmp_path) == ["environment-half-installed"]


def test_a_checkout_that_is_gone_is_said_once(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout)
    assert names(tmp_path) == ["environment-editable-missing"]
    assert one(tmp_path)["sources"] == {}


def test_facts_load_nothing_that_builds() -> None:
    """Each module that a node has to compile costs every nightly check a few milliseconds."""
    load = "import sys, ansible.module_utils; ansible.module_utils.__path__.append(sys.argv[1])\n"
    load += "import ansible.module_utils.ascend.python.python_tree; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", load, str(NODE_UTILS.parent)], capture_output=True, text=True, check=True
    )
    loaded = {name.rpartition(".")[2] for name in said.stdout.split() if ".ascend.python." in name}
    assert "python_tree" in loaded
    assert loaded & {"environment", "source_restore", "source_record", "damage", "lock"} == set()


def test_an_egg_link(place: Path, tmp_path: Path) -> None:
    source = tmp_path / "src/tool"
    (source / "tool.egg-info").mkdir(parents=True)
    (source / "tool.egg-info/PKG-INFO").write_text("Name: tool\nVersion: 3\n")
    (site(place) / "tool.egg-link").write_text("/src/tool\n.")
    (site(place) / "easy-install.pth").write_text("/src/tool\n./inside\n")
    found = one(tmp_path)
    assert found["editable"] == {"tool": "/src/tool"}
    assert found["difference"]["extra"] == {"tool": "3"}
    assert found["problems"] == ["tool.egg-link brings in /src/tool", "tool is an editable checkout of /src/tool"]


def test_somebody_elses_environments(tmp_path: Path) -> None:
    """conda: no pyvenv.cfg, no record, the version in conda-meta."""
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
        ("environment-current-dangling", "the link current is no link")
    ]


def test_nothing_at_all(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == ({"current": None, "previous": None, "all": {}}, [])
    assert python_tree.read_pythons(str(tmp_path / "none")) == {}


def test_a_site_packages_that_cannot_be_listed(place: Path, tmp_path: Path) -> None:
    shutil.rmtree(site(place))
    site(place).symlink_to("site-packages")
    assert names(tmp_path) == ["environment-differs", "environment-unreadable"]
    assert "Too many levels of symbolic links" in one(tmp_path)["problems"][0]


def test_words_that_no_terminal_takes(place: Path, tmp_path: Path) -> None:
    (site(place) / os.fsdecode(b"~\xff\x1b[31m\n")).mkdir()
    (place / ".cann_home").write_bytes(b"/x\x1b]0;\xff" + b"y" * 5000)
    found = one(tmp_path)
    assert found["problems"] == ["~??[31m? is left of an interrupted pip"]
    assert len(found["cann_home"]) == 160
    assert found["cann_home"].isprintable()


# --- Pythons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda place: (place / "bin/pip").touch(), ""),
        (lambda place: (place / "bin/python3.10").unlink(), "bin/python3.10 cannot be run"),
        (lambda place: (place / "bin/pip3").unlink(), "bin/pip3 cannot be run, which CANN's installer calls"),
        (lambda place: (place / ".ascend-fleet.json").unlink(), "its record is missing or of another version"),
        (lambda place: (place / ".ascend-fleet.json").write_text('{"version": "3.9.1"}'), "its record is missing or"),
        (lambda place: (place / ".ascend-fleet.json").write_text("7"), "its record is missing or of another version"),
        (lambda place: (place / "lib/python3.10").mkdir(parents=True), "lib/python3.10 has lost the standard library"),
    ],
)
def test_pythons(tmp_path: Path, damage: Damage, problem: str) -> None:
    damage(tree.python(tmp_path))
    pythons = python_tree.read_pythons(str(tmp_path / "opt/ascend/python"))
    found = pythons[tree.PYTHON]
    assert found["state"] == ("half-installed" if problem else "complete")
    assert problem in found.get("problem", "")
    assert [finding["name"] for finding in python_tree.python_findings(pythons)] == ["python-half-installed"] * bool(
        problem
    )


# --- random damage -----------------------------------------------------------------------------------------------

MODULES = sorted(name.replace("-", "_") for name in tree.PINS)
UPPER = [f"{module}/{name}" for module in MODULES for name in ("__init__.py", "core.py", "deep")]


def deep_file(place: Path, module: str) -> Path:
    return site(place) / module / "deep/er/file.py"


def info_of(place: Path, module: str) -> Path:
    return next(site(place).glob(f"{module}-*.dist-info"))


def flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])


def other_metadata(place: Path, module: str) -> None:
    metadata = info_of(place, module) / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: ", "Version: 9"))


def rename(path: Path) -> None:
    path.rename(path.with_name("renamed" + path.name))


# What the fast form sees as well, and what only the deep form does.
BOTH: dict[str, Callable[[Path, str], object]] = {
    "delete a module": lambda place, module: (site(place) / module / "core.py").unlink(),
    "delete a package": lambda place, module: shutil.rmtree(site(place) / module),
    "delete a script": lambda place, module: (place / "bin" / f"{module}-tool").unlink(),
    "rename a package": lambda place, module: rename(site(place) / module),
    "rename a dist-info": lambda place, module: rename(info_of(place, module)),
    "remove a dist-info": lambda place, module: shutil.rmtree(info_of(place, module)),
    "remove RECORD": lambda place, module: (info_of(place, module) / "RECORD").unlink(),
    "remove METADATA": lambda place, module: (info_of(place, module) / "METADATA").unlink(),
    "alter METADATA's version": other_metadata,
    "add a distribution": lambda place, module: tree.distribution(site(place), "x" + module, "1"),
    "lengthen a first file": lambda place, module: (site(place) / module / "__init__.py").write_text("longer than it"),
}
DEEP: dict[str, Callable[[Path, str], object]] = {
    "delete a file far down": lambda place, module: deep_file(place, module).unlink(),
    "rename a file far down": lambda place, module: rename(deep_file(place, module)),
    "alter a byte far down": lambda place, module: flip(deep_file(place, module)),
    "alter a byte of a module": lambda place, module: flip(site(place) / module / "core.py"),
    "alter a byte of a script": lambda place, module: flip(place / "bin" / f"{module}-tool"),
    "alter a byte of METADATA": lambda place, module: flip(info_of(place, module) / "METADATA"),
}


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(sorted(BOTH) + sorted(DEEP)), module=st.sampled_from(MODULES))
def test_random_damage_is_reported(kind: str, module: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        tree.python(root)
        place = tree.environment(root, tree.PINS)
        assert names(root) == names(root, True) == []
        {**BOTH, **DEEP}[kind](place, module)
        assert names(root, True) != [], "deep sees everything"
        found = one(root, True)
        assert found["problem_count"] + found["difference_count"] > 0
        if kind in BOTH:
            assert names(root) != [], "fast sees this"


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_bytes_in_any_file_are_read(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        tree.python(root)
        place = tree.environment(root, {"fire": "0.7.0"})
        (place.parent / "current").symlink_to(place.name)
        (site(place) / "x.pth").touch()
        (site(place) / "x.egg-link").touch()
        editable(place)
        files = sorted(str(path) for path in place.rglob("*") if path.is_file() and not path.is_symlink())
        path = Path(data.draw(st.sampled_from(files)))
        old = path.read_bytes()
        cut = data.draw(st.integers(0, len(old)))
        path.write_bytes(old[:cut] + data.draw(st.binary(max_size=200)) + old[cut + data.draw(st.integers(0, 20)) :])
        for deep in (False, True):
            assert read(root, deep)[0]["current"] == tree.NAME
