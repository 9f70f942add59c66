# SPDX-License-Identifier: Apache-2.0
"""Read the table of ``npu-smi info``.

The columns are those that the table's own header names, in its order: widths and driver versions decide nothing. What
cannot be read becomes a line in ``problems``; everything readable around it is kept. Nothing here raises on text.
Seen: npu-smi 21.0.3 to 25.5 and the Ascend 950's, cards of one to four chips, tables quoted with ``> ``, cut, elided,
without title or header, with log lines around.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Optional, Set, Tuple

from ansible.module_utils.ascend import tool_output


@dataclass(frozen=True)
class Device:
    """One chip of a card. None: the table has no such column, "NA" or "-" in it, or ``problems`` says why.

    ``health`` is the tool's word (OK, Warning, Alarm, Critical, UNKNOWN), empty when it cannot be read. ``device_id`` is
    the logical number (column Device), ``phy_id`` the physical one (Phy-ID). ``memory_*`` is the column
    Memory-Usage(MB) (DDR, 0 on a 910B), ``hbm_*`` HBM-Usage(MB), both in MB; ``hugepages_*`` in pages.
    """

    npu_id: int
    chip_id: Optional[int]
    name: str
    health: str
    device_id: Optional[int] = None
    phy_id: Optional[int] = None
    bus_id: Optional[str] = None
    power_w: Optional[float] = None
    temperature_c: Optional[int] = None
    aicore_percent: Optional[int] = None
    memory_used_mb: Optional[int] = None
    memory_total_mb: Optional[int] = None
    hbm_used_mb: Optional[int] = None
    hbm_total_mb: Optional[int] = None
    hugepages_used: Optional[int] = None
    hugepages_total: Optional[int] = None


@dataclass(frozen=True)
class Process:
    """A process that holds a chip; ``name`` may be empty. ``container_pid``: its id inside its container."""

    npu_id: int
    chip_id: Optional[int]
    pid: int
    name: str
    memory_mb: Optional[int]
    container_pid: Optional[int] = None


@dataclass(frozen=True)
class NpuSmiInfo:
    """What the table says; ``problems`` says what of it could not be read, as "line N: why".

    ``idle`` are the NPU ids of which the table says that no process runs there: one that is neither there nor in
    ``processes`` was not spoken of.
    """

    tool_version: Optional[str]
    driver_version: Optional[str]
    devices: Tuple[Device, ...]
    processes: Tuple[Process, ...]
    idle: Tuple[int, ...]
    problems: Tuple[str, ...]


def parse_info(text: str) -> NpuSmiInfo:
    """Return what the output of ``npu-smi info`` says. Never raises."""
    reader = _Reader()
    for number, line in tool_output.lines(text):
        reader.read(number, line)
    reader.finish()
    return NpuSmiInfo(
        reader.tool_version,
        reader.driver_version,
        tuple(reader.devices),
        tuple(reader.processes),
        tuple(dict.fromkeys(reader.idle)),
        tuple(reader.problems),
    )


CARD, CHIP, PROCESS = "card", "chip", "process"
# Column name -> the kind of row it belongs to ("" where several have it). Every name that has been seen.
_KIND = {
    "NPU": "",
    "NPU ID": "",
    "Name": CARD,
    "Health": CARD,
    "Power(W)": CARD,
    "Temp(C)": CARD,
    "Hugepages-Usage(page)": CARD,
    "Chip": "",
    "Device": CHIP,
    "Phy-ID": CHIP,
    "Bus-Id": CHIP,
    "AICore(%)": CHIP,
    "NPU Util(%)": CHIP,
    "Memory-Usage(MB)": CHIP,
    "HBM-Usage(MB)": CHIP,
    "Process id": PROCESS,
    "Process id in container": PROCESS,
    "Process name": PROCESS,
    "Process memory(MB)": PROCESS,
}
# Longer names first: "NPU ID" is one column, "NPU   Name" are two. What is no known name still holds its place.
_COLUMN = re.compile(
    r"(?:%s)(?!\S)|\S+" % "|".join(re.escape(name) for name in sorted(_KIND, key=len, reverse=True))
)
_TITLE = re.compile(r"\|\s*npu-smi\b")
_TOOL = re.compile(r"npu-smi\s+([^\s|]+)")
_DRIVER = re.compile(r"Version:\s*([^\s|]+)")
_BORDER = re.compile(r"[-+=|\s]*")
_BUS_ID = re.compile(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f]")
_HEALTH = re.compile(r"[A-Za-z]+")
_IDLE = re.compile(r"\|\s*No running processes found in NPU\s+([0-9]{1,18})\s*\|?\s*")
_SLASH = re.compile(r"\s*/\s*")

Columns = List[List[str]]
Values = Dict[str, str]


class _Reader:
    """Reads line by line. A card's row waits in ``_card`` for its chip's row, the next one."""

    def __init__(self) -> None:
        self.tool_version: Optional[str] = None
        self.driver_version: Optional[str] = None
        self.devices: List[Device] = []
        self.processes: List[Process] = []
        self.idle: List[int] = []
        self.problems: List[str] = []
        self._columns: Dict[str, Columns] = {}
        self._in_processes = False
        self._again = False  # below a second table's title
        self._card: Optional[Tuple[int, Values]] = None
        self._seen: Set[Tuple[int, Optional[int]]] = set()

    def read(self, number: int, line: str) -> None:
        inner = line.lstrip()
        if self._again or not inner or _BORDER.fullmatch(inner):
            return
        if inner.startswith("|"):
            self._table_line(number, inner)
        elif inner.rstrip() == tool_output.ELIDED:
            self._problem(number, "rows were left out of the table")
        elif inner.count("|") > 1 and self._columns and not inner.startswith(("+", "[")):
            self._problem(number, "a row without its left border: %s" % _quoted(inner))

    def finish(self) -> None:
        self._without_chip()
        if self._columns and not self._in_processes and not self.devices and not self.problems:
            self.problems.append("the table ends below its header")

    def _table_line(self, number: int, line: str) -> None:
        idle = _IDLE.fullmatch(line)
        if _TITLE.match(line):
            self._title(number, line)
        elif idle:
            self.idle.append(int(idle.group(1)))
        elif line.lstrip("| \t").startswith("No running"):
            if line.rstrip().endswith("|") and not re.search(r"[0-9]", line):
                return  # "No running processes found" of a table that does not name the NPU
            self._problem(number, "no NPU id in it: %s" % _quoted(line))
        else:
            cells = _cells(line)
            columns = [_header_columns(cell) for cell in cells]
            if _is_header(columns):
                self._header(number, columns)
            else:
                self._row(number, line, cells)

    def _title(self, number: int, line: str) -> None:
        if self._columns:
            self._problem(number, "a second table begins; it was not read")
            self._again = True
            return
        tool, driver = _TOOL.search(line), _DRIVER.search(line)
        # A title without its right border was cut: its last word may be, too.
        whole = line.rstrip().endswith("|") or line[-1:].isspace()
        self.tool_version = tool.group(1) if tool and (driver or whole) else None
        self.driver_version = driver.group(1) if driver and whole else None
        if not self.driver_version:
            self._problem(number, "no version in the title: %s" % _quoted(line))

    def _header(self, number: int, columns: Columns) -> None:
        kinds = [_KIND.get(name, "") for cell in columns for name in cell]
        kind = max((CARD, CHIP, PROCESS), key=kinds.count)
        unknown = [name for cell in columns for name in cell if name not in _KIND]
        if unknown:
            self._problem(number, "unknown columns: %s" % _quoted(" ".join(unknown)))
        if kind == PROCESS:
            self._without_chip()
        self._in_processes = kind == PROCESS
        self._columns[kind] = columns

    def _row(self, number: int, line: str, cells: List[str]) -> None:
        whole = line.rstrip().endswith("|")
        if not whole and cells and not line[-1:].isspace():
            # Cut inside a word: what is left of it is not a value.
            words = cells[-1].split()
            cells = cells[:-1] + [" ".join(words[:-1])]
        if self._in_processes:
            self._process(number, line, cells, whole)
            return
        kind = self._kind(cells)
        columns = self._columns.get(kind)
        if columns is None:
            columns = _assumed(kind, cells)
            self._problem(number, "no header names the columns of this %s; they were taken by their number" % kind)
        if len(cells) > len(columns) or (whole and len(cells) < len(columns)):
            self._unread(number, kind, "%d cells under a header of %d: %s" % (len(cells), len(columns), _quoted(line)))
            return
        values = self._named(number, cells, columns)
        if not whole:
            self._problem(number, "cut before its end: %s" % _quoted(line))
        if kind == CARD:
            self._without_chip()
            self._card = (number, values)
        else:
            self._chip(number, values)

    def _kind(self, cells: List[str]) -> str:
        """A chip's row has a bus id, a card's its health, in the same place; NA may be either, in turn."""
        if any(_BUS_ID.fullmatch(cell) for cell in cells):
            return CHIP
        place = next((i for i, cell in enumerate(self._columns.get(CARD, [])) if cell == ["Health"]), 1)
        word = cells[place] if place < len(cells) else ""
        if _HEALTH.fullmatch(word) and not tool_output.is_absent(word):
            return CARD
        return CHIP if self._card else CARD

    def _unread(self, number: int, kind: str, why: str) -> None:
        """A row whose cells are not the header's is not read at all: which value is which would be a guess."""
        if kind == CARD:
            self._without_chip()
        self._problem(number, why)
        if kind == CHIP and self._card:
            _, card = self._card
            self._card = None
            self._device(number, card, {})

    def _without_chip(self) -> None:
        if self._card:
            number, values = self._card
            self._card = None
            self._problem(number, "the card has no row of its chip")
            self._device(number, values, {})

    def _chip(self, number: int, values: Values) -> None:
        if not self._card:
            self._problem(number, "a chip's row without its card's")
            return
        _, card = self._card
        self._card = None
        self._device(number, card, values)

    def _device(self, number: int, card: Values, chip: Values) -> None:
        # A layout with the column "NPU ID" has one chip a card and no number for it.
        npu_id, name = tool_output.integer(card.get("NPU", card.get("NPU ID", ""))), card.get("Name", "")
        chip_id = 0 if chip and "NPU ID" in card else self._integer(number, chip, "Chip")
        if npu_id is None or npu_id < 0 or not name:
            self._problem(number, "no NPU id or name: %s" % _quoted(" ".join(card.values())))
            return
        if (npu_id, chip_id) in self._seen:
            self._problem(number, "NPU %d chip %s is there twice" % (npu_id, chip_id))
            return
        self._seen.add((npu_id, chip_id))
        bus_id = chip.get("Bus-Id", "")
        if not _BUS_ID.fullmatch(bus_id) and not tool_output.is_absent(bus_id):
            self._problem(number, "Bus-Id is %s" % _quoted(bus_id))
            bus_id = ""
        memory = self._pair(number, chip, "Memory-Usage(MB)")
        hbm = self._pair(number, chip, "HBM-Usage(MB)")
        hugepages = self._pair(number, card, "Hugepages-Usage(page)")
        self.devices.append(
            Device(
                npu_id=npu_id,
                chip_id=chip_id,
                name=name,
                health=card.get("Health", ""),
                device_id=self._integer(number, chip, "Device"),
                phy_id=self._integer(number, chip, "Phy-ID"),
                bus_id=None if tool_output.is_absent(bus_id) else bus_id.upper(),
                power_w=self._number(number, card, "Power(W)"),
                temperature_c=self._integer(number, card, "Temp(C)"),
                aicore_percent=self._integer(number, chip, "NPU Util(%)" if "NPU Util(%)" in chip else "AICore(%)"),
                memory_used_mb=memory[0],
                memory_total_mb=memory[1],
                hbm_used_mb=hbm[0],
                hbm_total_mb=hbm[1],
                hugepages_used=hugepages[0],
                hugepages_total=hugepages[1],
            )
        )

    def _process(self, number: int, line: str, cells: List[str], whole: bool) -> None:
        columns = self._columns[PROCESS]
        if whole and len(cells) > len(columns) and ["Process name"] in columns:
            # The name alone is free text, so it alone may hold the border's character.
            place, more = columns.index(["Process name"]), len(cells) - len(columns)
            cells = cells[:place] + ["|".join(cells[place : place + more + 1])] + cells[place + more + 1 :]
        if len(cells) != len(columns):
            self._problem(number, "%d cells under a header of %d: %s" % (len(cells), len(columns), _quoted(line)))
            return
        values = self._named(number, cells, columns)
        npu_id = tool_output.integer(values.get("NPU", values.get("NPU ID", "")))
        pid = tool_output.integer(values.get("Process id", ""))
        if npu_id is None or pid is None or not whole:
            self._problem(number, "no NPU id, no process id or no end: %s" % _quoted(line))
            return
        self.processes.append(
            Process(
                npu_id,
                0 if "NPU ID" in values else self._integer(number, values, "Chip"),
                pid,
                values.get("Process name", ""),
                self._integer(number, values, "Process memory(MB)"),
                self._integer(number, values, "Process id in container"),
            )
        )

    def _named(self, number: int, cells: List[str], columns: Columns) -> Values:
        """Return column name -> text. A cell of one column is its whole text, else its words, one a column."""
        values: Values = {}
        for cell, names in zip(cells, columns):
            text = _SLASH.sub("/", cell)
            if len(names) == 1:
                values[names[0]] = cell if names[0] == "Process name" else text
                continue
            words = text.split(None, len(names) - 1) if names[-1] == "Name" else text.split()
            if len(words) == len(names) and (names[-1] != "Name" or not re.match(r"\S+\s+\S*$|[0-9]+\s", words[-1])
                                             or re.match(r"[A-Za-z]", words[-1])):  # fmt: skip
                values.update(zip(names, words))
            elif names:
                self._problem(number, "%s is not one value each of %s" % (_quoted(cell), ", ".join(names)))
        return values

    def _integer(self, number: int, values: Values, name: str) -> Optional[int]:
        text = values.get(name, "")
        value = tool_output.integer(text)
        if value is None and not tool_output.is_absent(text):
            self._problem(number, "%s is %s" % (name, _quoted(text)))
        return value

    def _number(self, number: int, values: Values, name: str) -> Optional[float]:
        text = values.get(name, "")
        value = tool_output.number(text)
        if value is None and not tool_output.is_absent(text):
            self._problem(number, "%s is %s" % (name, _quoted(text)))
        return value

    def _pair(self, number: int, values: Values, name: str) -> Tuple[Optional[int], Optional[int]]:
        """Return (used, total) of "3862/65536"."""
        text = values.get(name, "")
        parts = text.split("/")
        if len(parts) == 2:
            pair = tool_output.integer(parts[0]), tool_output.integer(parts[1])
            if all(value is not None or tool_output.is_absent(part) for value, part in zip(pair, parts)):
                if pair[0] is not None and pair[1] is not None and pair[0] > pair[1]:
                    self._problem(number, "%s is %s: more used than there is" % (name, _quoted(text)))
                return pair
        if not tool_output.is_absent(text):
            self._problem(number, "%s is %s" % (name, _quoted(text)))
        return None, None

    def _problem(self, number: int, why: str) -> None:
        self.problems.append("line %d: %s" % (number, why))


