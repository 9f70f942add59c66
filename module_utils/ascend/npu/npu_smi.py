# SPDX-License-Identifier: Apache-2.0
"""Read the table of ``npu-smi info``.

The columns are those that the table's own headers name, in their order: widths and driver versions decide nothing. What
cannot be read becomes a line in ``problems``; everything readable around it is kept. Nothing here raises on text.

A card has two rows, one below the other, and borders around them. Which header a row stands below is told by its values
(a bus id, "3318 / 65536", ...). A card's row takes the chip's row that follows it, and none from beyond a border or an
unreadable line: half a card is reported rather than one with another's values. What the text alone cannot tell is a
table that lost the end of one card and the beginning of the next, with the border between them.

Seen: npu-smi 21.0.3 to 25.5 and the Ascend 950's; cards of one to four chips; tables quoted with "> ", cut, elided,
without title, header or borders, with log lines around and between.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Set, Tuple

from ansible.module_utils.ascend.npu import tool_output
from ansible.module_utils.ascend.npu.npu_smi_rows import (
    CARD,
    CHIP,
    COLUMNS,
    NAME,
    PROCESS,
    USUAL,
    Columns,
    Row,
    header_columns,
    kind_of,
    looks_like_a_row,
    row_below,
)


@dataclass(frozen=True)
class Device:
    """One chip of a card. None: the table has no such column, "NA" or "-" in it, or ``problems`` says why.

    ``name`` is "" where no column is called so. ``health`` is the tool's word (OK, Warning, Alarm, Critical, UNKNOWN,
    ...), "" when it cannot be read. ``chip_id`` counts the chips of a card (the Ascend 950's table does not).
    ``device_id`` is the logical number (column Device), ``phy_id`` the physical one (Phy-ID). ``memory_*`` is the
    column Memory-Usage(MB) (DDR, 0 on a 910B), ``hbm_*`` HBM-Usage(MB), both in MB; ``hugepages_*`` in pages.
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


# One of these words makes a row a card's even if its measures are damaged or cut off.
_HEALTHS = ("OK", "WARNING", "ALARM", "CRITICAL", "UNKNOWN", "OFFLINE")
_TITLE = re.compile(r"\|\s*npu-smi\b")
# What nothing follows, neither a blank nor a border, may have been cut.
_TOOL = re.compile(r"npu-smi\s+(?!Version:)([^\s|]{1,128})[\s|]")
_DRIVER = re.compile(r"Version:\s*([^\s|]{1,128})[\s|]")
_NO_PROCESS = re.compile(r"\|\s*No\s+running")
_IDLE = re.compile(r"\|\s*No\s+running\s+processes\s+found(?:\s+in\s+NPU\s+([0-9]{1,18})(?:\s*\||\s)|\s*\|)\s*")


class _Reader:
    """Reads line by line. A card's row waits in ``_card`` for its chip's row."""

    def __init__(self) -> None:
        self.tool_version: Optional[str] = None
        self.driver_version: Optional[str] = None
        self.devices: List[Device] = []
        self.processes: List[Process] = []
        self.idle: List[int] = []
        self.problems: List[str] = []
        self._columns: Dict[str, Columns] = {}
        self._assumed: Set[str] = set()  # the kinds of rows that stand below no header
        self._left_out = 0  # a line "..." before everything else
        self._card: Optional[Tuple[int, Dict[str, Any]]] = None
        self._seen: Set[Tuple[Optional[int], ...]] = set()
        self._below: Optional[Tuple[int, str]] = None  # the title or the header below which nothing was read yet
        self._edge = ""  # what the last border is made of, "-" or "="
        self._row_line = 0  # the last row's
        self._cut_line = 0
        self._open = False  # no border yet after the last row, title or header
        self._empty_line = 0  # a border that follows another one
        self._over = False  # a second table has begun

    def read(self, number: int, line: str) -> None:
        inner = line.lstrip()
        if self._over or not inner:
            return
        if tool_output.is_elided(inner):
            self._elided(number)
        elif not inner.strip("| \t\r"):
            self._separate()
        elif tool_output.is_border(inner):
            self._border(number, inner)
        elif inner[0] == "|":
            self._table_line(number, inner)
        elif (self._columns or self._assumed) and looks_like_a_row(inner):
            self._unread(number, "a row without its left border: %s" % tool_output.quoted(inner))

    def finish(self) -> None:
        """Say whether the table seems to go on behind the text's end."""
        self._separate()
        if self._over:
            return
        if self._below:
            self._problem(self._below[0], "the table ends below its %s" % self._below[1])
        elif self._row_line == self._cut_line:
            return  # said there
        elif self._open and self._edge:
            self._problem(self._row_line, "the table ends without a border: it may go on")
        elif self._edge == "-" and PROCESS not in self._columns:
            self._problem(self._row_line, "the table ends within a card: it may go on")

    def _elided(self, number: int) -> None:
        if self._columns or self._assumed:
            self._unread(number, "rows were left out of the table")
        else:
            self._left_out = number  # of a table, if rows without a header follow

    def _border(self, number: int, line: str) -> None:
        self._separate()
        edge = "=" if "==" in line else "-"
        if not self._below and not self._row_line:
            return
        if not self._open:
            # "=" and "-" may be the end of the cards and the beginning of the processes: what follows will tell.
            self._empty_line = number
            if (self._edge, edge) != ("=", "-"):
                self._say_empty()
        self._edge, self._open = edge, False

    def _say_empty(self) -> None:
        if self._empty_line:
            self._problem(self._empty_line, "no row between two borders")
            self._empty_line = 0

    def _table_line(self, number: int, line: str) -> None:
        if _TITLE.match(line):
            self._title(number, line)
            return
        if _NO_PROCESS.match(line):
            self._no_process(number, line)
            return
        cells = tool_output.cells(line)
        columns = header_columns(cells)
        if columns:
            self._header(number, columns)
        elif PROCESS in self._columns:
            self._process(number, line, cells)
        else:
            self._row(number, line, [cell.strip() for cell in cells])

    def _title(self, number: int, line: str) -> None:
        if self._has_begun():
            self._second_table(number)
            return
        if self._below:
            self._problem(number, "the table begins again")
            self._columns = {}
        tool, driver = _TOOL.search(line), _DRIVER.search(line)
        self.tool_version = tool.group(1) if tool else None
        self.driver_version = driver.group(1) if driver else None
        self._begin(number, "title")
        if not self.driver_version:
            self._problem(number, "no version in the title: %s" % tool_output.quoted(line))

    def _header(self, number: int, columns: Columns) -> None:
        kind = kind_of(columns)
        if self._below and columns == self._columns.get(kind):
            return  # the same line again
        if PROCESS in self._columns or (kind != PROCESS and self._has_begun()):
            self._second_table(number)
            return
        if kind in self._columns:
            self._problem(number, "one more header than is known: %s" % tool_output.quoted(str(columns)))
            return
        self._separate()
        unknown = [name for cell in columns for name in cell if name.lower() not in COLUMNS]
        if unknown:
            self._problem(number, "unknown columns: %s" % tool_output.quoted(", ".join(unknown)))
        self._columns[kind] = columns
        self._begin(number, "header")

    def _begin(self, number: int, what: str) -> None:
        self._below, self._open, self._left_out, self._empty_line = (number, what), True, 0, 0

    def _has_begun(self) -> bool:
        return bool(self.devices or self._card or self.processes or self.idle or PROCESS in self._columns)

    def _second_table(self, number: int) -> None:
        self._separate()
        self._problem(number, "a second table begins; it was not read")
        self._over = True

    def _no_process(self, number: int, line: str) -> None:
        match = _IDLE.fullmatch(line)
        if not match:
            self._unread(number, "not understood: %s" % tool_output.quoted(line))
            return
        self._mark_row(number)
        if match.group(1):
            self.idle.append(int(match.group(1)))

    def _row(self, number: int, line: str, cells: List[str]) -> None:
        closed = len(cells)
        if not tool_output.is_whole(line):
            self._cut_line, closed = number, len(cells) - 1
            cells = tool_output.without_cut_word(line, cells)
        card, chip = self._fitting(CARD, cells, closed), self._fitting(CHIP, cells, closed)
        if card and (not chip or card.bad < chip.bad or (card.bad == chip.bad and not self._card)):
            self._card_row(number, line, card)
        elif chip:
            self._chip_row(number, line, chip)
        elif self._columns or self._assumed or cells[0][:1].isdigit():
            self._unread(number, "%d cells, which no header has: %s" % (len(cells), tool_output.quoted(line)))

    def _fitting(self, kind: str, cells: List[str], closed: int) -> Optional[Row]:
        """Return the row as one of this kind, None if it has more cells than its header."""
        if kind in self._columns:
            return row_below(self._columns[kind], cells, closed)
        usual = (row_below(columns, cells, closed) for columns in USUAL[kind])
        return next((row for row in usual if row and not row.bad and not row.cut), None)

    def _card_row(self, number: int, line: str, row: Row) -> None:
        # What is damaged, cut, or stands where the chip's row should be must not become a card by chance.
        sure = not (row.cut or row.bad or self._card or self._may_be_a_chip(row.values))
        sure = sure or ("name" in row.values and row.values.get("health", "").upper() in _HEALTHS)
        if not sure or "npu_id" not in row.values:
            self._unread(number, "no row of a card: %s" % tool_output.quoted(line))
            return
        self._separate()
        self._accept(number, CARD, row, line)
        self._card = (number, row.values)

    def _may_be_a_chip(self, values: Dict[str, Any]) -> bool:
        """A chip's row without a bus id ("| 0  3 | NA | ...") looks like a card's, but for its measures."""
        if not tool_output.is_absent(values.get("health", "")) or not values.get("name", "").isdigit():
            return False
        unknown = any(name.lower() not in COLUMNS for cell in self._columns.get(CARD, ()) for name in cell)
        return unknown or not {"power_w", "temperature_c", "hugepages"}.intersection(values)

    def _chip_row(self, number: int, line: str, row: Row) -> None:
        # Without borders, nothing but its bus id tells a damaged chip's row from the next card's.
        sure = not (row.cut or row.bad) or "bus_id" in row.values or bool(self._edge and row.values)
        if not sure or not self._card:
            self._unread(number, "no row of a chip below its card's: %s" % tool_output.quoted(line))
            return
        _, card = self._card
        self._card = None
        self._accept(number, CHIP, row, line)
        self._device(number, dict(card, **row.values))

    def _accept(self, number: int, kind: str, row: Row, line: str) -> None:
        self._mark_row(number)
        if kind not in self._columns and kind not in self._assumed:
            self._assumed.add(kind)
            if self._left_out:
                self._problem(self._left_out, "rows were left out of the table")
                self._left_out = 0
            self._problem(number, "no header names the columns of a %s; they were taken to be the usual ones" % kind)
        for why in row.problems:
            self._problem(number, why)
        if row.cut:
            self._cut_line = number
            self._problem(number, "cut before its end: %s" % tool_output.quoted(line))

    def _separate(self) -> None:
        """What follows is not of the waiting card: report it without the values of its chip."""
        if self._card:
            number, values = self._card
            self._card = None
            self._problem(number, "the card has no row of its chip")
            self._device(number, values)

    def _device(self, number: int, values: Dict[str, Any]) -> None:
        npu_id, chip_id = values["npu_id"], values.get("chip_id")
        if (npu_id, chip_id) in self._seen:
            self._problem(number, "NPU %d chip %s is there twice" % (npu_id, chip_id))
            return
        self._seen.add((npu_id, chip_id))
        pairs: Dict[str, Tuple[Optional[int], Optional[int]]] = {}
        for name in ("memory", "hbm", "hugepages"):
            used, total = pairs[name] = values.get(name, (None, None))
            if used is not None and total is not None and used > total:
                self._problem(number, "%s: %d of %d are used" % (name, used, total))
        self.devices.append(
            Device(
                npu_id=npu_id,
                chip_id=chip_id,
                name=values.get("name", ""),
                health=values.get("health", ""),
                device_id=values.get("device_id"),
                phy_id=values.get("phy_id"),
                bus_id=values.get("bus_id"),
                power_w=values.get("power_w"),
                temperature_c=values.get("temperature_c"),
                aicore_percent=values.get("aicore_percent"),
                memory_used_mb=pairs["memory"][0],
                memory_total_mb=pairs["memory"][1],
                hbm_used_mb=pairs["hbm"][0],
                hbm_total_mb=pairs["hbm"][1],
                hugepages_used=pairs["hugepages"][0],
                hugepages_total=pairs["hugepages"][1],
            )
        )

    def _process(self, number: int, line: str, cells: List[str]) -> None:
        columns = self._columns[PROCESS]
        place = next((i for i, cell in enumerate(columns) if tuple(map(str.lower, cell)) == NAME), len(columns))
        closed = len(cells)
        if not tool_output.is_whole(line):
            self._cut_line, closed = number, len(cells) - 1
            cells = tool_output.without_cut_word(line, cells)
        more = len(cells) - len(columns)
        if closed < len(columns):
            # The name alone is free text. The border's character in it hides which cell is which.
            cells, closed = cells[:place], min(closed, place)
        elif more > 0 and place < len(columns):
            cells[place : place + more + 1] = ["|".join(cells[place : place + more + 1])]
            closed = len(cells)
        row = row_below(columns, [cell.strip() for cell in cells], closed)
        if not row or "npu_id" not in row.values or "pid" not in row.values:
            self._unread(number, "no row of a process: %s" % tool_output.quoted(line))
            return
        npu_id, chip_id, pid = key = row.values["npu_id"], row.values.get("chip_id"), row.values["pid"]
        self._accept(number, PROCESS, row, line)
        if key in self._seen:
            self._problem(number, "process %d on NPU %d chip %s is there twice" % (pid, npu_id, chip_id))
            return
        self._seen.add(key)
        name, memory_mb = row.values.get("process_name", ""), row.values.get("memory_mb")
        self.processes.append(Process(npu_id, chip_id, pid, name, memory_mb, row.values.get("container_pid")))

    def _unread(self, number: int, why: str) -> None:
        self._separate()
        if self._columns or self._assumed:
            self._mark_row(number)
        self._problem(number, why)

    def _mark_row(self, number: int) -> None:
        self._say_empty()
        self._row_line, self._open, self._below = number, True, None

    def _problem(self, number: int, why: str) -> None:
        self.problems.append("line %d: %s" % (number, why))
