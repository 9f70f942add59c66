# SPDX-License-Identifier: Apache-2.0
"""A CPython from the depot: tried before it counts, put in place at once, repaired by the same steps."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path

import pytest
from ansible.module_utils.ascend.command import run
from ansible.module_utils.ascend.depot_file import DepotFile
from ansible.module_utils.ascend.errors import AscendError
from ansible.module_utils.ascend.python import runtime

VERSION = "3.10.13"


def archive(folder: Path, says: str = VERSION, pip: bool = True) -> DepotFile:
    """An archive whose interpreter prints a version: what is tested is the way into its place."""
    program = folder / "tree" / "python" / "bin" / "python3.10"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho {says}\n")
    program.chmod(0o755)
    if pip:
        shutil.copy(program, program.with_name("pip3"))
    path = folder / "python.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder / "tree" / "python", "python")
    return DepotFile(path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


def install(folder: Path, file: DepotFile) -> Path:
    runtime.install(str(folder / "pythons"), VERSION, file, str(folder / "cache"), run)
    return folder / "pythons" / VERSION


def observe(folder: Path) -> str:
    return runtime.observe(str(folder / "pythons"), VERSION)


def test_installed_and_nothing_beside_it(tmp_path: Path) -> None:
    assert observe(tmp_path) == "absent"
    place = install(tmp_path, archive(tmp_path))
    assert observe(tmp_path) == "complete"
    assert [path.name for path in place.parent.iterdir()] == [VERSION]


def test_one_that_does_not_run_here_never_counts(tmp_path: Path) -> None:
    with pytest.raises(AscendError, match=r"does not run on this node.*found: 3\.11\.2"):
        install(tmp_path, archive(tmp_path, "3.11.2"))
    assert observe(tmp_path) == "absent"


def test_one_without_pip3_never_counts(tmp_path: Path) -> None:
    """CANN's installer would find that out half way."""
    with pytest.raises(AscendError, match="has no pip3"):
        install(tmp_path, archive(tmp_path, pip=False))
    assert observe(tmp_path) == "absent"


def test_one_that_lost_its_pip3_is_repaired(tmp_path: Path) -> None:
    file = archive(tmp_path)
    (install(tmp_path, file) / "bin" / "pip3").unlink()
    assert observe(tmp_path) == "half-installed"
    install(tmp_path, file)
    assert observe(tmp_path) == "complete"


def test_damage_is_repaired(tmp_path: Path) -> None:
    file = archive(tmp_path)
    program = install(tmp_path, file) / "bin" / "python3.10"
    program.unlink()
    assert observe(tmp_path) == "half-installed"
    install(tmp_path, file)
    assert observe(tmp_path) == "complete"


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    for name in (".partial-", ".replaced-"):
        (tmp_path / "pythons" / (name + VERSION) / "python").mkdir(parents=True)
    assert observe(tmp_path) == "absent"
    place = install(tmp_path, archive(tmp_path))
    assert [path.name for path in place.parent.iterdir()] == [VERSION]


def test_an_archive_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "python.tar.gz"
    path.write_bytes(b"not an archive")
    file = DepotFile(path.as_uri(), hashlib.sha256(b"not an archive").hexdigest(), 14)
    with pytest.raises(AscendError, match="cannot be unpacked"):
        install(tmp_path, file)
    assert observe(tmp_path) == "absent"
