# SPDX-License-Identifier: Apache-2.0
"""Check a release and its lock for compatible versions: ``releases/compatibility.yml`` and ``release.yml`` itself.

Everything is known on the control node, so a release that cannot work is refused before anything is downloaded and
before any node is touched. What the matrix does not know is refused, too, so whoever adds a release adds its rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from ...ascend.errors import AscendError
from ...ascend.finding import Refusal, refusal
from ...ascend.versions import compare_cann, compare_driver
from .read import MATRIX, folder_of, layout_of, lock_of, read_lock, read_matrix, read_release, release_of

Refusals = list[Refusal]
Pins = dict[str, str]
Compare = Callable[[str, str], int]

ALWAYS_LOCKED = ("llamafactory", "torch", "torch-npu")  # what the matrix misses already when a lock has none
ADD = "add its row to releases/compatibility.yml, or your releases' own (releases/README.md), once you have tried it"
LOCK = "make a new lock with versions that go together (releases/README.md)"
SERIES = "set python.series in release.yml; " + LOCK


def problems(release: dict[str, Any], pins: Pins, matrix: dict[str, Any]) -> Refusals:
    """Return a refusal for every incompatible pair, and for every pair that the matrix does not know.

    ``release`` is what release.yml says, ``pins`` distribution -> version of a lock; +cpu and the like do not count.
    """
    public = {name: _public(version) for name, version in pins.items()}
    cann = release["cann"]["version"]
    row = matrix["cann"].get(cann)
    return [
        *([_unknown("CANN", cann)] if row is None else _cann(release, cann, row, public)),
        *_torch_npu(release, public, matrix),
        *_llamafactory(release, public, matrix),
        *_own(release, public),
    ]


def problems_of(folder: Path, lock: Path) -> Refusals:
    """Return the refusals of the release in ``folder`` with a lock; read again only when one of the files changes."""
    files = (folder / "release.yml", lock, folder.parent / MATRIX)
    return _problems_of(folder, lock, tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files))


def release_problems(settings: Mapping[str, Any], architectures: list[str]) -> Refusals:
    """Return a refusal for each pair of the release that the planner's settings name, and of its locks for these
    architectures, that is incompatible.
    """
    folder, locks = folder_of(settings), release_of(settings)["locks"]
    files = dict.fromkeys(lock_of(settings["locks"], locks, architecture) for architecture in architectures)
    found = [refused for file in files if file for refused in problems_of(folder, folder / file)]
    return list({(refused["subject"], refused["problem"]): refused for refused in reversed(found)}.values())[::-1]


@functools.lru_cache(maxsize=64)
def _problems_of(folder: Path, lock: Path, _changed_ns: tuple[int, ...]) -> Refusals:
    found = problems(read_release(str(folder)), read_lock(str(lock))[0], read_matrix(str(folder.parent)))
    return [{**refused, "where": str(lock)} for refused in found]


def _cann(release: dict[str, Any], cann: str, row: dict[str, Any], public: Pins) -> Refusals:
    found = []
    for part, minimum in (("driver", release["driver"]["minimum"]), ("firmware", release["driver"]["firmware"])):
        if not _reaches(minimum, row[part]):
            what = f"CANN {cann} needs a newer {part} than the release asks for"
            remedy = f'set driver in release.yml to {{firmware: "{row["firmware"]}", minimum: "{row["driver"]}"}}'
            found.append(_refusal(part, what, f"{row[part]} or newer", minimum, remedy))
    layout = layout_of(release)
    if row.get("layout", layout) != layout:
        what = f"CANN {cann} has a different layout on nodes than the release says"
        remedy = f"set cann.layout in release.yml to {row['layout']}"
        found.append(_refusal("layout", what, f"layout {row['layout']}", layout, remedy))
    torch_npu = public.get("torch-npu", "")
    if torch_npu and torch_npu not in row["torch-npu"]:
        what = f"torch-npu {torch_npu} was not made for CANN {cann}"
        found.append(_refusal("cann", what, _one_of(row["torch-npu"]), torch_npu, f"{LOCK}, or choose another release"))
    for chip, packages in sorted(release["packages"]["kernels"].items()):
        for architecture, package in sorted(packages.items()):
            parts = {"{chip}": chip, "{version}": cann, "{architecture}": architecture}
            name = functools.reduce(lambda text, part: text.replace(*part), parts.items(), row["kernels"])
            if package["file"] != name:
                what = f"the kernels of CANN {cann} have a different name"
                remedy = "set the file and its url in packages.kernels of release.yml"
                found.append(_refusal(f"kernels {chip} {architecture}", what, name, package["file"], remedy))
    return found


def _torch_npu(release: dict[str, Any], public: Pins, matrix: dict[str, Any]) -> Refusals:
    version, torch, series = public.get("torch-npu", ""), public.get("torch", ""), release["python"]["series"]
    if not version:
        return [_missing("torch-npu")]
    row = matrix["torch-npu"].get(version)
    if row is None:
        return [_unknown("torch-npu", version)]
    found = []
    if torch != row["torch"]:
        found.append(_refusal("torch", f"torch-npu {version} needs its own torch", row["torch"], torch or "none", LOCK))
    if series not in row["python"]:
        what = f"torch-npu {version} has no wheel for Python {series}"
        found.append(_refusal("python", what, _one_of(row["python"]), series, SERIES))
    return found


def _llamafactory(release: dict[str, Any], public: Pins, matrix: dict[str, Any]) -> Refusals:
    version, series = public.get("llamafactory", ""), release["python"]["series"]
    if not version:
        return [_missing("llamafactory")]
    row = matrix["llamafactory"].get(version)
    if row is None:
        return [_unknown("llamafactory", version)]
    found = []
    name = f"llamafactory {version}"
    torch_npu, deepspeed = public.get("torch-npu", ""), public.get("deepspeed", "")
    if torch_npu and torch_npu not in row["torch-npu"]:
        what = f"{name} does not go with torch-npu {torch_npu}"
        found.append(_refusal("llamafactory", what, _one_of(row["torch-npu"]), torch_npu, f"{LOCK}; tried: {ADD}"))
    if deepspeed and not _between(deepspeed, row["deepspeed"]["minimum"], row["deepspeed"]["maximum"], _compare):
        limits = _range(row["deepspeed"]["minimum"], row["deepspeed"]["maximum"])
        found.append(_refusal("deepspeed", f"{name} does not go with deepspeed {deepspeed}", limits, deepspeed, LOCK))
    if not _between(series, row["python"], series, _compare):
        what = f"{name} needs a newer Python"
        found.append(_refusal("llamafactory python", what, f"{row['python']} or newer", series, SERIES))
    return found


def _own(release: dict[str, Any], public: Pins) -> Refusals:
    """Compare the lock with the release's own table of minimum and tested versions."""
    found = []
    for name, row in sorted(release["requirements"].items()):
        version = release["cann"]["version"] if name == "cann" else public.get(name, "")
        compare = compare_cann if name == "cann" else _compare
        if not version and name not in ALWAYS_LOCKED:
            found.append(_missing(name))
        elif version and not _between(version, row["minimum"], row["tested_maximum"], compare):
            what = f"{name} {version} is outside the range tested with this release"
            remedy = ("" if name == "cann" else f"{LOCK}, or, ") + f"once tried, set requirements.{name} in release.yml"
            limits = _range(row["minimum"], row["tested_maximum"])
            found.append(_refusal(f"requirements {name}", what, limits, version, remedy))
    return found


