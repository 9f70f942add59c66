# SPDX-License-Identifier: Apache-2.0
"""The rows of npu-smi's table: which columns a header names, and what the cells of a row below it hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

from ansible.module_utils.ascend.npu import tool_output

CARD, CHIP, PROCESS = "card", "chip", "process"
MOST_CHARACTERS = 128  # of a name, a version, a word for the health: what is longer is damage


def _words(text: str) -> Optional[str]:
    return text if 0 < len(text) <= MOST_CHARACTERS and tool_output.bus_id(text) is None else None


def _free(text: str) -> Optional[str]:
    return text if len(text) <= MOST_CHARACTERS else None


# A column's name in small letters -> what its value is called here, and how it is read. Every name that has been seen.
COLUMNS: Dict[str, Tuple[str, Callable[[str], Any]]] = {
    "npu": ("npu_id", tool_output.count),
    "npu id": ("npu_id", tool_output.count),
    "name": ("name", _words),
    "health": ("health", _words),
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
    "process name": ("process_name", _free),
    "process memory(mb)": ("memory_mb", tool_output.count),
}
_LONGEST = max(len(name.split()) for name in COLUMNS)
_TEXTS = ("name", "health", "process name")  # "NA" and "-" are words there, and blanks belong to them
NAME = ("process name",)
Cell = Tuple[str, ...]  # the columns that one cell of a header names
Columns = Tuple[Cell, ...]
# Where no header is left (npu-smi info | grep 910B3): a row is read if it is whole and fits one of these.
_CARD_MEASURES = ("Power(W)", "Temp(C)", "Hugepages-Usage(page)")
_CHIP_MEASURES = ("AICore(%)", "Memory-Usage(MB)", "HBM-Usage(MB)")
USUAL: Dict[str, Tuple[Columns, ...]] = {
    CARD: (
        (("NPU", "Name"), ("Health",), _CARD_MEASURES),
        (("NPU", "Name"), ("Health",), _CARD_MEASURES[:2]),
        (("NPU ID",), ("Name",), ("Health",), _CARD_MEASURES),
    ),
    CHIP: (
        (("Chip",), ("Bus-Id",), _CHIP_MEASURES),
        (("Chip", "Device or Phy-ID"), ("Bus-Id",), _CHIP_MEASURES),
        (("Chip", "Device or Phy-ID"), ("Bus-Id",), _CHIP_MEASURES[:2]),
        ((), (), ("Bus-Id",), _CHIP_MEASURES),
    ),
}
_SLASH = re.compile(r"\s*/\s*")
_GAP = re.compile(r"\s{2,}|\t")


@dataclass(frozen=True)
class Row:
    """A row read below one header: its values, what is wrong and with how many cells, and whether it was cut."""

    values: Dict[str, Any]
    problems: List[str]
    bad: int
    cut: bool


def looks_like_a_row(line: str) -> bool:
    """A row whose left border is lost; not a line of a log, many of which hold a "|", too."""
    return line.count("|") > 1 and line[0] != "[" and (tool_output.is_whole(line) or line.split(None, 1)[0].isdigit())


def header_columns(cells: List[str]) -> Optional[Columns]:
    """Return the columns that this line names, None if it is no header: most of its cells hold names that are known."""
    filled = [cell for cell in cells if cell.strip()]
    if not filled or filled[0].lstrip()[0].isdigit():
        return None
    columns = tuple(_names(cell) for cell in cells)
    known = sum(any(name.lower() in COLUMNS for name in cell) for cell in columns)
    return columns if known > 1 and known * 2 > len(filled) else None


def _names(cell: str) -> Cell:
    """Return the columns that a header's cell names: known ones, else what wide gaps separate."""
    names = _known(cell.split())
    if names is None:
        names = tuple(name for part in _GAP.split(cell.strip()) for name in _known(part.split()) or (part,))
    return names


def _known(words: List[str]) -> Optional[Cell]:
    """Return the known names that these words are, longest first ("NPU ID" is one, "NPU Name" two), else None."""
    names = []
    at = 0
    while at < len(words):
        parts = (" ".join(words[at : at + size]) for size in range(_LONGEST, 0, -1))
        name = next((part for part in parts if part.lower() in COLUMNS), None)
        if name is None:
            return None
        names.append(name)
        at += name.count(" ") + 1
    return tuple(names)


def kind_of(columns: Columns) -> str:
    names = {name.lower() for cell in columns for name in cell}
    if "process id" in names or "process name" in names:
        return PROCESS
    return CARD if "npu" in names or "npu id" in names else CHIP


def row_below(columns: Columns, cells: List[str], closed: int) -> Optional[Row]:
    """Return the row's values by these columns; None if it has more cells: which is which is unknown then.

    ``closed``: how many of the cells have their right border. A row that has too few of them was cut.
    """
    if len(cells) > len(columns):
        return None
    values: Dict[str, Any] = {}
    problems: List[str] = []
    bad = 0
    for text, names in zip(cells[:closed], columns):
        if not _read_cell(values, problems, text, names):
            bad += 1
    if closed < len(cells):
        _read_beginning(values, cells[closed], columns[closed])
    return Row(values, problems, bad, closed < len(columns))


def _read_cell(values: Dict[str, Any], problems: List[str], text: str, names: Cell) -> bool:
    words = _values(text, names)
    if words is None:
        wanted = ", ".join(names) or "nothing"
        problems.append("%s is not one value each of %s" % (tool_output.quoted(text), tool_output.quoted(wanted)))
        return False
    good = True
    for name, word in zip(names, words):
        if not _read_value(values, name.lower(), word):
            problems.append("%s is %s" % (name, tool_output.quoted(word)))
            good = False
    return good


def _read_beginning(values: Dict[str, Any], text: str, names: Cell) -> None:
    """Read the whole values of a cell that was cut; a text may go on behind the cut."""
    for name, word in zip(names, _SLASH.sub("/", text).split()):
        if name.lower() in _TEXTS:
            return
        _read_value(values, name.lower(), word)


def _read_value(values: Dict[str, Any], name: str, text: str) -> bool:
    if name not in COLUMNS or (name not in _TEXTS and tool_output.is_absent(text)):
        return True
    key, read = COLUMNS[name]
    value = read(text)
    if value is not None:
        values.setdefault(key, value)  # of two columns with one meaning, the first
    return value is not None


def _values(text: str, names: Cell) -> Optional[List[str]]:
    """Return one text a column, None if the cell has more or fewer."""
    if len(names) < 2:
        return [text][: len(names)] if names or not text else None
    if "/" in text:
        text = _SLASH.sub("/", text)
    words = text.split()
    if len(words) == len(names):
        return words
    parts = _GAP.split(text)
    if len(parts) == len(names):
        return parts
    if names[-1].lower() == "name" and len(parts) == 1 and len(words) > len(names):
        return text.split(None, len(names) - 1)
    return None
