# SPDX-License-Identifier: Apache-2.0
"""Which of the depot's files a node's steps need, and where they go in the node's cache."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .trouble import read_index

# Step, or what is staged -> what of the wanted node it takes from the depot.
_TAKES = {
    "python": ("python",),
    "cache": ("toolkit", "kernels"),
    "cross": ("toolkit", "kernels"),
    "toolkit": ("toolkit",),
    "kernels": ("kernels",),
    "environment": ("uv", "source", "wheels"),
    "source": ("uv", "source", "wheels"),
}
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")


class Sent(NamedTuple):
    """A file: its path on the control node, its path in the node's cache, its sum, its size in bytes."""

    source: str
    path: str
    sha256: str
    size_bytes: int

    def as_option(self) -> dict[str, Any]:
        """Return it as the modules take a file (doc_fragments/sent.py)."""
        return {"path": self.path, "sha256": self.sha256, "size_bytes": self.size_bytes}


def needed(steps: Collection[str], wanted: Mapping[str, Any]) -> list[Sent]:
    """Return the files that the steps need, each once; ``wanted`` is the result of ``wanted.resolve``.

    Large ones come first. Raises AscendError if the depot cannot be read.
    """
    takes = {kind for step in steps for kind in _TAKES.get(step, ())}
    folder, url = wanted["depot"]["folder"], wanted["depot"]["url"]
    files = [
        single(folder, entry["url"].removeprefix(f"{url}/"), entry)
        for kind, entry in _entries(wanted)
        if kind in takes and entry.get("sha256")
    ]
    if "wheels" in takes:
        files += wheels(folder, wanted["environment"]["wheels"], wanted["environment"]["lock_file"])
    return sorted(dict.fromkeys(files), key=lambda file: (-file.size_bytes, file.path))


def _entries(wanted: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in ("toolkit", "kernels", "python", "uv"):
        yield kind, wanted[kind]
    yield "source", wanted["environment"]["source"]


def single(folder: str, relative: str, entry: Mapping[str, Any]) -> Sent:
    """A single file goes where the modules look for it (depot_file.py); ``relative`` is its path in the depot."""
    path = os.path.join(entry["sha256"][:16], os.path.basename(relative))
    return Sent(os.path.join(folder, relative), path, entry["sha256"], entry["size_bytes"])


def wheels(folder: str, relative: str, lock_file: str) -> list[Sent]:
    """Return the wheels of a lock; ``relative`` is their folder in the depot, and in the cache."""
    sums = set(_SHA256.findall(Path(lock_file).read_text(encoding="utf-8")))
    entries = read_index(folder)["files"]
    return [
        Sent(os.path.join(folder, name), name, entry["sha256"], entry["size_bytes"])
        for name, entry in entries.items()
        if os.path.dirname(name) == relative and name.endswith(".whl") and entry["sha256"] in sums
    ]
