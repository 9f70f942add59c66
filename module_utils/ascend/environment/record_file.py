# SPDX-License-Identifier: Apache-2.0
"""Compare a distribution's files with its RECORD: one ``path,hash,size`` line a file (binary distribution format).

There are two depths:

* fast: RECORD in one piece, as bytes; most of its lines are not taken apart. It detects what is missing among the two
  upper levels of every package (``torch``, ``torch/nn``), and another size of METADATA, of the scripts in bin, and of
  the first and last files listed.
* deep: existence, size and sum of every file that RECORD lists. Only this detects a file lost or altered further down.

Byte code (``*.pyc``) never counts: Python recreates it. Neither form sees files that no RECORD lists.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
import stat
from typing import AbstractSet, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

MOST_RECORD = 64 * 1024 * 1024
BLOCK = 1024 * 1024
EDGE = 4  # how many of the first and of the last files in RECORD the fast form measures
SUMS = {"sha256": 32, "sha384": 48, "sha512": 64}  # bytes of a sum
NO_SUMS, INFO_SUMS, ALL_SUMS = range(3)  # which files' sums are compared: none, those in dist-info folders, all

Corrections = Dict[str, str]  # path -> "hash,size" in place of RECORD's; "" where the file does not count

_UPPER = re.compile(rb"([^/,\n]*(?:/[^/,\n]+)?)[^\n]*\n")  # the one or two first parts of a line's path
_INFO = re.compile(rb"(?:\A|\n)([^/,\n]{1,200}\.dist-info)/")
_SIZE = re.compile(r"[0-9]{1,18}")


class Row(NamedTuple):
    """A line of RECORD; hash ("sha256=...") and size may be empty."""

    path: str
    hash: str
    size: str


class Listings:
    """Names in a site-packages folder and in its packages, each folder listed once. Paths are bytes, as in RECORD."""

    def __init__(self, site: str, names: List[str]) -> None:
        self.site = site
        self._present: Set[bytes] = {os.fsencode(name) for name in names}
        self._listed: Set[bytes] = set()

    def missing(self, paths: Set[bytes]) -> Set[bytes]:
        """Return those of the paths, of one or two parts, that do not exist."""
        lacking = paths - self._present
        for top in {path.partition(b"/")[0] for path in lacking}:
            if top in self._listed or top not in self._present:
                continue
            self._listed.add(top)
            try:
                self._present.update([top + b"/" + name for name in os.listdir(os.fsencode(self.site) + b"/" + top)])
            except OSError:
                continue  # a module that is one file
        return lacking - self._present


def content(path: str, most: int = MOST_RECORD) -> bytes:
    """Return at most so many of a regular file's first bytes; none for anything else. Never blocks, as a pipe would."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        status = os.fstat(descriptor)
        return _read(descriptor, min(most, status.st_size)) if stat.S_ISREG(status.st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _read(descriptor: int, size: int) -> bytes:
    blocks = []
    while size > 0:
        block = os.read(descriptor, size)
        if not block:
            break
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def problem(folder: str, data: bytes) -> str:
    """Return what is wrong with the form of the RECORD of a dist-info ``folder``, as text; "" if it can be used."""
    if not data:
        return "RECORD is missing"
    own = _own(folder)
    if not data.startswith(own) and b"\n" + own not in data:
        other = _INFO.search(data)
        if other and other.group(1) != os.fsencode(folder):
            return "RECORD belongs to %s" % os.fsdecode(other.group(1))
        return "RECORD does not list its own METADATA"
    last = data.rstrip(b"\r\n").rpartition(b"\n")[2]
    return "" if row(os.fsdecode(last)) else "RECORD is truncated"


def row(line: str) -> Optional[Row]:
    """Return a line's three fields, or None if they cannot be read."""
    if line.startswith('"'):
        import csv  # few lines need it, and every start of a module pays for it

        try:
            fields = next(csv.reader([line]), [])
        except csv.Error:
            return None
    else:
        fields = line.rstrip("\r\n").rsplit(",", 2)
    if len(fields) != 3 or not fields[0] or (fields[2] and not _SIZE.fullmatch(fields[2])):
        return None
    return Row(*fields) if not fields[1] or "=" in fields[1] else None


def unreadable_rows(data: bytes) -> int:
    """Return how many lines are not rows."""
    return sum(1 for line in os.fsdecode(data).split("\n") if line.strip() and row(line) is None)


def missing_uppers(data: bytes, listings: Listings, corrected: Corrections) -> List[str]:
    """Return what is missing in the two upper levels of the packages, as short as possible.

    If a folder is missing, only the folder is named, not what was in it. Names in quotes are left to the deep form.
    """
    uppers = listings.missing(set(_UPPER.findall(data if data.endswith(b"\n") else data + b"\n")))
    missing: List[str] = []
    for upper in sorted(os.fsdecode(upper) for upper in uppers):
        top = upper.partition("/")[0]
        if top in ("", ".", "..", "__pycache__") or top[0] == '"' or upper.endswith(("/__pycache__", ".pyc")):
            continue
        if corrected.get(upper) == "":
            continue
        lost = top if listings.missing({os.fsencode(top)}) else upper
        if lost not in missing:
            missing.append(lost)
    return missing


def measured(folder: str, data: bytes) -> bytes:
    """Return the lines of RECORD whose files the fast form measures."""
    lines = data.split(b"\n", EDGE)[:EDGE] + data.rstrip(b"\n").rsplit(b"\n", EDGE)[-EDGE:]
    outside = b"\n" + data
    at = outside.find(b"\n../")
    while at >= 0:
        end = outside.find(b"\n", at + 1)
        lines.append(outside[at + 1 : end if end >= 0 else None])
        at = outside.find(b"\n../", at + 1)
    own = _own(folder)
    start = 0 if data.startswith(own) else data.find(b"\n" + own) + 1
    lines.append(data[start : data.find(b"\n", start)])
    return b"\n".join(dict.fromkeys(lines))


def rows(data: bytes, corrected: Corrections) -> Iterator[Row]:
    """Yield the lines of a RECORD that are about files, without byte code."""
    for line in os.fsdecode(data).split("\n"):
        parsed = row(line)
        if parsed and parsed.path in corrected:
            parsed = row("%s,%s" % (parsed.path, corrected[parsed.path]))
        if parsed and not parsed.path.endswith((".pyc", "/")):
            yield parsed


def unlike(
    site: str, data: bytes, sums: int, corrected: Corrections, suspects: AbstractSet[str] = frozenset()
) -> Iterator[Tuple[str, bool]]:
    """Yield the files of a RECORD that are not as it says, and whether they are missing (or else altered).

    Of ``suspects`` the sums are compared in any case.
    """
    for listed in rows(data, corrected):
        try:
            status = os.stat(os.path.join(site, listed.path))
        except (OSError, ValueError):  # ValueError: a zero byte in the path
            yield listed.path, True
            continue
        sized = stat.S_ISREG(status.st_mode) and listed.size in ("", str(status.st_size))
        of_info = sums == INFO_SUMS and os.path.dirname(listed.path).endswith(".dist-info")
        summed = sums == ALL_SUMS or of_info or listed.path in suspects
        if not sized or (summed and not _sum_agrees(site, listed)):
            yield listed.path, False


def as_it_is(path: str) -> str:
    """Return "hash,size" of a file as in a RECORD, "" if it cannot be read."""
    digest = _sum(path, "sha256")
    return "sha256=%s,%d" % (digest, os.stat(path).st_size) if digest else ""


def hexadecimal(summed: str) -> Tuple[str, str]:
    """Return kind and digits of a RECORD's sum; ("", "") for one of another kind or form.

    The format asks for urlsafe base64 without padding. Tools write padding, the other alphabet of base64, and
    hexadecimal digits (ffmpy 0.6.1), too; their number shows which of them it is.
    """
    kind, _, digest = summed.partition("=")
    size = SUMS.get(kind, 0)
    digest = digest.rstrip("=")
    if not size or len(digest) not in (2 * size, -(-size * 4 // 3)):
        return "", ""
    try:
        if len(digest) == 2 * size:
            return kind, binascii.unhexlify(digest).hex()
        plain = digest.replace("-", "+").replace("_", "/")
        return kind, binascii.a2b_base64(plain + "=" * (-len(plain) % 4)).hex()
    except ValueError:
        return "", ""


def _own(folder: str) -> bytes:
    return os.fsencode(folder) + b"/METADATA,"


def _sum_agrees(site: str, listed: Row) -> bool:
    """A sum that is not understood says nothing."""
    kind, wanted = hexadecimal(listed.hash)
    return not kind or _sum(os.path.join(site, listed.path), kind) == wanted


def _sum(path: str, kind: str) -> Optional[str]:
    """Return a file's sum in hexadecimal digits; None if it cannot be read."""
    digest = hashlib.new(kind)
    try:
        with open(path, "rb", buffering=0) as stream:
            for block in iter(lambda: stream.read(BLOCK), b""):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