def _header_columns(cell: str) -> List[str]:
    """Return the columns that a cell of a header names; unknown words that stand together are one column."""
    columns: List[str] = []
    end = None
    for match in _COLUMN.finditer(cell):
        name = match.group()
        if name not in _KIND and columns and columns[-1] not in _KIND and end == match.start() - 1:
            columns[-1] += " " + name
        else:
            columns.append(name)
        end = match.end()
    return columns


def _is_header(columns: Columns) -> bool:
    """A header begins with the name of a number, never with a number, and most of its cells hold known names."""
    first = next((name for cell in columns for name in cell), "")
    known = sum(any(name in _KIND for name in cell) for cell in columns)
    return not first[:1].isdigit() and known > 1 and known * 2 > sum(bool(cell) for cell in columns)


def _assumed(kind: str, cells: List[str]) -> Columns:
    """Return the columns of a row that stands below no header, by how many values its cells have."""
    last = len(_SLASH.sub("/", cells[-1]).split()) if cells else 0
    if kind == CARD:
        return [["NPU", "Name"], ["Health"], ["Power(W)", "Temp(C)", "Hugepages-Usage(page)"][:last] or ["Power(W)"]]
    first = ["Chip", "the second number"] if cells and len(cells[0].split()) == 2 else ["Chip"]
    return [first, ["Bus-Id"], ["AICore(%)", "Memory-Usage(MB)", "HBM-Usage(MB)"][:last] or ["AICore(%)"]]


def _cells(line: str) -> List[str]:
    line = line.rstrip()
    inner = line[1:-1] if line.endswith("|") and len(line) > 1 else line[1:]
    return [cell.strip() for cell in inner.split("|")]


def _quoted(text: str) -> str:
    """Return the text for a message: short, on one line, unprintable characters escaped."""
    short = " ".join(text.split())
    return repr(short if len(short) <= 60 else short[:57] + "...")
