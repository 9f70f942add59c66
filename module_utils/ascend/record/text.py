# SPDX-License-Identifier: Apache-2.0
r"""The form of a capture: a text that a person reads from top to bottom and that ``parse`` reads back exactly.

A line that begins with two blanks is only for people. The first character of the others says what they are::

    = N title        a section begins; ``= end N`` after the last of N sections
    @ {...}          what is known of the capture, or of the section, as JSON
    | text           a line of the section's content

In the text a backslash begins an escape: ``\\``, ``\t``, ``\r``, ``\xNN`` (a control character below 80, a byte that is
no UTF-8 from 80 on), ``\uNNNN``, ``\UNNNNNNNN``. All that a screen or a mail program might swallow is escaped, also a
blank at the end of a line. A backslash as the last character of a line: it continues in the next one; in the last line
of a section: no line feed follows there. Line ends may have become CRLF, blanks at the end of lines may be lost, and a
mail may have put ``> `` before every line.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Match, Optional, Sequence, Tuple

TITLE = "ascend-fleet record"
WIDTH = 300  # mail takes lines of at most 998 bytes, and a character may have three
MOST_PROBLEMS = 20

_UNSAFE = re.compile(r"[\\\x00-\x1f\x7f-\U0010ffff]|[ ]$")
_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U(000[0-9a-f]{5}|0010[0-9a-f]{4})|([\\tr]))")
_CHARACTER = re.compile(r"\\(?:x..|u.{4}|U.{8}|.)|[^\\]")
_QUOTE = re.compile(r"(?:>[ ]?)+")
_BEGIN = re.compile(r"([0-9]+) (.*)", re.DOTALL)
_SHORT = {"\\": "\\\\", "\t": "\\t", "\r": "\\r"}
_LONG = {"\\": "\\", "t": "\t", "r": "\r"}


@dataclass(frozen=True)
class Section:
    """A part of a capture. ``about`` contains its ``kind`` and details; ``content`` may be any text."""

    title: str
    about: Dict[str, Any]
    content: str


@dataclass(frozen=True)
class Capture:
    """A parsed capture: ``problems`` says what is damaged or cut, with the section; empty if nothing is."""

    about: Dict[str, Any]
    sections: Tuple[Section, ...]
    problems: Tuple[str, ...]


def write(about: Dict[str, Any], introduction: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the capture as printable text; ``introduction`` are lines for people, which ``parse`` does not read."""
    lines = [TITLE, *_lines("@", json.dumps(dict(about, sections=len(sections)), ensure_ascii=False)), ""]
    lines += [("  " + line).rstrip() for line in introduction]
    for number, section in enumerate(sections, 1):
        known = dict(section.about, bytes=_size(section.content), sha256=_digest(section.content))
        lines += ["", *_lines("=", "%d %s" % (number, section.title))]
        lines += _lines("@", json.dumps(known, ensure_ascii=False))
        lines += _content(section.content)
    lines += ["", "= end %d" % len(sections), ""]
    return "\n".join(lines)


def parse(text: str) -> Capture:
    """Return a capture's content. Never raises: damage is in ``problems``, and the rest is kept."""
    reader = _Reader()
    for mark, line in _marked(text):
        reader.take(mark, line)
    return reader.capture()


def escape(line: str) -> str:
    """Return a text as one line of printable characters."""
    return _UNSAFE.sub(_escaped, line)


def unescape(line: str) -> str:
    """Return what ``escape`` was given; a wrong escape stays as it is."""
    return _ESCAPED.sub(_unescaped, line)


