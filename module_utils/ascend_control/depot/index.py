# SPDX-License-Identifier: Apache-2.0
"""The depot's table of contents: its files, with size and sha256, and what they are for.

``index.json``: ``{"schema": 1, "files": {relative path: {"sha256", "size_bytes", "mtime_ns", "inode"}}, "cann":
{version: {"toolkit": {architecture: path}, "kernels": {chip: {architecture: path}}}}, "pythons": {architecture:
{series: {"version", "file"}}}, "uv": {architecture: {"version", "file"}}, "locks": {release: {architecture: {"file",
"wheels", "lock_digest"}}}, "sources": {name: {what was asked for: {"version", "file"}}}, "swarm":
{for which Python and machine: path}, "incoming": {name of a file of
the operator's: as in "files"}}``. A file is read again only when its size, time stamp or inode changed, or where all
are (``deep``).
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

from ...ascend import files
from ...ascend.atomic import settle
from ...ascend.command import run
from ...ascend.errors import AscendError
from ...ascend.masking import masked

PAGE = "index.html"  # of a folder of wheels: the links to them
_USER = re.compile(r"(?<=://)[^/\s]*@")
SECTIONS = ("files", "cann", "pythons", "uv", "locks", "sources", "swarm", "incoming")


class Index:
    """The table of contents of the depot in ``folder``; ``save`` writes it when it changed.

    ``deep`` reads every requested file, instead of only those with another size or time. Raises AscendError for an
    invalid table.
    """

    def __init__(self, folder: Path, deep: bool = False) -> None:
        self.folder = folder
        self.deep = deep
        self._read: set[str] = set()
        self._taken = False  # whether a file is another than the table on the disk says
        self._path = folder / "index.json"
        self._before = self._path.read_bytes() if self._path.is_file() else b""
        self.content = {"schema": 1, **parsed(self._before or b"{}", self._path)}

    def __getitem__(self, section: str) -> dict[str, Any]:
        part: dict[str, Any] = self.content[section]
        return part

    def known(self, relative: str) -> bool:
        """Whether the file exists, unchanged since it was added. Raises AscendError for one that changed."""
        entry: dict[str, Any] = self["files"].get(relative) or {}
        path = self.folder / relative
        if not entry or not path.is_file():
            return False
        wanted = (entry["sha256"], entry["size_bytes"])
        found = self._seen(relative)
        if wanted == (found["sha256"], found["size_bytes"]):
            self["files"][relative] = found
            return True
        raise AscendError(
            "a file of the depot has changed since it was added",
            wanted=f"{wanted[1]} bytes, sha256 {wanted[0]}",
            found=f"{found['size_bytes']} bytes, sha256 {found['sha256']}",
            where=str(path),
            remedy=f"rm {shlex.quote(str(path))}  # then run the same command again: the file is fetched again",
        )

    def sha256(self, relative: str) -> str:
        """Return the sum of a file, adding it to the table if necessary. Raises AscendError if it changed."""
        return str(self["files"][relative]["sha256"]) if self.known(relative) else self.enter(relative)

    def enter(self, relative: str, sha256: str = "") -> str:
        """Add a file to the table as it is now, and return its sum; it was just added, or a lock contains its sum.

        ``sha256`` is the sum of a file that was read when it arrived.
        """
        path = self.folder / relative
        before = self["files"].get(relative)
        if sha256:
            self["files"][relative] = {"sha256": sha256, **_stamp(path)}
            self._read.add(str(path))
        else:
            self["files"][relative] = self._seen(relative)
        self._taken |= self["files"][relative] != before
        return str(self["files"][relative]["sha256"])

    def sum_of(self, path: Path) -> str:
        """Return the sum of an operator's file, which is read again only if it changed."""
        entry = self["incoming"][path.name] = self._as_now(path, self["incoming"].get(path.name) or {})
        return str(entry["sha256"])

    def _seen(self, relative: str) -> dict[str, Any]:
        """Return the file's entry as it should be now."""
        return self._as_now(self.folder / relative, self["files"].get(relative) or {})

    def _as_now(self, path: Path, entry: dict[str, Any]) -> dict[str, Any]:
        stamp = _stamp(path)
        # A depot of before has no inodes: what kept its size and time is the same.
        same = bool(entry) and all(entry.get(key, value) == value for key, value in stamp.items())
        if same and (not self.deep or str(path) in self._read):
            return {**entry, **stamp}
        self._read.add(str(path))
        return {"sha256": files.sha256(path) if self.deep else _sum(str(path), *stamp.values()), **stamp}

    def save(self) -> None:
        """Write the table, atomically and last of all, so it never names a file that does not exist."""
        self.content["files"] = {name: entry for name, entry in self["files"].items() if (self.folder / name).is_file()}
        text = (json.dumps(self.content, indent=1, sort_keys=True) + "\n").encode()
        if text == self._before:
            return
        if self._taken:
            settle(str(self.folder), run)  # a power cut leaves no file that is named here and empty
        partial = self._path.with_suffix(".part")
        with partial.open("wb") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self._path)
        self._before = text


@functools.lru_cache(maxsize=4096)
def _sum(path: str, *_stamp: int) -> str:
    """Return the sum of a file, which is read only once for both a look without changes and the later entry."""
    return files.sha256(path)


def _stamp(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}


def parsed(text: bytes, path: Path) -> dict[str, Any]:
    """Return the table of contents that the text is. Raises AscendError."""
    try:
        content = json.loads(text)
        if isinstance(content, dict) and all(isinstance(content.get(name, {}), dict) for name in SECTIONS):
            return {**{name: {} for name in SECTIONS}, **content}
        found = "something else"
    except (ValueError, RecursionError) as error:
        found = str(error)
    raise AscendError(
        "the depot's table of contents is damaged",
        wanted="a JSON object, as playbooks/depot.yml writes it",
        found=found,
        where=str(path),
        remedy=f"mv {shlex.quote(str(path))} {shlex.quote(str(path) + '.old')}; ansible-playbook playbooks/depot.yml",
    )


def python_of(pythons: dict[str, Any], architecture: str, series: str) -> dict[str, str]:
    """Return {"version", "file"} of the section ``pythons`` for a series ("3.10"); empty if there is none.

    Older depots had one Python per architecture, without the series, which does not count.
    """
    entry = pythons.get(architecture, {}).get(series)
    return entry if isinstance(entry, dict) else {}


def source_key(source: dict[str, Any]) -> str:
    """Return ``{"url", "version"}`` or ``{"archive"}`` as the text by which the depot knows such a source.

    Nodes read it, web servers show it to everybody, and file names are made from it, so it contains no user, password
    or token of the address.
    """
    return masked(" ".join(f"{key}={_USER.sub('', str(source[key]))}" for key in sorted(source)))


def source_of(sources: dict[str, Any], source: dict[str, Any]) -> dict[str, str]:
    """Return {"version", "file"} of the section ``sources`` for a request; empty if there is none.

    Older depots had one LLaMA-Factory for every request, which does not count.
    """
    entry = sources.get("llamafactory", {}).get(source_key(source))
    return entry if isinstance(entry, dict) else {}


def place(source: Path, target: Path) -> None:
    """Put a file into the depot atomically, with a hard link if possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    partial.chmod(0o644)
    partial.replace(target)


def write(target: Path, text: str) -> None:
    """Write a text file of the depot, atomically; a file with the same text is left as it is."""
    if target.is_file() and target.read_text(encoding="utf-8") == text:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(0o644)
    partial.replace(target)
