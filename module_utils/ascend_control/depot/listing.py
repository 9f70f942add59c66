# SPDX-License-Identifier: Apache-2.0
"""Every file that a depot needs, with its address, for a person who carries them. Nothing is downloaded.

A folder with the files under these names is what ``depot_incoming`` takes.
"""

from __future__ import annotations

import re
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ...ascend.environment import lock as locks
from ...ascend.errors import AscendError
from ..release.read import read_release
from . import addresses, libtorrent

ANSWER_S = 10
# Huawei's store gives some files to its own pages alone.
REFERER = {"Referer": "https://www.hiascend.com/"}
# What pip builds the wheel of a source archive with; no lock has them.
BUILDERS = ("setuptools", "wheel")
# Where a person looks for the CPython of a release that pins none.
STANDALONE = "https://github.com/astral-sh/python-build-standalone/releases"


class Listed(NamedTuple):
    """One file; ``size_bytes`` and ``sha256`` are None if neither the release nor the server says them."""

    release: str
    architecture: str
    part: str
    name: str
    url: str
    size_bytes: int | None
    sha256: str | None


def listing(
    folder: Path, architectures: Iterable[str], requirements: Path, extra_index: str, swarm: Path | None = None
) -> list[Listed]:
    """Return the files of one release, each once, for these architectures.

    ``folder`` is the release's, ``requirements`` pins uv, ``extra_index`` has torch's +cpu builds, and ``swarm`` pins
    libtorrent if it is wanted. The package index is asked for addresses. Raises AscendError.
    """
    release = read_release(str(folder))
    found: dict[tuple[str, str | None], Listed] = {}
    for architecture in architectures:
        if architecture not in release["locks"]:
            raise AscendError(
                f"release {release['release']} has no lock for {architecture}",
                wanted=", ".join(sorted(release["locks"])),
                found=architecture,
                where=str(folder),
                remedy="make depot-list ARCHITECTURES=...",
            )
        lock = folder / release["locks"][architecture]
        for each in _of(release, architecture, lock, requirements, extra_index):
            found.setdefault((each.name, each.sha256), each)
        for each in _of_swarm(release["release"], architecture, swarm) if swarm else ():
            found.setdefault((each.name, each.sha256), each)
    return _with_sizes(list(found.values()))


def _of(
    release: dict[str, Any], architecture: str, lock: Path, requirements: Path, extra_index: str
) -> Iterator[Listed]:
    series = str(release["python"]["series"])

    def listed(part: str, name: str, url: str, size_bytes: int | None, sha256: str | None) -> Listed:
        return Listed(release["release"], architecture, part, name, url, size_bytes, sha256)

    for package in _packages(release, architecture):
        yield listed("cann", _last(package["url"]), package["url"], None, package["zip_sha256"])
    archive = release["python"].get("archives", {}).get(architecture)
    if archive:
        yield listed("python", _last(archive["url"]), archive["url"], None, archive["sha256"])
    else:
        name = f"cpython-{release['python'].get('depot', series)}-{architecture}-unknown-linux-gnu-install_only.tar.gz"
        yield listed("python", name, STANDALONE, None, None)
    for part, text in (("uv", requirements.read_text("utf-8")), ("wheels", lock.read_text("utf-8"))):
        files = addresses.of_lock(locks.entries(text), architecture, series, extra_index)
        for file in files:
            yield listed(part, file.name, file.url, file.size_bytes, file.sha256)
        if any(not file.name.endswith(".whl") for file in files):
            yield from (listed("build", *_fields(file)) for file in _builders(architecture, series))


def _of_swarm(release: str, architecture: str, requirements: Path) -> Iterator[Listed]:
    """libtorrent, for nodes of this architecture; it suits every release, so the first one lists it."""
    for series in libtorrent.SERIES:
        for file in addresses.of_lock(locks.entries(requirements.read_text("utf-8")), architecture, series, ""):
            yield Listed(release, architecture, "swarm", *_fields(file))


def _builders(architecture: str, series: str) -> list[addresses.Address]:
    """The newest wheels of the build tools; they only run here, so their sum is what the index says today."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "builders.in"
        asked.write_text("\n".join(BUILDERS) + "\n", encoding="utf-8")
        text = addresses.pinned([str(asked)], architecture, series)
    return addresses.of_lock(locks.entries(text), architecture, series, "")


def _fields(file: addresses.Address) -> tuple[str, str, int | None, str]:
    return file.name, file.url, file.size_bytes, file.sha256


def _packages(release: dict[str, Any], architecture: str) -> Iterator[dict[str, str]]:
    packages = release["packages"]
    for of_architecture in (packages["toolkit"], *packages["kernels"].values()):
        if architecture in of_architecture:
            yield of_architecture[architecture]


def _last(url: str) -> str:
    return unquote(Path(urlsplit(url).path).name)


def _with_sizes(found: list[Listed]) -> list[Listed]:
    """Ask the servers for unknown sizes; one that does not answer soon is skipped."""

    def size(each: Listed) -> int | None:
        # Without a sum the address is that of a page.
        return each.size_bytes if each.size_bytes is not None or each.sha256 is None else _size(each.url)

    with ThreadPoolExecutor(8) as pool:
        sizes = pool.map(size, found)
        return [each._replace(size_bytes=size) for each, size in zip(found, sizes, strict=True)]


def _size(url: str) -> int | None:
    try:
        request = urllib.request.Request(url, method="HEAD", headers=REFERER)
        with urllib.request.build_opener().open(request, timeout=ANSWER_S) as answer:
            length = answer.headers.get("Content-Length", "")
            return int(length) if re.fullmatch(r"\d+", length) else None
    except OSError:
        return None


def text(found: list[Listed]) -> Iterator[str]:
    """Yield the list as lines: a head with the totals of each release and architecture, then size, sha256, address."""
    for release, architecture in dict.fromkeys((each.release, each.architecture) for each in found):
        own = [each for each in found if (each.release, each.architecture) == (release, architecture)]
        known = sum(each.size_bytes or 0 for each in own)
        unknown = sum(each.size_bytes is None for each in own)
        more = f" and {unknown} of unknown size" if unknown else ""
        yield f"# {release} for {architecture}: {len(own)} files, {known / 1e9:.2f} GB{more}"
        for each in own:
            size = "?" if each.size_bytes is None else str(each.size_bytes)
            yield f"{size:>11}  {each.sha256 or '?' * 64}  {each.url}"
