# SPDX-License-Identifier: Apache-2.0
"""Find marks, whole or by half, however they are written. The standard library alone: nodes run this file, too.

As a program it reads a JSON object, ``{"marks": {name: mark}, "since": path, "skip": pattern}``, and prints
``{path: {"marks": [name...], "owner": name, "mode": "0600"}}`` of the files that changed after that path.
"""

from __future__ import annotations

import base64
import json
import lzma
import os
import pwd
import re
import stat
import sys
import zlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

MOST_BYTES = 64 << 20
_BREAKS = re.compile(rb"(?:\\+[nrt]|[\s\\\"'+])+")
_ESCAPES = re.compile(rb"\\u00([0-9a-fA-F]{2})")


def needles(mark: str) -> set[bytes]:
    """Return what stands where half of the mark does: plain, in base64, in hexadecimal, in UTF-16."""
    plain = mark.encode()
    forms = [plain, plain.hex().encode(), plain.hex().upper().encode(), mark.encode("utf-16-le")]
    for before in range(3):  # base64 has no seams between bytes
        text = base64.b64encode(b"\0" * before + plain)[(0, 2, 3)[before] : (before + len(plain)) * 8 // 6]
        forms += [text, text.replace(b"+", b"-").replace(b"/", b"_")]
    return {half for form in forms for half in (form[: len(form) // 2], form[-(len(form) // 2) :])}


def marks_in(data: bytes, marks: Mapping[str, str]) -> set[str]:
    """Return the names of the marks that the data holds, packed or not."""
    views = [view for packed in (data, *_unpacked(data)) for view in _views(packed)]
    return {name for name, mark in marks.items() if any(one in view for one in needles(mark) for view in views)}


def _views(data: bytes) -> Iterator[bytes]:
    decoded = _ESCAPES.sub(lambda match: bytes.fromhex(match[1].decode()), unquote_to_bytes(data))
    yield data
    if decoded != data:
        yield decoded
    yield _BREAKS.sub(b"", decoded)


def _unpacked(data: bytes) -> Iterator[bytes]:
    if data.startswith(b"\x1f\x8b"):
        yield zlib.decompressobj(31).decompress(data, MOST_BYTES)
    if data.startswith(b"\xfd7zXZ"):
        yield lzma.LZMADecompressor().decompress(data, MOST_BYTES)


def files(top: str, since: float = 0.0, skip: str = "") -> Iterator[str]:
    """The files below a folder on its file system that changed since."""
    device = os.stat(top).st_dev
    left_out = re.compile(skip or r"\Z.")
    for folder, names, here in os.walk(top):
        names[:] = [name for name in names if _device(os.path.join(folder, name)) == device]
        for name in here:
            path = os.path.join(folder, name)
            about = os.lstat(path)
            if stat.S_ISREG(about.st_mode) and about.st_ctime >= since and not left_out.search(path):
                yield path


def _device(path: str) -> int:
    return os.lstat(path).st_dev


def content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MOST_BYTES)


def in_files(paths: Iterator[str], marks: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        try:
            names: list[str] = sorted(marks_in(content(path) + b"\n" + os.fsencode(path), marks))
            about = os.stat(path)
        except FileNotFoundError:
            continue
        if names:
            owner = pwd.getpwuid(about.st_uid).pw_name
            found[path] = {"marks": names, "owner": owner, "mode": f"{stat.S_IMODE(about.st_mode):04o}"}
    return found


def main() -> None:
    asked = json.load(sys.stdin)
    since = os.stat(asked["since"]).st_ctime
    json.dump(in_files(files("/", since, asked["skip"]), asked["marks"]), sys.stdout)


if __name__ == "__main__":
    main()
