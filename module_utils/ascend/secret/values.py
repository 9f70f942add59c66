# SPDX-License-Identifier: Apache-2.0
"""Where a value ends: at its quote, at the end of its word as shells see it, or at the NUL after a word of /proc."""

from __future__ import annotations

import re
from typing import NamedTuple

MOST = 64 * 1024  # characters of a value
SHORT = 128  # of one that counts only when it looks drawn by chance

_OPENING = re.compile(r"\\{0,3}[\"'`]")
# A word without quotes around it: a quote within begins a part in which blanks stand, one at its end is not its own,
# nor is a comma before another name.
_BARE = re.compile(
    r"(?:[^\s\0\"'`\\;&|,]|,(?![\w.-]{0,40}[\"']?[=:])|\\[^\s\0\"'`]|\"(?![\s\0,;)}\]:]|\Z)[^\"\n\0]{0,256}\"?|'(?![\s\0,;)}\]:]|\Z)[^'\n\0]{0,256}'?)+"
)
_BRACKETS = {")": "(", "]": "[", "}": "{"}


class Value(NamedTuple):
    start: int
    end: int
    quoted: bool


def value_at(text: str, start: int, most: int = MOST) -> Value:
    """Return the value that begins at ``start``, without its quotes."""
    opening = _OPENING.match(text, start)
    if opening:
        return Value(opening.end(), _closing(text, opening.group(), opening.end(), most), True)
    if _is_word_of_command(text, start):
        end = text.find("\0", start)
        return Value(start, len(text) if end < 0 else end, False)
    match = _BARE.match(text, start, start + most)
    end = match.end() if match else start
    while end > start + 1 and text[end - 1] in ")]},;" and not _is_own(text, start, end):
        end -= 1
    return Value(start, end, False)


def find(text: str, mark: str, start: int, most: int) -> int:
    """Return where a mark is, or the end of the line if there is none."""
    line = text.find("\n", start, start + most)
    line = min(len(text), start + most) if line < 0 else line
    end = text.find(mark, start, line)
    return line if end < 0 else end


def _closing(text: str, mark: str, begin: int, most: int) -> int:
    """Return where the quotes end; one after a backslash is inside, and so are two single ones."""
    end = find(text, mark, begin, most)
    while mark == '"' and text[end - 1 : end] == "\\" and text[end : end + 1] == mark:
        end = find(text, mark, end + 1, most)
    while mark == "'" and text.startswith("''", end) and end > begin:
        end = find(text, mark, end + 2, most)
    return end


def _is_own(text: str, start: int, end: int) -> bool:
    """Whether the bracket at the end belongs to one within the value."""
    return _BRACKETS.get(text[end - 1], "\0") in text[start : min(end, start + 256)]


def _is_word_of_command(text: str, start: int) -> bool:
    """Whether NUL shows where the value ends: it is such a word, or the end of one without blanks before it."""
    begin = text.rfind("\0", max(0, start - SHORT), start)
    if begin < 0 and text.find("\0", start, start + MOST) < 0:
        return False
    return not re.search(r"\s", text[begin + 1 : start])
