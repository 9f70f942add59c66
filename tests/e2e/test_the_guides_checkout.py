# SPDX-License-Identifier: Apache-2.0
"""LLaMA-Factory from a git repository, the guide's own way, with the real source and the real wheels."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Fleet

# tests/change has the same with stand-in wheels.
pytestmark = [pytest.mark.e2e, pytest.mark.whole]


def source(cache_dir: Path, version: str) -> Path:
    """The source that the project published, fetched once."""
    folder = cache_dir / "llamafactory"
    path = folder / f"llamafactory-{version}.tar.gz"
    if not path.is_file():
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*argv, "--dest", str(folder), f"llamafactory=={version}"], check=True)
    return path


def repository(folder: Path, archive: Path, tag: str) -> str:
    """A git repository that holds it below a tag; return its URL."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    git = ["git", "-C", str(top), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "--quiet"], ["add", "--all", "--force"], ["commit", "--quiet", "-m", "x"], ["tag", tag]):
        subprocess.run([*git, *words], check=True)
    return f"file://{top}"


def named(**chosen: str) -> tuple[str, str]:
    return ("-e", json.dumps({"llamafactory_source": chosen}))


def test_it_is_installed_editable_and_trains(fleet: Fleet, node: Any, cache_dir: Path, tmp_path: Path) -> None:
    chosen = named(url=repository(tmp_path / "git", source(cache_dir, "0.9.1"), "v0.9.1"), version="v0.9.1")
    run = fleet.site(*chosen)
    assert run.code == 0, run.output[-6000:]
    asked = node.run("ascend-env python -c 'import llamafactory.train.tuner as tuner; print(tuner.__file__)'")
    assert asked.stdout.endswith("/src/LLaMA-Factory/src/llamafactory/train/tuner.py\n"), asked.stderr[-2000:]
    assert node.run("ascend-env llamafactory-cli version").stdout.count("version 0.9.1") == 1
    run = fleet.site(*chosen)
    assert (run.code, run.changed) == (0, 0), run.output[-4000:]


def test_one_that_wants_older_libraries_is_refused(fleet: Fleet, node: Any, cache_dir: Path) -> None:
    before = node.run("readlink /opt/ascend/env/current").stdout
    run = fleet.site(*named(archive=str(source(cache_dir, "0.9.0"))))
    assert run.code == 2, run.output[-4000:]
    assert "transformers <= 4.45.0" in " ".join(run.output.split())
    assert node.run("readlink /opt/ascend/env/current").stdout == before