def _refusal(subject: str, problem: str, wanted: str, found: str, remedy: str) -> Refusal:
    return refusal("system", "release", problem, wanted, found, remedy, subject=subject)


def _unknown(name: str, version: str) -> Refusal:
    return _refusal(name.lower(), f"it is unknown what goes with {name} {version}", f"a row for {version}", "none", ADD)


def _missing(name: str) -> Refusal:
    return _refusal(name, f"the lock has no {name}", name, "none", "add it to requirements.in; " + LOCK)


def _one_of(versions: list[str]) -> str:
    return ("one of " if len(versions) > 1 else "") + ", ".join(versions)


def _range(lowest: str, highest: str) -> str:
    return lowest if lowest == highest else f"{lowest} to {highest}"


def _public(version: str) -> str:
    try:
        return Version(version).public
    except InvalidVersion:
        return version


def _reaches(driver: str, minimum: str) -> bool:
    try:
        return compare_driver(minimum, driver) <= 0
    except AscendError:
        return False


def _between(version: str, lowest: str, highest: str, compare: Compare) -> bool:
    try:
        return compare(lowest, version) <= 0 <= compare(highest, version)
    except (AscendError, InvalidVersion):
        return False


def _compare(one: str, other: str) -> int:
    first, second = Version(one), Version(other)
    return (first > second) - (first < second)
