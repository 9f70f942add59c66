# SPDX-License-Identifier: Apache-2.0
"""Which files, or pieces of them, are in which part of a bundle, known from names and sizes before any is read.

Each part is a separate plain tar archive, so parts can be taken in any order, from any disk, and only a damaged one has
to be carried again. A file that does not fit into the rest of a part is continued in the next one.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Mapping
from typing import NamedTuple

BLOCK = tarfile.BLOCKSIZE
# Two empty blocks end an archive, which is filled up to a whole record, as tarfile writes it.
END = 2 * BLOCK
UNIT = tarfile.RECORDSIZE
LEAST_BYTES = 1_000_000


class Piece(NamedTuple):
    """``size`` bytes of a file from ``offset`` on; ``whole`` if that is all of it."""

    file: str
    offset: int
    size: int
    whole: bool

    @property
    def name(self) -> str:
        """Its name in the archive. Pieces in the order of their names give the file: ``cat FILE.piece-* > FILE``."""
        return self.file if self.whole else f"{self.file}.piece-{self.offset:015d}"


def header(piece: Piece, mode: int = 0o644, mtime: int = 0) -> tarfile.TarInfo:
    """Return the piece's entry in the archive, without an account, so that the same content gives the same bytes."""
    entry = tarfile.TarInfo(piece.name)
    entry.size, entry.mode, entry.mtime = piece.size, mode, mtime
    return entry


def parts(sizes: Mapping[str, int], most_bytes: int) -> list[list[Piece]]:
    """Return the pieces of each part; ``sizes`` are the files' bytes, ``most_bytes`` the limit of a part."""
    found: list[list[Piece]] = [[]]
    used = 0
    most = most_bytes // UNIT * UNIT - END
    for file, size in sorted(sizes.items()):
        offset = 0
        while True:
            begun = Piece(file, offset, size - offset, whole=offset == 0)
            room = most - used - _header_bytes(begun)
            if begun.size > room and begun.whole:
                # A piece has a longer name, which may take another block.
                room = most - used - _header_bytes(begun._replace(whole=False))
            if room < min(BLOCK, begun.size):
                found.append([])
                used = 0
                continue
            taken = min(begun.size, room)
            piece = begun._replace(size=taken, whole=taken == size)
            found[-1].append(piece)
            used += _header_bytes(piece) + _padded(taken)
            offset += taken
            if offset == size:
                break
    return [part for part in found if part]


def part_bytes(part: Iterable[Piece]) -> int:
    """Return the size of a part's archive."""
    used = sum(_header_bytes(piece) + _padded(piece.size) for piece in part) + END
    return -(-used // UNIT) * UNIT


def _header_bytes(piece: Piece) -> int:
    return len(header(piece).tobuf(tarfile.GNU_FORMAT))


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
