# SPDX-License-Identifier: Apache-2.0
"""The matrix of releases for people: what each contains, and whether its parts are compatible."""

from __future__ import annotations

import functools
import textwrap
from pathlib import Path
from typing import Any

from packaging.version import Version

from ...ascend.environment.distributions import DECIDING
from ...ascend.finding import Refusal
from ...ascend.versions import compare_cann
from .compatibility import problems_of
from .read import read_lock, read_release

GAP = 2


def column(folder: Path, default: str) -> dict[str, str]:
    """Return label -> text of one release, in the order of the table's rows."""
    release = read_release(str(folder))
    locks = {architecture: folder / file for architecture, file in sorted(release["locks"].items())}
    pins = [read_lock(str(lock))[0] for lock in locks.values()]
    return {
        "release": release["release"] + (" (default)" if release["release"] == default else ""),
        "CANN": release["cann"]["version"],
        "driver, at least": release["driver"]["minimum"],
        "its firmware": release["driver"]["firmware"],
        "chips": ", ".join(chip for chip, support in sorted(release["chips"].items()) if support["supported"]),
        "Python": release["python"]["series"],
        **{name: _locked(pins, name) for name in DECIDING},
        "architectures": ", ".join(locks),
        "goes together": "no: see below" if _problems(folder, release) else "yes",
    }


def lines(releases_dir: Path, default: str, width: int) -> tuple[list[str], bool]:
    """Return (the table of all releases in lines of at most ``width``, whether all of them are compatible)."""
    folders = _in_order(releases_dir)
    columns = [column(folder, default) for folder in folders]
    shown: list[str] = []
    for block in _blocks(columns, width):
        labels = list(block[0])
        widths = [max(map(len, labels)), *(max(map(len, column.values())) for column in block)]
        rows = [[label, *(column[label] for column in block)] for label in labels]
        shown += ["", *((" " * GAP).join(map(str.ljust, row, widths)).rstrip() for row in rows)]
    lines = [line for folder in folders for line in _lines(folder, width)]
    return [*shown[1:], *lines], not lines


def _in_order(releases_dir: Path) -> list[Path]:
    folders = [file.parent for file in releases_dir.glob("*/release.yml")]

    def compare(one: Path, other: Path) -> int:
        return compare_cann(*(read_release(str(folder))["cann"]["version"] for folder in (one, other)))

    return sorted(folders, key=functools.cmp_to_key(compare))


def _blocks(columns: list[dict[str, str]], width: int) -> list[list[dict[str, str]]]:
    """Return the columns in as many blocks as the width requires; no column is left out."""
    blocks: list[list[dict[str, str]]] = []
    left = 0
    for one in columns:
        needs = GAP + max(map(len, one.values()))
        if not blocks or needs > left:
            blocks.append([])
            left = width - max(map(len, one))
        blocks[-1].append(one)
        left -= needs
    return blocks


def _lines(folder: Path, width: int) -> list[str]:
    release = read_release(str(folder))
    found = []
    for refused in _problems(folder, release):
        words = f"wanted {refused['wanted']}, found {refused['found']}; next: {refused['remedy']}"
        found += ["", f"{release['release']}: {refused['problem']}"]
        found += textwrap.wrap(words, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return found


def _problems(folder: Path, release: dict[str, Any]) -> list[Refusal]:
    found = [refused for lock in sorted(release["locks"].values()) for refused in problems_of(folder, folder / lock)]
    return list({(refused["subject"], refused["problem"]): refused for refused in found}.values())


def _locked(pins: list[dict[str, str]], name: str) -> str:
    """Return the version in all locks; +cpu and the like are the architecture's, not the release's."""
    return ", ".join(dict.fromkeys(Version(locked[name]).public if name in locked else "none" for locked in pins))
