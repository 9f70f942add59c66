# SPDX-License-Identifier: Apache-2.0
"""A CPython from the depot: tried before it counts, put in place at once, repaired by the same steps."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.python import install as runtime, read as pythons

VERSION = "3.10.13"
SAYS = f"#!/bin/sh\necho {VERSION}\n"


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
    with pytest.raises(AscendError, match="cannot unpack"):
        install(tmp_path, file)
    assert observe(tmp_path) == "absent"


def test_a_file_that_is_lost_or_emptied_is_seen_and_repaired(tmp_path: Path) -> None:
    file = archive(tmp_path)
    program = install(tmp_path, file) / "bin" / "pip3"
    program.write_text("")
    found = pythons.read(str(tmp_path / "pythons"))[VERSION]
    assert (found["state"], found["problem"]) == ("half-installed", f"bin/pip3 has 0 bytes, not {len(SAYS)}")
    install(tmp_path, file)
    assert observe(tmp_path) == "complete"


def test_a_content_with_size_and_time_kept_is_seen_by_the_deep_form(tmp_path: Path) -> None:
    place = install(tmp_path, archive(tmp_path))
    program = place / "bin" / "pip3"
    before = program.stat()
    program.write_text(SAYS.replace("echo", "exit"))
    os.utime(program, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert observe(tmp_path) == "complete"
    assert runtime.observe(str(tmp_path / "pythons"), VERSION, deep=True) == "half-installed"


def test_what_its_users_add_is_no_damage(tmp_path: Path) -> None:
    place = install(tmp_path, archive(tmp_path))
    (place / "bin" / "other").write_text("")
    assert runtime.observe(str(tmp_path / "pythons"), VERSION, deep=True) == "complete"


def test_nothing_counts_before_it_is_on_the_disk(tmp_path: Path) -> None:
    """After a power cut names are there, and contents are not: the record would say that they are."""

    def without_sync(argv: list[str], *arguments: Any, **more: Any) -> Result:
        if argv[0] != "sync":
            return run(argv, *arguments, **more)
        assert (Path(argv[-1]) / "bin" / "pip3").exists()
        assert not (Path(argv[-1]) / pythons.RECEIPT).exists()
        return Result(1, "sync: error syncing: Input/output error", False)

    file = archive(tmp_path)
    with pytest.raises(AscendError, match="sync failed"):
        runtime.install(str(tmp_path / "pythons"), VERSION, file, str(tmp_path / "cache"), without_sync)
    assert observe(tmp_path) == "absent"
