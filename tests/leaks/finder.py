# SPDX-License-Identifier: Apache-2.0
"""Find marks, whole or by half, however they are written. The standard library alone: nodes run this file, too.

As a program it reads a JSON object, ``{"marks": {name: mark}, "since": path, "skip": pattern}``, and prints
``{path: {"marks": [name...], "owner": name, "mode": "0600"}}`` of the files that changed after that path.
"""

from __future__ import annotations

import base64
import functools
import json
import lzma
import os
import pwd
import re
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

MOST_BYTES = 64 << 20
LARGE = 1 << 20
_BREAKS = re.compile(rb"(?:\\+[nrt]|[\s\\\"'+])+")
_ESCAPES = re.compile(rb"\\u00([0-9a-fA-F]{2})")
# Also file systems of their own: what lies in them is no part of the one below.
TOPS = ("/", "/tmp", "/var/tmp", "/var/log/journal", "/run", "/dev/shm")


@functools.lru_cache(None)
def needles(mark: str) -> frozenset[bytes]:
    """Return what stands where half of the mark does: plain, in base64, in hexadecimal."""
    plain = mark.encode()
    forms = [plain, plain.hex().encode(), plain.hex().upper().encode()]
    for before in range(3):  # base64 has no seams between bytes
        text = base64.b64encode(b"\0" * before + plain)[(0, 2, 3)[before] : (before + len(plain)) * 8 // 6]
        forms += [text, text.replace(b"+", b"-").replace(b"/", b"_")]
    return frozenset(half for form in forms for half in (form[: len(form) // 2], form[-(len(form) // 2) :]))


def marks_in(data: bytes, marks: Mapping[str, str]) -> set[str]:
    """Return the names of the marks that the data holds, packed or not."""
    wanted = {needle: name for name, mark in marks.items() for needle in needles(mark)}
    return {
        wanted[needle]
        for packed in (data, *_unpacked(data))
        for view in _views(packed)
        for needle in _present(view, list(wanted))
    }


def _present(data: bytes, wanted: list[bytes]) -> set[bytes]:
    if len(data) < LARGE:
        return {needle for needle in wanted if needle in data}
    number = os.memfd_create("needles")  # no file, which would be found itself
    try:
        os.write(number, b"\n".join(wanted))
        argv = ["grep", "--text", "--only-matching", "--fixed-strings", "--file", f"/proc/self/fd/{number}"]
        env = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(argv, input=data, stdout=subprocess.PIPE, check=False, env=env, pass_fds=[number])
    finally:
        os.close(number)
    if done.returncode > 1:
        raise RuntimeError("grep failed")
    return set(done.stdout.splitlines())


def _views(data: bytes) -> Iterator[bytes]:
    decoded = _ESCAPES.sub(lambda match: bytes.fromhex(match[1].decode()), unquote_to_bytes(data))
    yield data
    if decoded != data:
        yield decoded
    yield _BREAKS.sub(b"", decoded).replace(b"\0", b"")  # UTF-16, too


def _unpacked(data: bytes) -> Iterator[bytes]:
    if data.startswith(b"\x1f\x8b"):
        yield zlib.decompressobj(31).decompress(data, MOST_BYTES)
    if data.startswith(b"\xfd7zXZ"):
        yield lzma.LZMADecompressor().decompress(data, MOST_BYTES)


def files(top: str, since: float = 0.0, skip: str = "") -> Iterator[str]:
    """The files below a folder, on its file system, that changed since."""
    device = os.stat(top).st_dev
    left_out = re.compile(skip or r"\Z.")
    for folder, names, here in os.walk(top):
        names[:] = [name for name in names if _is(os.path.join(folder, name), lambda about: about.st_dev == device)]
        for path in (os.path.join(folder, name) for name in here):
            if not left_out.search(path) and _is(path, lambda it: stat.S_ISREG(it.st_mode) and it.st_ctime >= since):
                yield path


def _is(path: str, right: Callable[[os.stat_result], bool]) -> bool:
    try:
        return right(os.lstat(path))
    except FileNotFoundError:
        return False


def content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MOST_BYTES)


def in_files(paths: Iterable[str], marks: Mapping[str, str]) -> dict[str, dict[str, Any]]:
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
    paths = {path for top in TOPS if os.path.isdir(top) for path in files(top, since, asked["skip"])}
    json.dump(in_files(sorted(paths), asked["marks"]), sys.stdout)


if __name__ == "__main__":
    main()
