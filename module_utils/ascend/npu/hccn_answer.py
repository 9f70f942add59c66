# SPDX-License-Identifier: Apache-2.0
"""Parse any answer of hccn_tool: titles, pairs, tables with borders, other lines.

Formats: the manual "HCCN Tool Interface Reference" of the drivers 23 to 25 and of the Ascend 950, and captured output.
Nothing here raises on a text, or guesses: what cannot be read is a problem, and the rest is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import List, Optional, Set, Tuple

from . import tool_output
from .labels import Block

_DEVICE = re.compile(r"\s*\[dev(?:_?id|ice) ?([0-9]{1,4})\]")
_DATE = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) +[A-Z][a-z]{2} ")
_TITLE = re.compile(r"(?:info|statistics|table|records)$", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A table with borders. A cell of several lines contains line feeds."""

    columns: Tuple[str, ...]
    rows: Tuple[Tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """What is below one title (empty: below none)."""

    title: str
    pairs: Block
    lines: Tuple[str, ...]
    tables: Tuple[Table, ...]


@dataclass(frozen=True)
class Answer:
    """A parsed answer. ``device``: the number before every line, None if there is none."""

    device: Optional[int]
    sections: Tuple[Section, ...]
    problems: Tuple[str, ...]

    @property
    def pairs(self) -> Block:
        """The pairs of all sections."""
        return tuple(pair for section in self.sections for pair in section.pairs)


def read(text: str) -> Answer:
    """Return an answer of any form, taken apart."""
    reader = _Reader()
    for number, line in tool_output.lines(text):
        reader.line(number, line.expandtabs())
    devices = sorted(reader.devices)
    if len(devices) > 1:
        reader.problems.append("lines of %d devices" % len(devices))
    sections = tuple(part.done() for part in reader.parts if part.has_content())
    return Answer(devices[0] if len(devices) == 1 else None, sections, tuple(reader.problems))


@dataclass
class _Part:
    """A section that is being read."""

    title: str = ""
    pairs: List[Tuple[str, List[str]]] = field(default_factory=list)  # label, lines of its value
    lines: List[str] = field(default_factory=list)
    tables: List[Tuple[List[str], List[List[List[str]]]]] = field(
        default_factory=list
    )  # header, rows of cells of lines

    def has_content(self) -> bool:
        return bool(self.title or self.pairs or self.lines or self.tables)

    def done(self) -> Section:
        tables = tuple(
            Table(tuple(header), tuple(tuple("\n".join(cell) for cell in row) for row in rows))
            for header, rows in self.tables
        )
        pairs = tuple((label, "\n".join(value)) for label, value in self.pairs)
        return Section(self.title, pairs, tuple(self.lines), tables)


class _Reader:
    def __init__(self) -> None:
        self.parts = [_Part()]
        self.devices: Set[int] = set()
        self.problems: List[str] = []
        self._indent: Optional[int] = None  # of the pair that a deeper line continues
        self._in_table = False
        self._border = False  # the line before was one

    def line(self, number: int, line: str) -> None:
        prefix = _DEVICE.match(line)
        if prefix:
            self.devices.add(int(prefix.group(1)))
            line = line[prefix.end() :]
        words = line.strip()
        indent = len(line) - len(line.lstrip())
        if words[:1] == "|" or (words[:1] == "+" and not words.strip("+-= ")):
            self._table_line(number, words)
            return
        self._in_table = self._border = False
        if words == tool_output.ELIDED:
            self.problems.append("line %d: lines were left out" % number)
        elif not words:
            self._indent = None
        elif self._is_title(words, indent):
            title = words.strip("=").strip().rstrip(":").rstrip()
            self._indent = None
            if title:  # a ruler alone parts nothing
                self.parts.append(_Part(title))
        else:
            self._data(words, indent)

    def _is_title(self, words: str, indent: int) -> bool:
        if words.startswith("===") and words.endswith("==="):
            return True
        named = words.endswith(":") and not words.endswith("::")
        named = named and (":" in words[:-1] or _TITLE.search(words[:-1].rstrip()) is not None)
        return indent == 0 and (named or words.endswith(" TLV"))

    def _data(self, words: str, indent: int) -> None:
        part = self.parts[-1]
        key, colon, value = words.partition(":")
        if colon and key[:1].isalpha() and len(key) <= 60 and "[" not in key and not _DATE.match(words):
            part.pairs.append((key.strip(), [value.strip()] if value.strip() else []))
            self._indent = indent
        elif self._indent is not None and indent > self._indent:
            part.pairs[-1][1].append(words)
        else:
            part.lines.append(words)

    def _table_line(self, number: int, words: str) -> None:
        tables = self.parts[-1].tables
        self._indent = None
        if not words.startswith("|"):
            self._in_table = self._in_table and not self._border  # two borders: the end of one, the top of the next
            self._border = True
            return
        self._border = False
        cells = [cell.strip() for cell in words[1:-1].split("|")]
        if not words.endswith("|") or len(words) == 1:
            self.problems.append("line %d: a row without its end" % number)
        elif not self._in_table:
            tables.append((cells, []))
            self._in_table = True
        elif len(cells) != len(tables[-1][0]):
            self.problems.append("line %d: %d cells for %d columns" % (number, len(cells), len(tables[-1][0])))
        elif cells[0] or not tables[-1][1]:
            tables[-1][1].append([[cell] for cell in cells])
        else:
            for cell, before in zip(cells, tables[-1][1][-1]):
                before += [cell] if cell else []
