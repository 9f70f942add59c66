# SPDX-License-Identifier: Apache-2.0
"""What several files build: an environment of small stand-in wheels, with the real uv."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import build as environment, lock
from tests.standin import build as standin

UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or ""


PYTHON = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def depot_file(path: Path) -> DepotFile:
    return DepotFile(path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stand-in wheels and their lock."""
    folder = tmp_path_factory.mktemp("depot")
    standin.build(folder)
    return folder


@pytest.fixture
def wanted(depot: Path, tmp_path: Path) -> environment.Wanted:
    text = (depot / "lock-8.0.RC1.txt").read_text()
    return environment.Wanted(
        path=str(tmp_path / "env" / "8.0.RC1-x"),
        release="8.0.RC1",
        python=PYTHON,
        cann_home="/usr/local/Ascend/ascend-toolkit/8.0.RC1",
        lock=text,
        lock_digest=lock.digest(text),
        wheelhouse=(depot / "incoming").as_uri(),
        uv=depot_file(Path(UV)),
        source=None,
        cache_dir=str(tmp_path / "cache"),
        timeout_s=120,
    )
