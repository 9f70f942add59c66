# SPDX-License-Identifier: Apache-2.0
"""The depot's web server runs as another user: it can get to every folder and file, whatever root's umask is."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import (
    fill as filling,
    python as depot_python,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from tests.standin import build as standin

RELEASES = Path(__file__).resolve().parents[3] / "releases"


@pytest.fixture
def strict() -> Iterator[None]:
    """A hardened control node's session, in which a module of ours begins."""
    before = os.umask(0o077)
    rights.begin()
    yield
    os.umask(before)


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    standin.build(tmp_path / "own")
    return tmp_path / "own" / "incoming"


def wheels(folder: Path, incoming: Path, served: bool = False, check: bool = False) -> list[str]:
    options: dict[str, Any] = {
        "part": "wheels",
        "folder": str(folder),
        "served": served,
        "release": str(RELEASES / "8.0.RC1"),
        "architecture": "x86_64",
        "lock": str(incoming.parent / "lock-8.0.RC1.txt"),
        "incoming": str(incoming),
        "extra_index": "",
        "addresses": {},
        "deep": False,
    }
    return filling.fill(options, check, silent())[0]


def closed(folder: Path) -> list[str]:
    found = []
    for path in (folder, *folder.rglob("*")):
        wanted = 0o055 if path.is_dir() else 0o044
        if not path.is_symlink() and path.stat().st_mode & wanted != wanted:
            found.append(f"{path}: {stat.filemode(path.stat().st_mode)}")
    return found


@pytest.mark.usefixtures("strict")
def test_everything_can_be_served(tmp_path: Path, incoming: Path) -> None:
    folder = tmp_path / "srv" / "ascend-depot"
    taken = wheels(folder, incoming)
    assert taken
    assert not [line for line in taken if "rights" in line]
    assert (folder / "index.json").is_file()
    assert list((folder / "wheels").rglob("*.whl"))
    assert closed(folder.parent) == []


@pytest.mark.usefixtures("strict")
def test_a_depot_that_was_filled_or_copied_under_a_strict_umask_is_opened(tmp_path: Path, incoming: Path) -> None:
    folder = tmp_path / "ascend-depot"
    wheels(folder, incoming)
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o700 if path.is_dir() else 0o600)
    (told,) = wheels(folder, incoming, check=True)
    assert told.startswith(f"rights for others: {folder} (0700)")
    assert len(closed(folder)) > 3
    assert len(wheels(folder, incoming)) == 1
    assert closed(folder) == wheels(folder, incoming) == []


def test_a_folder_above_that_shuts_others_out_is_refused_and_left(tmp_path: Path, incoming: Path) -> None:
    above = tmp_path / "srv"
    above.mkdir()
    tmp_path.chmod(0o755)
    above.chmod(0o700)
    shut = [each.path for each in rights.shut(str(tmp_path))]
    if not shut:  # a temporary folder for everybody
        with pytest.raises(AscendError, match=f"chmod o\\+rx {above}"):
            wheels(above / "ascend-depot", incoming, served=True)
    wheels(above / "ascend-depot", incoming)
    with pytest.raises(AscendError, match=r"(?s)as another user, cannot reach .*found: /.* has mode 07[05]0"):
        wheels(above / "ascend-depot", incoming, served=True)
    assert above.stat().st_mode & 0o777 == 0o700


def test_a_python_of_one_user_is_packed_for_all(tmp_path: Path) -> None:
    home = tmp_path / "python"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python3").write_text("#!/bin/sh\n")
    (home / "bin" / "python3").chmod(0o700)
    for folder in (home, home / "bin"):
        folder.chmod(0o700)
    with tarfile.open(tmp_path / "python.tar", "w") as archive:
        archive.add(home, arcname="python", filter=depot_python._for_all)
    with tarfile.open(tmp_path / "python.tar") as archive:
        assert {member.mode for member in archive.getmembers()} == {0o755}
