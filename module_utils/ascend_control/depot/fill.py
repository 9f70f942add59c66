# SPDX-License-Identifier: Apache-2.0
"""Filling one part of the depot: CANN's packages, CPython, uv, a lock's wheels, LLaMA-Factory's source, libtorrent."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from ...ascend import rights
from ...ascend.errors import REPORTED
from ..release.read import read_release
from . import cann, libtorrent, python, source, wheels
from .index import Index
from .progress import Progress, silent
from .trouble import of_depot
from .web import Sources


def outcome(options: dict[str, Any], check: bool, progress: Progress) -> dict[str, Any]:
    """Fill one part, and return Ansible's result: what was added, with warnings, or what went wrong, and where."""
    try:
        taken, warnings = fill(options, check, progress)
    except REPORTED as error:
        refusal = of_depot(error, options["folder"])
        return {"failed": True, "msg": str(refusal), **refusal.as_dict()}
    diff = {"before": "", "after": "".join(name + "\n" for name in taken)}
    return {"changed": bool(taken), "taken": taken, "diff": diff, "warnings": warnings}


def fill(options: dict[str, Any], check: bool, progress: Progress) -> tuple[list[str], list[str]]:
    """Fill one part, one run at a time; return (what was added, warnings)."""
    folder = Path(options["folder"])
    with _prepared(options, folder, check, progress):
        taken, warnings = fill_part(options, folder, check, progress)
        return taken + open_to_all(folder, check), warnings


def has_to_be_filled(options: dict[str, Any], check: bool) -> bool:
    """Whether the part has to be filled. One that has all its files is tidied here, which takes no time.

    Problems are not reported here, because filling it finds the same. For closed files see ``is_closed``.
    """
    folder = Path(options["folder"])
    try:
        for only_look in (True,) if check else (True, False):
            with _prepared(options, folder, only_look, silent()):
                if any(fill_part(options, folder, only_look, silent())):
                    return True
        return False
    except REPORTED:
        return True


def is_closed(folder: Path) -> bool:
    """Whether others cannot read parts of the depot; filling it opens them. This looks at every file.

    A depot that cannot be searched has to be filled, too, which reports the reason.
    """
    try:
        return next(rights.closed_below(str(folder)), None) is not None
    except REPORTED:
        return True


@contextmanager
def _prepared(options: dict[str, Any], folder: Path, check: bool, progress: Progress) -> Iterator[None]:
    if options["served"]:
        rights.require_way(str(folder), "the web server, which runs as another user,")
    with nullcontext() if check else alone(folder, progress):
        yield


def open_to_all(folder: Path, check: bool) -> list[str]:
    """Let others, such as a web server, read what an earlier run or a copy left closed; return what was opened."""
    found = list(rights.closed_below(str(folder)))
    if not check:
        rights.open_to_all(found)
    return [f"rights for others: {rights.listed(found)}"] if found else []


@contextmanager
def alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Make other runs wait until this one has written the table of contents."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"another run is filling {folder}: waiting for it to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fill_part(options: dict[str, Any], folder: Path, check: bool, progress: Progress) -> tuple[list[str], list[str]]:
    """Fill the part; return (what was added, warnings)."""
    index = Index(folder, options["deep"])
    release = read_release(options["release"])
    architecture, series = options["architecture"], release["python"]["series"]
    incoming = Path(options["incoming"]) if options["incoming"] else None
    sources = Sources(incoming, options["extra_index"] or "", options["addresses"])
    warnings: list[str] = []
    if options["part"] == "cann":
        sums = options["cann_sha256"]
        taken, warnings = cann.fill(index, release, architecture, sums, sources, progress, check)
    elif options["part"] == "python":
        own, make = options["python"] or "", options["make_python"]
        asked = python.Asked(release["python"], architecture, own, make)
        taken, warnings = python.fill(index, asked, sources, progress, check)
    elif options["part"] == "source":
        taken = source.fill(index, options["source"], release["requirements"], check)
    elif options["part"] == "swarm":
        requirements = Path(options["swarm_requirements"])
        taken = libtorrent.fill(index, architecture, requirements, sources, progress, check)
    elif options["part"] == "uv":
        requirements = Path(options["requirements"])
        taken = wheels.fill_uv(index, architecture, requirements, series, sources, progress, check)
    else:
        lock = Path(options["release"]) / (options["lock"] or release["locks"][architecture])
        name = release["release"]
        taken = wheels.fill(index, name, architecture, lock, series, sources, progress, check)
    if not check:
        index.save()
    return taken, warnings
