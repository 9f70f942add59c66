# SPDX-License-Identifier: Apache-2.0
"""Take the parts of a bundle into a depot; each is verified as a whole before any of its files gets its name.

Runs with the bundle's own CPython before anything else is installed, so it uses only the standard library. What the
depot already has is skipped, so parts can come in any order and from several disks, and a killed run continues with its
current part.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ...ascend import files
from ...ascend.errors import AscendError
from ...ascend.text import listed
from ..depot.index import SECTIONS, Index
from .layout import Piece

BLOCK = 1 << 20
Say = Callable[[str], object]


class Taken(NamedTuple):
    """The result for the parts: how many were needed, which are in no folder, and what is wrong with others."""

    needed: int
    missing: list[str]
    damaged: list[AscendError]


def take(planned: Mapping[str, Any], sums: Mapping[str, str], depot: Path, folders: list[Path], say: Say) -> Taken:
    """Add every file of the plan (bundle.json) that ``depot`` lacks, from the parts in ``folders``.

    ``sums`` are those of SHA256SUMS. The depot's index is written when all files exist. Raises AscendError and OSError.
    """
    depot.mkdir(parents=True, exist_ok=True)
    with _alone(depot):
        parts = {name: [Piece(*piece) for piece in pieces] for name, pieces in planned["parts"].items()}
        ahead = {name: left for name, part in parts.items() if (left := _lacking(depot, planned["files"], part))}
        _require_room(depot, planned["files"], ahead)
        missing, damaged = [], []
        for name, left in ahead.items():
            found = [folder / name for folder in folders if (folder / name).is_file()]
            if not found:
                missing.append(name)
                continue
            errors = list(_from_one_of(found, sums[name], depot, left, planned["files"]))
            damaged += errors[-1:] if len(errors) == len(found) else []
            if len(errors) < len(found):
                say(f"{name}: {sum(piece.size for piece in left) / 1e9:.2f} GB of {len(left)} files, verified")
        if not missing and not damaged:
            _join(planned, depot)
    return Taken(len(ahead), missing, damaged)


def read_sums(path: Path) -> dict[str, str]:
    """Return name -> sha256 of SHA256SUMS."""
    lines = (line.partition("  ") for line in path.read_text(encoding="ascii").splitlines())
    return {name: sha256 for sha256, _, name in lines}


@contextmanager
def _alone(depot: Path) -> Iterator[None]:
    """Take the same lock as a run that fills the depot."""
    with (depot / ".lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lacking(depot: Path, carried: Mapping[str, Any], part: list[Piece]) -> list[Piece]:
    return [piece for piece in part if not (_is_in(depot, carried, piece.file) or _done(depot, piece).exists())]


def _is_in(depot: Path, carried: Mapping[str, Any], file: str) -> bool:
    """Whether the depot has the file; one that was verified here has the time stamp from the index."""
    try:
        status = (depot / file).stat()
    except FileNotFoundError:
        return False
    return (status.st_size, status.st_mtime_ns) == (carried[file]["size_bytes"], carried[file]["mtime_ns"])


def _done(depot: Path, piece: Piece) -> Path:
    """The mark beside an unfinished file for a piece that it contains."""
    return depot / f"{piece.name}.done"


def _partial(depot: Path, file: str) -> Path:
    return depot / f"{file}.part"


def _require_room(depot: Path, carried: Mapping[str, Any], ahead: Mapping[str, list[Piece]]) -> None:
    wanted = sum(piece.size for left in ahead.values() for piece in left)
    free = shutil.disk_usage(depot).free
    if free < wanted:
        raise AscendError(
            "not enough room for the bundle on the depot's disk",
            wanted=f"{wanted} more bytes, of {sum(entry['size_bytes'] for entry in carried.values())} in total",
            found=f"{free} bytes free",
            where=str(depot),
            remedy=f"df -h {shlex.quote(str(depot))}  # make room, or name a folder on another disk: --depot",
        )


def _from_one_of(
    found: list[Path], sha256: str, depot: Path, left: list[Piece], carried: Mapping[str, Any]
) -> Iterator[AscendError]:
    """Take a part from the first folder in which it is intact; yield what is wrong with the earlier ones."""
    for path in found:
        try:
            _take_part(path, sha256, depot, left, carried)
        except AscendError as error:
            yield error
        else:
            return


def _take_part(path: Path, sha256: str, depot: Path, left: list[Piece], carried: Mapping[str, Any]) -> None:
    wanted = {piece.name: piece for piece in left}
    with path.open("rb", buffering=0) as stream:
        summed: Any = _Summed(stream)
        try:
            with tarfile.open(fileobj=summed, mode="r|", bufsize=BLOCK) as archive:
                for entry in archive:
                    source = archive.extractfile(entry)
                    if source and entry.name in wanted:
                        _store(source, entry, wanted.pop(entry.name), depot)
            while summed.read(BLOCK):
                pass
        except tarfile.TarError:
            while summed.read(BLOCK):
                pass
    if summed.digest.hexdigest() != sha256:
        raise AscendError(
            f"{path.name} is damaged",
            wanted=f"sha256 {sha256}, as SHA256SUMS says",
            found=f"{path.stat().st_size} bytes, sha256 {summed.digest.hexdigest()}",
            where=str(path),
            remedy=f"copy {path.name} again from the machine that made the bundle"
            f" (check it there: sha256sum {path.name})",
        )
    if wanted:
        raise AscendError(f"{path.name} lacks files", wanted=listed(sorted(wanted)), where=str(path))
    for piece in left:
        if piece.whole:
            _name(depot, piece.file, carried)
        else:
            _done(depot, piece).touch()


class _Summed:
    """A file for tarfile to read, with the sum of what was read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        block: bytes = self._stream.read(size)
        self.digest.update(block)
        return block


