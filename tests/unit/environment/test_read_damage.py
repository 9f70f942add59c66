# SPDX-License-Identifier: Apache-2.0
"""Environments damaged in every way: each damage is a finding, whatever its bytes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import read as environment_read
from tests import environment_tree as tree
from tests.unit.environment.environment_facts import Damage, editable, names, one, read, record, site, whole, words


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return whole(tmp_path)


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
    (link_python("/gone/python3"), ["environment-interpreter"], "bin/python points to /gone/python3, which is missing"),
    (link_python("python"), ["environment-interpreter"], "bin/python cannot be run"),
    (link_python("/opt/ascend/python/3.10.13/bin"), ["environment-interpreter"], "bin/python cannot be run"),
    (copied_python, ["environment-interpreter"], "bin/python is empty"),
    (lambda place: shutil.rmtree(depot_python(place)), ["environment-interpreter"], "which is missing"),
    (lambda place: (place / "pyvenv.cfg").unlink(), ["environment-interpreter"], "pyvenv.cfg is missing"),
    (
        lambda place: (place / "pyvenv.cfg").write_bytes(b"\0\xff=\0"),
        ["environment-interpreter"],
        "does not name a home",
    ),
    (
        lambda place: (place / "pyvenv.cfg").write_text("home = /\0"),
        ["environment-interpreter"],
        "does not name a home",
    ),
    (pyvenv("3.10.13/bin", "3.9.1/bin"), ["environment-interpreter"], "/opt/ascend/python/3.9.1/bin, which"),
    (
        pyvenv("= 3.10.13\n", "= 3.9.1\n"),
        ["environment-interpreter"],
        "points to Python 3.10.13, but the environment was made with 3.9.1",
    ),
    (pyvenv("= false", "= True"), ["environment-leak"], "pyvenv.cfg includes the system's site-packages"),
    (lambda place: (place / "conda-meta").mkdir(), ["environment-interpreter"], "conda made the environment"),
    (
        lambda place: tree.distribution(place / "lib/python3.9/site-packages", "x", "1"),
        ["environment-interpreter"],
        "3.9",
    ),
    (lambda place: (site(place) / "~orch").mkdir(), ["environment-leftover"], "an interrupted pip left ~orch behind"),
    (
        lambda place: (site(place) / "x.pth").write_text("/other\n"),
        ["environment-leak"],
        "x.pth adds /other to sys.path",
    ),
    (lambda place: (site(place) / "sitecustomize.py").touch(), ["environment-leak"], "runs sitecustomize.py"),
    (lambda place: (site(place) / "usercustomize").mkdir(), ["environment-leak"], "runs usercustomize"),
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
        "torch-npu is 2.1.0.post3, but torch is 2.1.2",
    ),
    (replace("torch", "2.1.0+cpu"), ["environment-differs"], ""),
    (
        remove("torch"),
        ["environment-differs", "environment-torch-pair"],
        "torch-npu is 2.1.0.post3, but torch is missing",
    ),
    (
        replace("numpy", "2.0.1"),
        ["environment-differs", "environment-numpy-2"],
        "numpy is 2.0.1, but CANN needs a version below 2",
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


TRAPS = ("environment-numpy-2", "environment-setuptools", "environment-torch-pair")  # each at most once


@pytest.mark.parametrize(("damage", "findings", "text"), DAMAGE)
def test_damage_is_a_finding_and_a_problem(
    place: Path, tmp_path: Path, damage: Damage, findings: list[str], text: str
) -> None:
    damage(place)
    assert names(tmp_path) == findings
    found = one(tmp_path)
    assert found["state"] == ("half-installed" if "environment-half-installed" in findings else "complete")
    assert any(text in problem for problem in words(found)) == bool(text), found["problems"]
    assert {problem["name"] for problem in found["problems"]} <= set(findings)
    known_by = [(problem["name"], problem["subject"]) for problem in found["problems"]]
    assert len(set(known_by)) == len(known_by)
    assert all(subject or name in TRAPS for name, subject in known_by), known_by
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
    assert words(one(tmp_path)) == ["fire was not installed from a wheel: it has no RECORD"]
    environment = environment_read.inspect(str(place))
    assert environment_read.foreign_paths(environment) == [str(site(place) / "fire-0.7.0.egg-info")]


def test_a_site_packages_that_cannot_be_listed(place: Path, tmp_path: Path) -> None:
    shutil.rmtree(site(place))
    site(place).symlink_to("site-packages")
    assert names(tmp_path) == ["environment-differs", "environment-unreadable"]
    assert "Too many levels of symbolic links" in words(one(tmp_path))[0]


def test_words_that_no_terminal_takes(place: Path, tmp_path: Path) -> None:
    (site(place) / os.fsdecode(b"~\xff\x1b[31m\n")).mkdir()
    (place / ".cann_home").write_bytes(b"/x\x1b]0;\xff" + b"y" * 5000)
    found = one(tmp_path)
    assert words(found) == [r"an interrupted pip left ~\xdcff\x1b[31m\x0a behind"]
    assert len(found["cann_home"]) == 160
    assert found["cann_home"].isprintable()


MODULES = sorted(name.replace("-", "_") for name in tree.PINS)


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
