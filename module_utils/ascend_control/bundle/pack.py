# SPDX-License-Identifier: Apache-2.0
"""Write a bundle's parts: the depot's files are read once, checked against its index, and not copied anywhere before.

``bundle.json``: ``{"schema": 1, "control": {architecture: {"python", "glibc", "ansible_core"}}, "index": the depot's,
"files": {relative path: {"sha256", "size_bytes", "mtime_ns"}}, "parts": {name: [[file, offset, size, whole], ...]}}``.
``SHA256SUMS`` has a line for every other file, as sha256sum writes and checks it; it is written last and is what you
sign.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from ...ascend import files
from ...ascend.errors import AscendError
from ..depot.index import Index
from ..depot.wheels import BUILT
from . import layout
from .layout import Piece

PLAN = "bundle.json"
SUMS = "SHA256SUMS"
BLOCK = 1 << 20
# Writes one file of the bundle into what it is given.
Content = Callable[[Any], object]


def contents(index: Index) -> dict[str, dict[str, Any]]:
    """Return relative path -> {"sha256", "size_bytes", "mtime_ns"} of a depot's files to carry. Raises AscendError.

    These are the files in its index, and the lists of the wheels that were built.
    """
    found = {name: entry for name, entry in index["files"].items() if (index.folder / name).is_file()}
    lost = sorted(set(index["files"]) - set(found))
    if lost or not found:
        raise AscendError(
            "the depot is incomplete" if lost else "the depot is empty",
            wanted="a depot that playbooks/depot.yml filled",
            found=f"{len(lost)} files are missing, {lost[0]} first" if lost else "no file in its index",
            where=str(index.folder),
            remedy="make depot-check" if lost else "ansible-playbook playbooks/depot.yml -i inventory/prod",
        )
    for note in sorted(index.folder.glob(f"wheels/*/{BUILT}")):
        status = note.stat()
        entry = {"sha256": files.sha256(note), "size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
        found[str(note.relative_to(index.folder))] = entry
    return found


def plan(index: Index, control: dict[str, Any], part_bytes: int) -> dict[str, Any]:
    """Return what bundle.json says."""
    carried = contents(index)
    parts = layout.parts({name: int(entry["size_bytes"]) for name, entry in carried.items()}, part_bytes)
    named = {f"depot-{number:03d}.tar": part for number, part in enumerate(parts, 1)}
    return {"schema": 1, "control": control, "index": index.content, "files": carried, "parts": named}


def require_room(planned: dict[str, Any], out: Path, others_bytes: int) -> int:
    """Return the bundle's size in bytes. Raises AscendError if the disk of ``out`` has no room for it.

    ``others_bytes`` is the size of the files beside the parts.
    """
    wanted = others_bytes + sum(layout.part_bytes(part) for part in planned["parts"].values())
    free = shutil.disk_usage(out).free + sum(path.stat().st_size for path in out.glob("depot-*.tar"))
    if free < wanted:
        raise AscendError(
            "not enough room for the bundle",
            wanted=f"{wanted} bytes for {len(planned['parts'])} parts and the accompanying files",
            found=f"{free} bytes free",
            where=str(out),
            remedy=f"df -h {shlex.quote(str(out))}  # make room, or choose another folder: make bundle OUT=...",
        )
    return wanted


class Sums:
    """The lines of SHA256SUMS as they are made; those of an earlier run of the same plan identify what it made."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._partial = out / f"{SUMS}.part"
        self._lines: dict[str, str] = {}

    def resume(self) -> None:
        text = self._partial.read_text(encoding="ascii") if self._partial.is_file() else ""
        whole = text[: text.rfind("\n") + 1]
        self._lines = {name: sha256 for sha256, _, name in (line.partition("  ") for line in whole.splitlines())}

    def known(self, name: str, size: int) -> bool:
        path = self._out / name
        return name in self._lines and path.is_file() and path.stat().st_size == size

    def add(self, name: str, sha256: str) -> None:
        self._lines[name] = sha256
        with self._partial.open("w", encoding="ascii") as stream:
            stream.writelines(f"{sum_}  {each}\n" for each, sum_ in sorted(self._lines.items()))
            stream.flush()
            os.fsync(stream.fileno())

    def close(self) -> None:
        self._partial.replace(self._out / SUMS)


def begin(out: Path, planned: dict[str, Any]) -> Sums:
    """Clear away what another plan or an earlier bundle left in ``out``; return the sums of what stays."""
    text = json.dumps(planned, indent=1, sort_keys=True) + "\n"
    path, sums = out / PLAN, Sums(out)
    # What says that a bundle is whole, and its signatures, are never those of one before.
    for old in [each for each in out.glob(f"{SUMS}*") if each.name != f"{SUMS}.part"]:
        old.unlink()
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        sums.resume()
    else:
        for old in [*out.glob(f"{SUMS}.part"), *out.glob("depot-*.tar*")]:
            old.unlink()
        write(path, lambda stream: stream.write(text.encode()))
    return sums


def write(path: Path, content: Content) -> str:
    """Write one file of the bundle, atomically; return its sha256. Raises OSError."""
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as stream:
            sink = _Summed(stream)
            content(sink)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return sink.digest.hexdigest()


class _Summed(io.RawIOBase):
    """A file that is written sequentially, with its sum."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        self.digest.update(block)
        return self._stream.write(block)


class Reader:
    """Reads the depot's files in the order of the parts; a file that differs from the index ends it."""

    def __init__(self, depot: Path, carried: dict[str, dict[str, Any]]) -> None:
        self._depot = depot
        self._carried = carried
        self._read: tuple[str, int] = ("", 0)
        self._digest = hashlib.sha256()

    def part(self, pieces: list[Piece], sink: BinaryIO) -> None:
        """Write the archive of one part. Raises AscendError for a file that is damaged."""
        with tarfile.open(fileobj=sink, mode="w|", bufsize=BLOCK, format=tarfile.GNU_FORMAT) as archive:
            for piece in pieces:
                path = self._depot / piece.file
                with path.open("rb", buffering=0) as stream:
                    mode = 0o755 if os.fstat(stream.fileno()).st_mode & 0o100 else 0o644
                    mtime = int(self._carried[piece.file]["mtime_ns"]) // 10**9
                    stream.seek(piece.offset)
                    if self._read != (piece.file, piece.offset):
                        self._digest = hashlib.sha256()
                    archive.addfile(layout.header(piece, mode, mtime), _Watched(stream, self._digest))
                self._require_same(piece)

    def _require_same(self, piece: Piece) -> None:
        """Compare the sum of a file that was just read completely; pieces written by an earlier run were not read."""
        entry = self._carried[piece.file]
        begun = piece.offset == 0 or self._read == (piece.file, piece.offset)
        ends = piece.offset + piece.size == entry["size_bytes"]
        self._read = (piece.file, piece.offset + piece.size) if begun else ("", 0)
        if begun and ends and self._digest.hexdigest() != entry["sha256"]:
            raise AscendError(
                "a file of the depot is damaged",
                wanted=f"sha256 {entry['sha256']}",
                found=f"sha256 {self._digest.hexdigest()}",
                where=str(self._depot / piece.file),
                remedy="make depot-check  # fetches it again; then the same command again",
            )


class _Watched:
    """A file for tarfile to read, with the sum of what was read."""

    def __init__(self, stream: io.FileIO, digest: Any) -> None:
        self._stream = stream
        self._digest = digest

    def read(self, size: int = -1, /) -> bytes:
        block = self._stream.read(size)
        self._digest.update(block)
        return block