def _store(source: Any, entry: tarfile.TarInfo, piece: Piece, depot: Path) -> None:
    """Write a file, or a piece at its place in one, under a partial name, and sync it to disk."""
    target = _partial(depot, piece.file)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    with open(descriptor, "wb") as sink:
        os.fchmod(descriptor, entry.mode & 0o755)
        sink.seek(piece.offset)
        shutil.copyfileobj(source, sink, BLOCK)
        if piece.whole:
            sink.truncate()
        sink.flush()
        os.fsync(descriptor)


def _name(depot: Path, file: str, carried: Mapping[str, Any]) -> None:
    partial, mtime_ns = _partial(depot, file), int(carried[file]["mtime_ns"])
    os.utime(partial, ns=(mtime_ns, mtime_ns))
    partial.replace(depot / file)


def _join(planned: Mapping[str, Any], depot: Path) -> None:
    """Give the files that came in pieces their names, and write the index, last of all."""
    carried = planned["files"]
    pieces = [Piece(*piece) for part in planned["parts"].values() for piece in part]
    split = {piece.file for piece in pieces if not piece.whole}
    for file in sorted(file for file in split if not _is_in(depot, carried, file)):
        found = files.sha256(_partial(depot, file))
        if found != carried[file]["sha256"]:
            _forget(depot, file)
            raise AscendError(
                "a file in several parts differs from the one in the depot",
                wanted=f"sha256 {carried[file]['sha256']}",
                found=f"sha256 {found}",
                where=str(depot / file),
                remedy="run the same command again: its parts are read again",
            )
        _name(depot, file, carried)
    for file in split:
        _forget(depot, file)
    index = Index(depot)
    for section in SECTIONS:
        _merge(index[section], planned["index"].get(section, {}))
    for file in planned["index"]["files"]:
        entry = index["files"][file]
        # What identifies a file on its disk is another one here.
        entry |= {"inode": (depot / file).stat().st_ino} if "inode" in entry else {}
    index.save()


def _forget(depot: Path, file: str) -> None:
    """Remove a file's marks, and what is left of it under its partial name."""
    for mark in (depot / file).parent.glob(f"{(depot / file).name}.piece-*.done"):
        mark.unlink()
    _partial(depot, file).unlink(missing_ok=True)


def _merge(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    """Merge one dictionary into another, recursively, except that a file's entry is replaced as a whole."""
    for key, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict) and "sha256" not in value:
            _merge(target[key], value)
        else:
            target[key] = value
