# SPDX-License-Identifier: Apache-2.0
"""One line of npu-smi's table: which columns a header names, which kind a row is, and what its cells contain.

A header's cell names one column or several ("Chip  Phy-ID"); a row's cell below it has one value for each. A row
above the processes is read with both headers, and counts as a card's or a chip's, whichever gives fewer wrong cells.
Then ``is_card`` or ``is_chip`` decides whether to trust it, because a wrong value is worse than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import tool_output

CARD, CHIP, PROCESS = "card", "chip", "process"  # the kinds of rows, and of the headers above them

Cell = Tuple[str, ...]  # the columns that one cell of a header names
Columns = Tuple[Cell, ...]

_MOST_CHARACTERS = 128  # of a name or a word for the health: what is longer is damage


def _word(text: str) -> Optional[str]:
    return _free_text(text) if text and tool_output.bus_id(text) is None else None


def _free_text(text: str) -> Optional[str]:
    return text if len(text) <= _MOST_CHARACTERS else None


# A column's name in small letters -> what its value is called here, and how it is read. Every name that has been seen.
_COLUMNS: Dict[str, Tuple[str, Callable[[str], Any]]] = {
    "npu": ("npu_id", tool_output.count),
    "npu id": ("npu_id", tool_output.count),
    "name": ("name", _word),
    "health": ("health", _word),
    "power(w)": ("power_w", tool_output.number),
    "temp(c)": ("temperature_c", tool_output.integer),
    "hugepages-usage(page)": ("hugepages", tool_output.pair),
    "chip": ("chip_id", tool_output.count),
    "device": ("device_id", tool_output.count),
    "phy-id": ("phy_id", tool_output.count),
    "bus-id": ("bus_id", tool_output.bus_id),
    "aicore(%)": ("aicore_percent", tool_output.percent),
    "npu util(%)": ("aicore_percent", tool_output.percent),
    "memory-usage(mb)": ("memory", tool_output.pair),
    "hbm-usage(mb)": ("hbm", tool_output.pair),
    "process id": ("pid", tool_output.count),
    "process id in container": ("container_pid", tool_output.count),
    "process name": ("process_name", _free_text),
    "process memory(mb)": ("memory_mb", tool_output.count),
}
_MOST_WORDS = max(len(name.split()) for name in _COLUMNS)
_TEXTS = ("name", "health", "process name")  # "NA" and "-" are words there, and blanks belong to them

# Where no header is left (npu-smi info | grep 910B3): a row is read if it is whole and fits one of these.
_CARD_MEASURES = ("Power(W)", "Temp(C)", "Hugepages-Usage(page)")
_CHIP_MEASURES = ("AICore(%)", "Memory-Usage(MB)", "HBM-Usage(MB)")
_EITHER_ID = "Device or Phy-ID"  # no known column: which of both it is, a header alone could say
_USUAL: Dict[str, Tuple[Columns, ...]] = {
    CARD: (
        (("NPU", "Name"), ("Health",), _CARD_MEASURES),
        (("NPU", "Name"), ("Health",), _CARD_MEASURES[:2]),
        (("NPU ID",), ("Name",), ("Health",), _CARD_MEASURES),
    ),
    CHIP: (
        (("Chip",), ("Bus-Id",), _CHIP_MEASURES),
        (("Chip", _EITHER_ID), ("Bus-Id",), _CHIP_MEASURES),
        (("Chip", _EITHER_ID), ("Bus-Id",), _CHIP_MEASURES[:2]),
        ((), (), ("Bus-Id",), _CHIP_MEASURES),
    ),
}
# One of these words makes a row a card's even if its measures are damaged or cut off.
_HEALTHS = ("OK", "WARNING", "ALARM", "CRITICAL", "UNKNOWN", "OFFLINE")
_GAP = re.compile(r"\s{2,}|\t")


def header_columns(line: str) -> Optional[Columns]:
    """Return the columns that this line names, None if it is not a header; most of a header's cells are known names."""
    cells = tool_output.cells(line)
    filled = [cell for cell in cells if cell.strip()]
    if not filled or filled[0].lstrip()[0].isdigit():
        return None
    columns = tuple(_column_names(cell) for cell in cells)
    known = sum(any(map(_is_known, names)) for names in columns)
    return columns if known > 1 and known * 2 > len(filled) else None


