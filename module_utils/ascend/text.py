# SPDX-License-Identifier: Apache-2.0
"""Text for a terminal, a finding, a mail and a notification: printable, of a bounded length."""

from __future__ import annotations

from typing import List, Optional

SHOWN = 5  # how many names a text lists before it counts the rest


def printable(words: str) -> str:
    """Return text that is safe on a terminal or in a report; control and invisible characters become \\xNN."""
    return "".join(char if char.isprintable() or char == "\n" else "\\x%02x" % ord(char) for char in words)


def one_line(words: str) -> str:
    """Return printable words on one line, with one blank between any two."""
    return printable(" ".join(words.split()))


def cut(words: str, most: int) -> str:
    """Return at most so many characters, the last three of them dots if something was cut off."""
    words = words.rstrip()
    return words if len(words) <= most else words[: max(0, most - 3)] + "..."[:most]


def shortened(words: str, most: int) -> str:
    """Return at most so many characters of a tool's words, without its middle, because beginnings and ends say most."""
    if len(words) <= most:
        return words
    half = most // 2 - 3
    return "%s ... %s" % (words[:half].rstrip(), words[-half:].lstrip())


def listed(items: List[str], count: Optional[int] = None, most: int = SHOWN) -> str:
    """Return the first items; the others are counted (``count`` in all, if more are known than are listed)."""
    left = (len(items) if count is None else count) - len(items[:most])
    shown = ", ".join(items[:most])
    return shown if left <= 0 else "%s and %d more" % (shown, left)
