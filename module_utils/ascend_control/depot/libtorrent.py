# SPDX-License-Identifier: Apache-2.0
"""libtorrent in the depot: the wheels with which nodes, whatever their Python, and the control node join a swarm."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

from ...ascend.environment import lock as locks
from . import fetch as depot_fetch
from .index import Index
from .progress import Progress
from .web import Sources

SERIES = ("3.9", "3.10", "3.11", "3.12", "3.13")  # of Python; libtorrent has wheels of no others


def fill(
    index: Index, architecture: str, requirements: Path, sources: Sources, progress: Progress, check: bool
) -> list[str]:
    """Bring the wheels of an architecture into the depot, checked by ``requirements``, and return what was taken.

    The control node takes part as well: its wheel comes with them. Raises AscendError.
    """
    text = requirements.read_text(encoding="utf-8")
    version = locks.parse(text)["libtorrent"]
    folder = index.folder / "swarm"
    wanted = {(f"cp{series.replace('.', '')}-{architecture}", series) for series in SERIES}
    if own_tag() not in dict(wanted):
        wanted |= {(own_tag(), f"{sys.version_info[0]}.{sys.version_info[1]}")} if _has_wheel() else set()
    entries: dict[str, str] = index["swarm"]
    missing = [(tag, series) for tag, series in sorted(wanted) if not _known(index, entries.get(tag, ""), version)]
    if not check:
        for tag, series in missing:
            machine = tag.partition("-")[2]
            what = f"libtorrent for Python {series}, {machine}"
            depot_fetch.fetch(locks.entries(text), folder, machine, series, sources, progress, what)
            (wheel,) = folder.glob(f"libtorrent-{version}-{tag.partition('-')[0]}-*_{machine}.whl")
            entries[tag] = str(wheel.relative_to(index.folder))
            index.enter(entries[tag])
    return [f"libtorrent {version} for {tag}" for tag, _ in missing]


def own_tag() -> str:
    """Return for which Python and machine the control node's wheel has to be, as a node says it (swarm/member.py)."""
    return f"cp{sys.version_info[0]}{sys.version_info[1]}-{platform.machine()}"


def _has_wheel() -> bool:
    return f"{sys.version_info[0]}.{sys.version_info[1]}" in SERIES


def _known(index: Index, file: str, version: str) -> bool:
    return Path(file).name.startswith(f"libtorrent-{version}-") and index.known(file)


def wheel_of(index: dict[str, Any], tag: str) -> str:
    """Return the wheel's path in the depot; "" where libtorrent has none for that Python, or the depot lacks it."""
    return str(index["swarm"].get(tag, ""))