def _escaped(match: Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:  # Python's own form of a byte that is no UTF-8
        return "\\x%02x" % (code & 0xFF)
    if character.isprintable():
        return character
    return "\\u%04x" % code if code < 0x10000 else "\\U%08x" % code


def _unescaped(match: Match[str]) -> str:
    byte, short, long, character = match.groups()
    if character:
        return _LONG[character]
    if byte:
        return chr(int(byte, 16) if int(byte, 16) < 0x80 else 0xDC00 + int(byte, 16))
    return chr(int(short or long, 16))


def _lines(mark: str, text: str, end: str = "") -> List[str]:
    """Return the physical lines of one logical line."""
    escaped = escape(text)
    if len(escaped) <= WIDTH:
        return [("%s %s%s" % (mark, escaped, end)).rstrip(" ")]
    parts = [""]
    for match in _CHARACTER.finditer(escaped):
        if len(parts[-1]) >= WIDTH:
            parts.append("")
        parts[-1] += match.group()
    return ["%s %s\\" % (mark, part) for part in parts[:-1]] + ["%s %s%s" % (mark, parts[-1], end)]


def _content(content: str) -> Iterator[str]:
    lines = content.split("\n")
    last = lines.pop()
    for line in lines:
        yield from _lines("|", line)
    if last:
        yield from _lines("|", last, "\\")


def _marked(text: str) -> Iterator[Tuple[str, str]]:
    """Yield (mark, escaped text) of each physical line that is not only for people."""
    for line in text.lstrip("\ufeff").split("\n"):
        line = _QUOTE.sub("", line.rstrip(), count=1) if line.startswith(">") else line.rstrip()
        if line[:1] in ("=", "@", "|") and line[1:2] in (" ", ""):
            yield line[0], line[2:]


def _continues(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _size(content: str) -> int:
    return len(_bytes(content))


def _digest(content: str) -> str:
    return hashlib.sha256(_bytes(content)).hexdigest()[:16]


def _bytes(content: str) -> bytes:
    return content.encode("utf-8", "surrogatepass")


class _Reader:
    def __init__(self) -> None:
        self._about: Optional[Dict[str, Any]] = None
        self._sections: List[Section] = []
        self._problems: List[str] = []
        self._open: List[str] = []  # the parts of a logical line that goes on
        self._mark = ""
        self._title: Optional[str] = None
        self._known: Optional[Dict[str, Any]] = None
        self._content: List[str] = []
        self._ended = False

    def take(self, mark: str, line: str) -> None:
        if self._open and mark != self._mark:
            self._finish_line("")
        self._mark = mark
        if _continues(line):
            self._open.append(unescape(line[:-1]))
        else:
            self._open.append(unescape(line))
            self._finish_line("\n")

    def capture(self) -> Capture:
        if self._open:
            self._finish_line("")
        self._close_section()
        if self._about is None:
            self._problem("this is not a record: it has no line that says what it is")
        if not self._ended:
            wanted = (self._about or {}).get("sections", "?")
            self._problem("the record is cut: it ends in section %d of %s" % (len(self._sections), wanted))
        return Capture(self._about or {}, tuple(self._sections), tuple(self._problems[:MOST_PROBLEMS]))

    def _finish_line(self, end: str) -> None:
        text = "".join(self._open)
        self._open = []
        if self._ended:
            return
        if self._mark == "|":
            self._content.append(text + end)
        elif self._mark == "@":
            self._take_known(text)
        else:
            self._begin(text)

    def _begin(self, text: str) -> None:
        self._close_section()
        match = _BEGIN.fullmatch(text)
        if text.startswith("end "):
            self._ended = True
            if text != "end %d" % len(self._sections):
                self._problem("sections are missing: the end says %r, %d exist" % (text, len(self._sections)))
        elif match:
            if int(match.group(1)) != len(self._sections) + 1:
                self._problem("section %d follows section %d" % (int(match.group(1)), len(self._sections)))
            self._title = match.group(2)

    def _take_known(self, text: str) -> None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            self._problem("section %d: its line @ is damaged" % (len(self._sections) + 1))
        elif self._title is not None:
            self._known = value
        elif self._about is None:
            self._about = value

    def _close_section(self) -> None:
        if self._title is not None:
            content = "".join(self._content)
            known = dict(self._known or {})
            if known.pop("bytes", None) != _size(content) or known.pop("sha256", None) != _digest(content):
                self._problem("section %d (%s) is damaged or cut" % (len(self._sections) + 1, self._title))
            self._sections.append(Section(self._title, known, content))
        self._title, self._known, self._content = None, None, []

    def _problem(self, words: str) -> None:
        self._problems.append(words)
