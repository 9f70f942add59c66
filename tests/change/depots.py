# SPDX-License-Identifier: Apache-2.0
"""Damaged depots beside the whole one, which the same web server serves: what a node must not take, or not fall for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import build
import older
import stubs
from parts import KERNEL

from tests.change.fleet import NEW, Fleet

TOOLKIT = f"cann/{NEW}/Ascend-cann-toolkit_{NEW}_linux-x86_64.run"
KERNELS = f"cann/{NEW}/Ascend-cann-kernels-910b_{NEW}_linux-x86_64.run"


def damaged(fleet: Fleet, kind: str) -> dict[str, Any]:
    """Make the depot ``kind`` names and return the variables of a node that takes from it."""
    whole = fleet.cache / "depot"
    folder = whole / "damaged" / kind
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in ("cann", "locks", "python", "uv", "wheels"):
        shutil.copytree(whole / part, folder / part, copy_function=os.link)
    shutil.copy(whole / "index.json", folder / "index.json")
    KINDS[kind](folder)
    return {"ascend_depot_dir": str(folder), "ascend_depot_url": f"http://depot/damaged/{kind}"}


def _replace(folder: Path, relative: str, content: bytes, told: bool) -> None:
    """Put another content in place of a file; ``told``: the index has its sum."""
    path = folder / relative
    path.unlink()
    path.write_bytes(content)
    if told:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        index["files"][relative].update(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _flipped(content: bytes) -> bytes:
    middle = len(content) * 3 // 4
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def _sha256(folder: Path) -> None:
    _replace(folder, TOOLKIT, _flipped((folder / TOOLKIT).read_bytes()), told=False)


def _damaged(folder: Path) -> None:
    _replace(folder, TOOLKIT, _flipped((folder / TOOLKIT).read_bytes()), told=True)


def _truncated(folder: Path) -> None:
    content = (folder / TOOLKIT).read_bytes()
    _replace(folder, TOOLKIT, content[: len(content) * 3 // 4], told=True)


def _packed(payload: Path) -> bytes:
    package = payload.with_name("package.run")
    build.pack(payload, package)
    return package.read_bytes()


def _architecture(folder: Path) -> None:
    """An aarch64 package under the name of an x86_64 one; its libraries are never looked at."""
    with tempfile.TemporaryDirectory() as place, mock.patch.object(stubs, "tool", lambda name, _arch: name):
        payload = Path(place) / "payload"
        payload.mkdir()
        older.toolkit(payload, NEW, "aarch64", [])
        _replace(folder, TOOLKIT, _packed(payload), told=True)


def _chip(folder: Path) -> None:
    """Kernels of the 310P under the name of the 910B's."""
    with tempfile.TemporaryDirectory() as place:
        payload = Path(place) / "payload"
        payload.mkdir()
        older.second(payload, NEW, "x86_64", [])
        facts = (payload / "package.env").read_text(encoding="utf-8").replace("chip=910b", "chip=310p")
        (payload / "package.env").write_text(facts, encoding="utf-8")
        kernel = payload / "components" / "opp_kernel" / KERNEL
        for part in (kernel, kernel / "config"):
            (part / "ascend910b").rename(part / "ascend310p")
        _replace(folder, KERNELS, _packed(payload), told=True)


def _pip3(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    relative = next(file for file in index["files"] if file.startswith("python/cpython-3.11"))
    with tempfile.TemporaryDirectory() as place:
        with tarfile.open(folder / relative) as archive:
            archive.extractall(place)
        for program in (Path(place) / "python" / "bin").glob("pip*"):
            program.unlink()
        packed = Path(place) / "python.tar.gz"
        with tarfile.open(packed, "w:gz", compresslevel=1) as archive:
            archive.add(Path(place) / "python", arcname="python")
        _replace(folder, relative, packed.read_bytes(), told=True)


KINDS: dict[str, Callable[[Path], None]] = {
    "sha256": _sha256,
    "damaged": _damaged,
    "truncated": _truncated,
    "architecture": _architecture,
    "chip": _chip,
    "pip3": _pip3,
}