def kind_of(columns: Columns) -> str:
    """Return the kind of the rows below a header."""
    names = {name.lower() for cell in columns for name in cell}
    if names & {"process id", "process name"}:
        return PROCESS
    return CARD if names & {"npu", "npu id"} else CHIP


def unknown_names(columns: Columns) -> List[str]:
    """Return the names whose values are left out, as written in the header."""
    return [name for names in columns for name in names if not _is_known(name)]


def _is_known(name: str) -> bool:
    return name.lower() in _COLUMNS


def _column_names(cell: str) -> Cell:
    """Return the columns that a header's cell names: known ones, else the words between wide gaps."""
    names = _known_names(cell.split())
    if names is None:
        names = tuple(name for part in _GAP.split(cell.strip()) for name in _known_names(part.split()) or (part,))
    return names


def _known_names(words: List[str]) -> Optional[Cell]:
    """Return these words as known names, longest first ("NPU ID" is one, "NPU Name" two), else None."""
    names = []
    at = 0
    while at < len(words):
        parts = (" ".join(words[at : at + size]) for size in range(_MOST_WORDS, 0, -1))
        name = next(filter(_is_known, parts), None)
        if name is None:
            return None
        names.append(name)
        at += name.count(" ") + 1
    return tuple(names)


@dataclass(frozen=True)
class Cells:
    """The texts between a row's borders, and how many of them have their right border, because the last may be cut.

    A cut one has lost the word in which it was cut.
    """

    texts: List[str]
    closed: int


@dataclass(frozen=True)
class Row:
    """A row as read with one kind's header. ``cut``: cells are missing at its end, or the last one is incomplete."""

    kind: str
    values: Dict[str, Any]
    problems: List[str]
    bad_cells: int
    cut: bool


def looks_like_a_row(line: str) -> bool:
    """Whether this is a row whose left border is lost, and not a line of a log, many of which contain a "|", too."""
    return line.count("|") > 1 and line[0] != "[" and (tool_output.is_whole(line) or line.split(None, 1)[0].isdigit())


def row_cells(line: str) -> Cells:
    """Return the cells of a row that begins with its left border."""
    texts = tool_output.cells(line)
    if tool_output.is_whole(line):
        return Cells(texts, len(texts))
    return Cells(tool_output.without_cut_word(line, texts), len(texts) - 1)


def card_or_chip(headers: Dict[str, Columns], cells: Cells, chip_expected: bool) -> Optional[Row]:
    """Return the row as a card's or a chip's, whichever it fits better (the expected one if both); None if neither."""
    card, chip = _fitting(CARD, headers, cells), _fitting(CHIP, headers, cells)
    if card is None or chip is None:
        return card or chip
    if card.bad_cells == chip.bad_cells:
        return chip if chip_expected else card
    return min(card, chip, key=lambda row: row.bad_cells)


def process_row(columns: Columns, cells: Cells) -> Optional[Row]:
    """Return the row of a process; None if it has more cells than its header.

    Only the name is free text, so surplus cells are pieces of a name that contains the border's character. If the row
    is cut, that character hides which cell is which from the name on.
    """
    texts, closed = cells.texts, cells.closed
    name_at = next((at for at, names in enumerate(columns) if _is_process_name(names)), None)
    if name_at is None:
        return _row(PROCESS, columns, cells)
    too_many = len(texts) - len(columns)
    if closed < max(len(columns), len(texts)):
        texts, closed = texts[:name_at], min(closed, name_at)
    elif too_many > 0:
        after = name_at + 1 + too_many
        texts = [*texts[:name_at], "|".join(texts[name_at:after]), *texts[after:]]
        closed = len(texts)
    return _row(PROCESS, columns, Cells(texts, closed))


def _is_process_name(names: Cell) -> bool:
    return [name.lower() for name in names] == ["process name"]


def is_card(row: Row, headers: Dict[str, Columns], chip_expected: bool) -> bool:
    """Whether to trust it: what is damaged, cut, or in a chip's place must not become a card by chance."""
    if "npu_id" not in row.values:
        return False
    if "name" in row.values and row.values.get("health", "").upper() in _HEALTHS:
        return True
    return not (row.cut or row.bad_cells or chip_expected or _may_be_a_chip(row.values, headers.get(CARD, ())))


