# SPDX-License-Identifier: Apache-2.0
"""The package index's addresses of a lock's files, and their download, apart from the depot's own wheels."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from ...ascend.errors import AscendError
from ...ascend.masking import masked
from . import fetch
from .indexes import environment, indexes
from .progress import silent
from .web import Sources


class Address(NamedTuple):
    """A file as its server offers it; ``size_bytes`` is None if unknown."""

    name: str
    url: str
    sha256: str
    size_bytes: int | None


def of_lock(entries: list[str], architecture: str, series: str, extra_index: str) -> list[Address]:
    """Return a file for each lock entry: its best wheel, or the source archive if it has none. Raises AscendError."""
    extra_index = extra_index if any("+cpu" in entry for entry in entries) else ""
    packages = fetch._resolve(entries, architecture, series, extra_index, indexes())
    return [_address(fetch._best(package, architecture, series)) for package in packages]


def _address(file: dict[str, Any]) -> Address:
    url = str(file.get("url") or Path(file["path"]).resolve().as_uri())
    return Address(fetch._name(file), url, file["hashes"]["sha256"], file.get("size"))


def fetched(entries: list[str], folder: Path, architecture: str, series: str, incoming: Path | None) -> None:
    """Download one file for each lock entry into ``folder``, each checked by its sum. Raises AscendError."""
    fetch.fetch(
        entries, folder, architecture, series, Sources(incoming=incoming), silent(), "wheels of the control node"
    )


def pinned(requirements: list[str], architecture: str, series: str) -> str:
    """Return the hashed lock for these arguments of ``uv pip compile``. Raises AscendError."""
    uv = fetch.find_uv()
    if not uv:
        raise AscendError("uv is missing on the control node", remedy="make venv  # uv is in pyproject.toml")
    argv = [uv, "pip", "compile", *requirements, "--generate-hashes", "--no-header", "--no-annotate", "--no-progress"]
    argv += ["--quiet", "--python-version", series]
    argv += ["--python-platform", f"{architecture}-manylinux_2_{fetch.NEWEST_GLIBC}"]
    variables = environment(indexes())
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=variables)
    if done.returncode:
        raise AscendError(
            "uv cannot resolve the distributions",
            wanted=f"{' '.join(requirements)}, for CPython {series} on {architecture}",
            found=masked(done.stderr).strip()[-600:],
            remedy=fetch.REMEDY,
        )
    return done.stdout
