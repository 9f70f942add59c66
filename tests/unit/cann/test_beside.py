# SPDX-License-Identifier: Apache-2.0
"""A CANN beside others: which of several places is meant, whose it is, and a link that is lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import manifest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    install as cann_install,
    latest,
    layout as cann_layout,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann.layout import Tree
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import origin
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from tests.unit.cann.on_disk import ROOT, STATE, Cann

LATER = "9.0.0"


class Beside(Cann):
    """CANN of the later layout in beside/."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.place = root / ROOT.strip("/") / "beside"

    def put(self, version: str, *, in_root: bool = False) -> Path:
        self.put_later(version)
        there = self.root / ROOT.strip("/") / f"cann-{version}"
        if in_root:
            return there
        self.place.mkdir(exist_ok=True)
        shutil.move(there, self.place / there.name)
        (there.parent / "cann").unlink()
        (self.place / "cann").unlink(missing_ok=True)
        (self.place / "cann").symlink_to(there.name)
        return self.place / there.name

    def remember_beside(self, version: str) -> None:
        home = self.place / f"cann-{version}"
        path = cann_layout.manifest_path(self.tree.state_dir, "toolkit", version)
        manifest.write(str(home), [each.name for each in home.iterdir()], path, cann_layout.KERNELS)

    @property
    def tree(self) -> Tree:
        return Tree(f"{self.root}{ROOT}", f"{self.root}{STATE}", str(self.root), "cann", True)


@pytest.fixture
def cann(tmp_path: Path) -> Beside:
    return Beside(tmp_path)


@pytest.mark.parametrize("empty", [f"cann-{LATER}", f"beside/cann-{LATER}"])
def test_an_empty_folder_decides_nothing(cann: Beside, empty: str) -> None:
    """As some uninstallers leave it, and installers that were killed at once."""
    folder = cann.root / ROOT.strip("/") / empty
    folder.mkdir(parents=True)
    assert cann.tree.home(LATER) == f"{cann.root}{ROOT}/beside/cann-{LATER}"
    assert cann.tree._replace(beside=False).home(LATER) == f"{cann.root}{ROOT}/cann-{LATER}"
    shutil.rmtree(folder)
    home = cann.put(LATER, in_root=not empty.startswith("cann"))
    folder.mkdir(parents=True, exist_ok=True)
    assert cann.tree.home(LATER) == str(home)


def test_the_same_version_in_two_places_is_two(cann: Beside) -> None:
    cann.put(LATER, in_root=True)
    state = f"{cann.root}{STATE}"
    origin.installs(state, f"beside/{LATER}")
    assert cann.tree.names() == [LATER]
    assert cann.read()[0]["versions"][LATER]["ours"] is False
    shutil.copytree(cann.root / ROOT.strip("/") / f"cann-{LATER}", cann.place / f"cann-{LATER}", symlinks=True)
    assert sorted(cann.tree.names()) == [LATER, f"beside/{LATER}"]
    assert cann.read()[0]["versions"][LATER]["ours"] is True
    shutil.rmtree(cann.place)
    origin.keep(state, cann.tree.names())
    assert origin.read(state)["toolkits"] == []


def package(cann: Beside, version: str) -> cann_install.Package:
    places: Any = {"root": cann.tree.root, "state_dir": cann.tree.state_dir}
    places |= {"tmp_dir": str(cann.root / "tmp"), "cache_dir": str(cann.root / "cache")}
    more: Any = {"python_bin": None, "timeout_s": 7, "layout": "cann", "beside": True}
    return cann_install.Package(kind="toolkit", version=version, chip=None, **places, **more)


def never(*_argv: Any, **_more: Any) -> Result:
    raise AssertionError("nothing is run")


def test_a_lost_link_is_no_damage_and_made_anew(cann: Beside) -> None:
    cann.put(LATER)
    link = cann.place / "cann"
    cann.remember_beside(LATER)
    assert cann_install.is_link_lost(package(cann, LATER)) is False
    for leads in (None, "cann-9.9.9"):
        link.unlink()
        if leads:
            link.symlink_to(leads)
        facts, findings = cann.read()
        assert facts["versions"][LATER]["toolkit"]["state"] == "complete"
        told = "cann-latest-dangling" if leads else "cann-latest-absent"
        assert told in [each["name"] for each in findings]
        assert cann_install.is_link_lost(package(cann, LATER))
        assert cann_install.lead_back(package(cann, LATER), never) == []
        assert link.readlink() == Path(f"cann-{LATER}")
        assert told not in [each["name"] for each in cann.read()[1]]


def test_what_is_remembered_of_another_place_stays(cann: Beside) -> None:
    cann.put_toolkit("8.0.RC1")
    cann.put_toolkit("8.1.RC1")
    cann.put(LATER)
    tree = cann.tree
    assert latest.keep(tree, "8.0.RC1") == "8.1.RC1"
    latest.forget_in(tree, tree.place(LATER))
    assert latest.read(tree) == {"repaired": "8.0.RC1", "latest": "8.1.RC1"}
    latest.forget_in(tree, tree.place("8.0.RC1"))
    assert latest.read(tree) is None
