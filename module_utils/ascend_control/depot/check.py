# SPDX-License-Identifier: Apache-2.0
"""Read every file of a depot, compare it with the index, and remove damaged ones, so that they are fetched again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ...ascend import files
from .fill import alone
from .progress import silent
from .trouble import index_of

AT_ONCE = 4  # a disk that turns gains nothing from more


class Damage(NamedTuple):
    """A file that is not what the index says: what was wanted and what was found, as text."""

    file: str
    wanted: str
    found: str


def check(folder: Path, progress: Callable[[int], object]) -> tuple[int, list[Damage]]:
    """Return (the number of files read, the damaged ones). ``progress`` is called with the bytes of each file read.

    Raises AscendError for a depot without an index, and OSError for a disk that cannot be read.
    """
    entries = index_of(str(folder))["files"]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        looked = pool.map(lambda name: _damage(folder, name, entries[name], progress), sorted(entries))
        return len(entries), [damage for damage in looked if damage]


def _damage(folder: Path, name: str, entry: dict[str, Any], progress: Callable[[int], object]) -> Damage | None:
    path = folder / name
    size = f"{entry['size_bytes']} bytes"
    if not path.is_file():
        return Damage(name, size, "no such file")
    if path.stat().st_size != entry["size_bytes"]:
        return Damage(name, size, f"{path.stat().st_size} bytes")
    found = files.sha256(path)
    progress(entry["size_bytes"])
    return None if found == entry["sha256"] else Damage(name, f"sha256 {entry['sha256']}", f"sha256 {found}")


def take_away(folder: Path, damaged: Iterable[Damage]) -> None:
    """Remove damaged files, so that the next filling or unbundling finds them missing and takes them again."""
    with alone(folder, silent()):
        for damage in damaged:
            (folder / damage.file).unlink(missing_ok=True)
