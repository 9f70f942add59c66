# SPDX-License-Identifier: Apache-2.0
"""Inspect a ``.run`` package on the control node: whether it is one, is intact, and for which machine and chip.

A ``.run`` is a shell script of some hundred lines with a compressed tar behind it. The script's own variables say how
long it is (``skip``, in lines), how long each part of the payload is (``filesizes``) and what its sums are (``SHA``,
``MD5``): makeself 2.4 and 2.5, of whose header Huawei's is a copy with other options. Nothing of it is run.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...ascend.errors import AscendError

BLOCK = 1 << 20
MOST_HEADER = 1 << 20  # bytes; stock headers have 20 KB
MOST_LISTED = 1 << 30  # unpacked bytes of the payload that are looked through for a name that tells
DOWNLOAD = "download it again, log in where the site asks for it, and compare its checksum with the published one"
_STARTS = (
    (b"<", "a page of a web site, such as a login or an error"),
    (b"{", "a web site's answer, such as an error"),
    (b"PK\x03\x04", "a zip archive: give it the name of the .zip"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"\0", "a file of zeros, as an interrupted download leaves"),
)
_VARIABLE = re.compile(rb'^(skip|filesizes|SHA|MD5)="([0-9a-fA-F ]*)"\s*$', re.MULTILINE)
# Parts of a package as they are named in it: CANN-runtime-7.3-linux.aarch64.run, Ascend910B-opp_kernel-7.3.run, and
# from CANN 8.5 on cann-910b-ops-math_9.0.0_linux-aarch64.run; and the folders of what they hold.
_ARCHITECTURE = re.compile(r"linux[._-](aarch64|x86_64)\.run$|(?:^|/)(aarch64|x86_64)-linux(?:/|$)")
_CHIP = re.compile(
    r"(?:^|/)(?:ascend(\d{3}[a-z]?(?:_\d+)?)(?=-opp_kernel|/)|cann-([a-z0-9_]+)-ops-[^/]*\.run$)", re.IGNORECASE
)


class Header(NamedTuple):
    """Where the payload begins, in bytes, and the size and embedded sums of each of its parts."""

    offset: int
    sizes: list[int]
    sha256: list[str]
    md5: list[str]


def inspect(path: Path, architecture: str, chip: str | None) -> list[str]:
    """Require a package to be a whole one for this architecture and, when it has kernels, for this chip ("910b").

    Returns what could not be inspected, as text. Raises AscendError.
    """
    with path.open("rb") as stream:
        header = _header(path, stream)
        _require_size(path, header)
        unseen = _require_sums(path, stream, header)
        return unseen + _require_names(path, stream, header, architecture, chip)


def _header(path: Path, stream: BinaryIO) -> Header:
    text = stream.read(MOST_HEADER)
    if not text.startswith(b"#!"):
        raise _no_package(path, text)
    values = {name.decode(): value.decode().split() for name, value in reversed(_VARIABLE.findall(text))}
    skip, sizes = values.get("skip", []), values.get("filesizes", [])
    if len(skip) != 1 or not sizes or not all(number.isdigit() for number in skip + sizes):
        raise _no_package(path, text)
    lines = text.split(b"\n", int(skip[0]))
    if len(lines) <= int(skip[0]):
        raise _damaged(path, f"{skip[0]} lines before the payload", f"{len(lines) - 1} lines")
    offset = len(text) - len(lines[-1])
    return Header(offset, [int(size) for size in sizes], values.get("SHA", []), values.get("MD5", []))


def _no_package(path: Path, text: bytes) -> AscendError:
    looks = next((words for start, words in _STARTS if text.lstrip(b"\xef\xbb\xbf \r\n").startswith(start)), "")
    if not looks:
        looks = "a script that is not a package" if text.startswith(b"#!") else "something else"
    beginning = text[:60].decode("ascii", "replace").replace("\ufffd", "?").strip()
    return AscendError(
        "a file is not a CANN package",
        wanted="a .run package: a script of makeself with its payload",
        found=f"{looks}: {beginning!r}" if text else "an empty file",
        where=str(path),
        remedy=DOWNLOAD,
    )


def _damaged(path: Path, wanted: str, found: str) -> AscendError:
    return AscendError("a CANN package is damaged", wanted=wanted, found=found, where=str(path), remedy=DOWNLOAD)


def _require_size(path: Path, header: Header) -> None:
    wanted, found = header.offset + sum(header.sizes), path.stat().st_size
    if wanted != found:
        how = "cut off" if found < wanted else "with extra data after its end"
        raise _damaged(path, f"{wanted} bytes, as its own header says", f"{found} bytes: {how}")


def _require_sums(path: Path, stream: BinaryIO, header: Header) -> list[str]:
    """Compare each part with its sum in the header; a sum of only zeros does not count."""
    known = [
        (name, sums)
        for name, sums in (("sha256", header.sha256), ("md5", header.md5))
        if len(sums) == len(header.sizes) and all(set(each) != {"0"} for each in sums)
    ]
    if not known:
        return [f"{path.name} contains no checksum"]
    name, sums = known[0]
    stream.seek(header.offset)
    for size, wanted in zip(header.sizes, sums, strict=True):
        digest = hashlib.new(name, usedforsecurity=False)
        for block in _blocks(stream, size):
            digest.update(block)
        if digest.hexdigest() != wanted.lower():
            raise _damaged(path, f"{name} {wanted}, as its own header says", f"{name} {digest.hexdigest()}")
    return []


def _blocks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (block := stream.read(min(BLOCK, size))):
        size -= len(block)
        yield block


def _require_names(path: Path, stream: BinaryIO, header: Header, architecture: str, chip: str | None) -> list[str]:
    architectures: set[str] = set()
    chips: set[str] = set()
    try:
        for name in _names(stream, header):
            for found, pattern in ((architectures, _ARCHITECTURE), (chips, _CHIP)):
                found.update(word.lower() for match in pattern.finditer(name) for word in match.groups() if word)
            if architecture in architectures and (not chip or chip.lower() in chips):
                return []
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if not architectures and not chips:
            return [f"cannot list the content of {path.name}: {error}"]
    if architectures and architecture not in architectures:
        raise _another(path, "architecture", architecture, architectures)
    if chip and chips and chip.lower() not in chips:
        raise _another(path, "chip", chip, chips)
    return [] if architectures or chips else [f"{path.name} does not say which architecture it is for"]


def _names(stream: BinaryIO, header: Header) -> Iterator[str]:
    """Yield the names in the payload, as far as they come soon (gzip, bzip2, xz; other compressions are an error)."""
    begin = header.offset
    for size in header.sizes:
        stream.seek(begin)
        begin += size
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            for member in archive:
                if member.offset > MOST_LISTED:
                    return
                yield member.name


def _another(path: Path, what: str, wanted: str, found: set[str]) -> AscendError:
    return AscendError(
        f"a CANN package is for another {what}",
        wanted=wanted,
        found=", ".join(sorted(found)),
        where=str(path),
        remedy=f"put the package for {wanted} there: renaming another one is not enough",
    )
