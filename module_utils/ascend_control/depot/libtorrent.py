# SPDX-License-Identifier: Apache-2.0
"""libtorrent in the depot: the wheels with which nodes, whatever their Python, and the control node join a swarm."""

from __future__ import annotations

import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...ascend import files
from ...ascend.environment import lock as locks
from . import fetch as depot_fetch
from .index import Index, place
from .progress import Progress
from .web import Sources

SERIES = ("3.9", "3.10", "3.11", "3.12", "3.13")  # of Python; libtorrent has wheels of no others


def fill(
    index: Index, architecture: str, requirements: Path, sources: Sources, progress: Progress, check: bool
) -> list[str]:
    """Add an architecture's wheels to the depot, checked with ``requirements``, and return what was added.

    Those of the control node's architecture are added, too, because it takes part. Raises AscendError.
    """
    text = requirements.read_text(encoding="utf-8")
    version = locks.parse(text)["libtorrent"]
    folder = index.folder / "swarm"
    entries: dict[str, str] = index["swarm"]
    wanted = [(series, machine) for machine in sorted({architecture, platform.machine()}) for series in SERIES]
    missing = [each for each in wanted if not _known(index, entries.get(tag(*each), ""), version)]
    for series, machine in [] if check else missing:
        pattern = f"libtorrent-{version}-cp{series.replace('.', '')}-*_{machine}.whl"
        if not _own(sources.incoming, pattern, text, folder):
            what = f"libtorrent for Python {series}, {machine}"
            # Of several wheels of one version it would take any.
            others = replace(sources, incoming=None)
            depot_fetch.fetch(locks.entries(text), folder, machine, series, others, progress, what)
        (wheel,) = folder.glob(pattern)
        entries[tag(series, machine)] = str(wheel.relative_to(index.folder))
        index.enter(entries[tag(series, machine)])
    return [f"libtorrent {version} for {tag(*each)}" for each in missing]


def _own(incoming: Path | None, pattern: str, lock: str, folder: Path) -> bool:
    """Place the operator's own wheel of the same name and version, and return whether there is one."""
    for path in sorted(incoming.glob(pattern)) if incoming else ():
        if f"sha256:{files.sha256(path)}" in lock:
            place(path, folder / path.name)
            return True
    return False


def tag(series: str, machine: str) -> str:
    """Return the Python and machine that a wheel is for, in a node's form (swarm/member.py)."""
    return f"cp{series.replace('.', '')}-{machine}"


def own_tag() -> str:
    """Return the Python and machine that the control node's wheel must be for."""
    return tag(f"{sys.version_info[0]}.{sys.version_info[1]}", platform.machine())


def _known(index: Index, file: str, version: str) -> bool:
    return Path(file).name.startswith(f"libtorrent-{version}-") and index.known(file)


def wheel_of(index: dict[str, Any], tag: str) -> str:
    """Return the wheel's path in the depot; "" if libtorrent has none for that Python, or the depot lacks it."""
    return str(index["swarm"].get(tag, ""))
