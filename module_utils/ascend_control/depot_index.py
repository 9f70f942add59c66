# SPDX-License-Identifier: Apache-2.0
"""The depot's table of contents: which files it holds, with size and sha256, and what they are for.

``index.json``: ``{"schema": 1, "files": {relative path: {"sha256", "size_bytes", "mtime_ns"}}, "cann": {version:
{"toolkit": {architecture: path}, "kernels": {chip: {architecture: path}}}}, "pythons": {architecture: {series:
{"version", "file"}}}, "uv": {architecture: {"version", "file"}}, "locks": {release: {architecture: {"file", "wheels",
"lock_digest"}}}, "sources": {name: {"version", "file"}}}``. A file is hashed again only when its size or time stamp
changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

SECTIONS = ("files", "cann", "pythons", "uv", "locks", "sources")


class Index:
    """The table of contents of the depot in ``folder``; ``save`` writes it when it changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "index.json"
        self._before = self._path.read_text(encoding="utf-8") if self._path.is_file() else ""
        self.content: dict[str, Any] = {"schema": 1}
        if self._before:
            self.content = json.loads(self._before)
        for section in SECTIONS:
            self.content.setdefault(section, {})

    def __getitem__(self, section: str) -> dict[str, Any]:
        part: dict[str, Any] = self.content[section]
        return part

    def known(self, relative: str) -> bool:
        """Whether the file is there as the table says it is."""
        entry: dict[str, Any] = self["files"].get(relative) or {}
        path = self.folder / relative
        return bool(entry) and path.is_file() and path.stat().st_size == entry["size_bytes"]

    def sha256(self, relative: str) -> str:
        """Return the file's sha256, read anew only when the file changed; the file enters the table."""
        path = self.folder / relative
        status = path.stat()
        entry = self["files"].get(relative)
        if not entry or (entry["size_bytes"], entry["mtime_ns"]) != (status.st_size, status.st_mtime_ns):
            entry = {"sha256": sha256_of(path), "size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
            self["files"][relative] = entry
        return str(entry["sha256"])

    def save(self) -> None:
        """Write the table, atomically, last of all: it never names a file that is not yet there."""
        text = json.dumps(self.content, indent=1, sort_keys=True) + "\n"
        if text == self._before:
            return
        partial = self._path.with_suffix(".part")
        with partial.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self._path)
        self._before = text


def python_of(pythons: dict[str, Any], architecture: str, series: str) -> dict[str, str]:
    """Return {"version", "file"} of the section ``pythons`` for a series ("3.10"); empty when there is none.

    Depots of before had one Python an architecture, without the series: that counts as none.
    """
    entry = pythons.get(architecture, {}).get(series)
    return entry if isinstance(entry, dict) else {}


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def place(source: Path, target: Path) -> None:
    """Bring a file into the depot, by a hard link where that is possible; atomically."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    partial.chmod(0o644)
    partial.replace(target)