def is_chip(row: Row, bordered: bool) -> bool:
    """Whether to trust it: without borders, only its bus id distinguishes a damaged chip's row from the next card's."""
    return not (row.cut or row.bad_cells) or "bus_id" in row.values or (bordered and bool(row.values))


def is_process(row: Row) -> bool:
    """Whether to trust it: without a number, or without an NPU, it is not a process."""
    return "npu_id" in row.values and "pid" in row.values


def _may_be_a_chip(values: Dict[str, Any], columns: Columns) -> bool:
    """Whether a card's row may be a chip's without a bus id ("| 0  3 | NA | ..."), by its measures alone."""
    if not tool_output.is_absent(values.get("health", "")) or not values.get("name", "").isdigit():
        return False
    return bool(unknown_names(columns)) or not {"power_w", "temperature_c", "hugepages"}.intersection(values)


def _fitting(kind: str, headers: Dict[str, Columns], cells: Cells) -> Optional[Row]:
    """Return the row as one of this kind, by its header or the first of the usual ones that it fits completely."""
    if kind in headers:
        return _row(kind, headers[kind], cells)
    usual = (_row(kind, columns, cells) for columns in _USUAL[kind])
    return next((row for row in usual if row and not row.bad_cells and not row.cut), None)


def _row(kind: str, columns: Columns, cells: Cells) -> Optional[Row]:
    """Return the row's values by these columns; None if it has more cells, when their columns are unknown."""
    if len(cells.texts) > len(columns):
        return None
    values: Dict[str, Any] = {}
    problems: List[str] = []
    bad_cells = 0
    for text, names in zip(cells.texts[: cells.closed], columns):
        wrong = _read_cell(values, text.strip(), names)
        problems += wrong
        bad_cells += bool(wrong)
    if cells.closed < len(cells.texts):
        _read_cut_cell(values, cells.texts[cells.closed], columns[cells.closed])
    return Row(kind, values, problems, bad_cells, cells.closed < len(columns))


def _read_cell(values: Dict[str, Any], text: str, names: Cell) -> List[str]:
    """Add the cell's values to ``values``; return its problems."""
    words = _one_text_each(text, names)
    if words is None:
        wanted = ", ".join(names) or "nothing"
        return ["%s is not one value each of %s" % (tool_output.quoted(text), tool_output.quoted(wanted))]
    wrong = [(name, word) for name, word in zip(names, words) if not _read_value(values, name, word)]
    return ["%s is %s" % (name, tool_output.quoted(word)) for name, word in wrong]


def _read_cut_cell(values: Dict[str, Any], text: str, names: Cell) -> None:
    """Add the complete values of a cell that was cut; a text may continue after the cut."""
    for name, word in zip(names, _with_tight_slashes(text).split()):
        if name.lower() in _TEXTS:
            return
        _read_value(values, name, word)


def _read_value(values: Dict[str, Any], name: str, text: str) -> bool:
    """Add the value if there is one; return whether it is valid."""
    name = name.lower()
    if name not in _COLUMNS or (name not in _TEXTS and tool_output.is_absent(text)):
        return True
    key, read = _COLUMNS[name]
    value = read(text)
    if value is not None:
        values.setdefault(key, value)  # of two columns with one meaning, the first
    return value is not None


def _one_text_each(text: str, names: Cell) -> Optional[List[str]]:
    """Return one text per column, None if the cell has more or fewer."""
    if not names:
        return None if text else []
    if len(names) == 1:
        return [text]
    text = _with_tight_slashes(text)
    words = text.split()
    if len(words) == len(names):
        return words
    parts = _GAP.split(text)
    if len(parts) == len(names):
        return parts
    if names[-1].lower() == "name" and len(parts) == 1 and len(words) > len(names):
        return text.split(None, len(names) - 1)
    return None


def _with_tight_slashes(text: str) -> str:
    """Return "3318/65536" for "3318 / 65536": one word, then, is one value."""
    return "/".join(part.strip() for part in text.split("/"))
