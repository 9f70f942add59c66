# SPDX-License-Identifier: Apache-2.0
"""The log of a training run: its first error, its last lines, and which parts of a large one are fetched.

The account writes it, so it may contain anything, and links are not followed. Lines may also end with a carriage
return, as those of progress bars do.
"""

from __future__ import annotations

import os
import re
import stat
from typing import IO, List, Optional, Tuple

from ..masking import masked
from ..text import cut, one_line, printable, shortened

MB = 1024 * 1024
MOST = 16 * MB  # bytes of one file that are brought away
SEARCHED = 64 * MB  # bytes of a log's beginning in which its first error is looked for, then in its last MOST
AROUND = 64 * 1024  # bytes before and behind an error that are kept
LINE = 4096  # bytes of a line that count
LINE_SHOWN = 500  # characters
MOST_ERROR = 400  # characters
_BLOCK = 4 * MB
# A Python exception's last line, or HCCL's and CANN's numbers, at whatever a rank puts before its lines. Each begins
# with a letter and looks back for nothing: any text takes linear time, 64 MB half a second.
_ERRORS = [re.compile(each) for each in (rb"Error: \S", rb"Exception: \S", rb"Interrupt: \S", rb"E[A-Z]\d{4}[: ]")]
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def opened(path: str, uid: Optional[int] = None) -> Optional[IO[bytes]]:
    """Open a regular file, of that owner if one is given; None if there is none or it is a link."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and uid in (None, status.st_uid):
        return open(handle, "rb")
    os.close(handle)
    return None


def first_error(stream: IO[bytes]) -> str:
    """Return a log's first error, on one line, "" if there is none; later errors are its consequences."""
    place = _place(stream)
    return "" if place is None else _line(stream, place)


def error_of(path: str, uid: Optional[int] = None) -> str:
    """Return the first error of the log at that path, if it belongs to that owner; "" if there is none."""
    stream = opened(path, uid)
    if stream is None:
        return ""
    with stream:
        return first_error(stream)


def last_lines(text: str, count: int) -> List[str]:
    """Return the end of a log for a terminal: masked, without colours or terminal control characters."""
    lines = masked(_COLOUR.sub("", text)).splitlines()
    return [printable(shortened(line.expandtabs(), LINE_SHOWN)) for line in lines if line.strip()][-count:]


def kept(stream: IO[bytes], path: str) -> Tuple[bytes, str]:
    """Return (the log, its first error); one above MOST has only its beginning, the error's part and the end."""
    size = os.fstat(stream.fileno()).st_size
    place = _place(stream)
    error = "" if place is None else _line(stream, place)
    if size <= MOST:
        return _read(stream, 0, size), error
    half = MOST // 2
    parts = [(0, half), (size - half, size)]
    if place is not None and half <= place < size - half:
        parts.insert(1, (max(half, place - AROUND), min(size - half, place + AROUND)))
    found, end = [], 0
    for start, stop in parts:
        if start > end:
            found.append(b"\n... ascend-fleet: %d bytes are left out; all of it: %s\n" % (start - end, path.encode()))
        found.append(_read(stream, start, stop))
        end = stop
    return b"".join(found), error


def _place(stream: IO[bytes]) -> Optional[int]:
    """Return the place of the first error."""
    size = os.fstat(stream.fileno()).st_size
    place = _search(stream, 0, min(size, SEARCHED))
    if place is None and size > SEARCHED:
        place = _search(stream, max(SEARCHED, size - MOST), size)
    return place


def _search(stream: IO[bytes], start: int, end: int) -> Optional[int]:
    stream.seek(start)
    before = b""
    while start < end:
        block = stream.read(min(_BLOCK, end - start))
        if not block:
            return None
        text = before + block
        places = [match.start() for match in (each.search(text) for each in _ERRORS) if match]
        if places:
            return start - len(before) + min(places)
        start, before = start + len(block), block[-LINE:]
    return None


def _line(stream: IO[bytes], place: int) -> str:
    before = re.split(rb"[\r\n]", _read(stream, max(0, place - LINE), place))[-1]
    behind = re.split(rb"[\r\n]", _read(stream, place, place + LINE))[0]
    text = _COLOUR.sub("", (before + behind).decode("utf-8", "replace"))
    return cut(one_line(masked(text)), MOST_ERROR)


def _read(stream: IO[bytes], start: int, end: int) -> bytes:
    stream.seek(start)
    return stream.read(end - start)
