# SPDX-License-Identifier: Apache-2.0
"""Read the table of ``npu-smi info``.

How a table is read, line by line:

* A header (of the cards, their chips, the processes) names the columns of its rows, in their order: widths and driver
  versions decide nothing. If a card's or chip's header is lost, rows are read that fit the usual columns completely.
* A card has two rows, one below the other, and borders around them. The card's row waits for the chip's; the two are a
  ``Device``. Anything else (a border, an unreadable line, the next card) ends the wait: half a card is reported
  rather than one with another's values. A row's values show which kind it is (``npu_smi_rows``).
* Below the header of the processes, a row is a ``Process``, or says that an NPU has none.
* A second title, or a header behind rows, begins another table: reading ends there.
* What cannot be read becomes a line in ``problems``; everything readable around it is kept. Nothing raises on text.
* The borders show that lines are missing (``_Frame``), except where the end of one card, the beginning of the next and
  the border between them are gone together: the text alone cannot tell that.

Seen: npu-smi 21.0.3 to 25.5 and the Ascend 950's; cards of one to four chips; tables cut, elided, without title,
header or borders, with log lines around and between.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from . import npu_smi_rows as rows, tool_output
from .npu_smi_rows import CARD, PROCESS, Columns, Row


@dataclass(frozen=True)
class Device:
    """One chip of a card. None: the table has no such column, "NA" or "-" in it, or ``problems`` says why.

    ``name`` is "" if no column has that name. ``health`` is the tool's word (OK, Warning, Alarm, Critical, UNKNOWN,
    ...), "" if it cannot be read. ``chip_id`` counts the chips of a card (the Ascend 950's table does not).
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
    """A process that uses a chip; ``name`` may be empty. ``container_pid``: its id inside its container."""

    npu_id: int
    chip_id: Optional[int]
    pid: int
    name: str
    memory_mb: Optional[int]
    container_pid: Optional[int] = None


@dataclass(frozen=True)
class NpuSmiInfo:
    """What the table says; ``problems`` says what could not be read, as "line N: why".

    ``idle`` are the NPU ids of which the table says that no process runs there: one that is neither there nor in
    ``processes`` was not mentioned. ``unread_processes`` has the NPU id of each row of a process that could not be
    read, None if not even that could.
    """

    tool_version: Optional[str]
    driver_version: Optional[str]
    devices: Tuple[Device, ...]
    processes: Tuple[Process, ...]
    idle: Tuple[int, ...]
    problems: Tuple[str, ...]
    unread_processes: Tuple[Optional[int], ...] = ()


def parse_info(text: str) -> NpuSmiInfo:
    """Return what the output of ``npu-smi info`` says. Never raises."""
    reader = _Reader()
    for number, line in tool_output.lines(text):
        reader.read(number, line)
    return reader.finish()


TITLE, HEADER, ROW, CUT_ROW = "title", "header", "row", "cut row"

_TITLE = re.compile(r"\|\s*npu-smi\b")
# What nothing follows, neither a blank nor a border, may have been cut.
_TOOL = re.compile(r"npu-smi\s+(?!Version:)([^\s|]{1,128})[\s|]")
_DRIVER = re.compile(r"Version:\s*([^\s|]{1,128})[\s|]")
_NO_PROCESS = re.compile(r"\|\s*No\s+running")
_IDLE = re.compile(r"\|\s*No\s+running\s+processes\s+found(?:\s+in\s+NPU\s+([0-9]{1,18})(?:\s*\||\s)|\s*\|)\s*")


class _Frame:
    """The borders, and what was last between them, which shows whether lines of the table are missing."""

    def __init__(self, problem: Callable[[int, str], None]) -> None:
        self._problem = problem
        self._last: Optional[Tuple[int, str]] = None  # the last line that is no border, and which of the above it is
        self._border = ""  # what the last border is made of, "-" or "="
        self._open = False  # no border yet below the last line
        self._empty = 0  # the line of a border that follows another one, until it is told what this means

    def has_borders(self) -> bool:
        return bool(self._border)

    def awaits_rows(self) -> bool:
        """Whether nothing was read yet below a title or a header."""
        return self._last is not None and self._last[1] in (TITLE, HEADER)

    def heading(self, number: int, what: str) -> None:
        self._last, self._open, self._empty = (number, what), True, 0

    def row(self, number: int, cut: bool = False) -> None:
        self._say_empty()
        self._last, self._open = (number, CUT_ROW if cut else ROW), True

    def border(self, number: int, line: str) -> None:
        border = "=" if "==" in line else "-"
        if not self._last:
            return  # of no table yet
        if not self._open:
            # "=" and "-" may be the end of the cards and the beginning of the processes: what follows will tell.
            self._empty = number
            if (self._border, border) != ("=", "-"):
                self._say_empty()
        self._border, self._open = border, False

    def end(self, within_processes: bool) -> None:
        """Say whether the table seems to continue after the text's end."""
        if not self._last or self._last[1] == CUT_ROW:
            return  # no table, or said there
        number, what = self._last
        if what in (TITLE, HEADER):
            self._problem(number, "the table ends below its %s" % what)
        elif self._open and self._border:
            self._problem(number, "the table ends without a border, so it may continue")
        elif self._border == "-" and not within_processes:
            self._problem(number, "the table ends within a card, so it may continue")

    def _say_empty(self) -> None:
        if self._empty:
            self._problem(self._empty, "no row between two borders")
            self._empty = 0


class _Reader:
    """Reads line by line, and joins rows to devices and processes."""

    def __init__(self) -> None:
        self._tool_version: Optional[str] = None
        self._driver_version: Optional[str] = None
        self._devices: Dict[Tuple[int, Optional[int]], Device] = {}  # by NPU and chip
        self._processes: Dict[Tuple[int, int, Optional[int]], Process] = {}  # by number, NPU and chip
        self._unread_processes: List[Optional[int]] = []
        self._idle: Dict[int, None] = {}  # a set in the table's order
        self._all_idle = False  # "No running processes found", of no NPU in particular
        self._problems: List[str] = []
        self._frame = _Frame(self._problem)
        self._headers: Dict[str, Columns] = {}  # by the kind of their rows
        self._headless: Set[str] = set()  # the kinds of rows that were read without a header
        self._left_out = 0  # the line of a "..." above everything else
        self._waiting: Optional[Tuple[int, Dict[str, Any]]] = None  # a card's row, until its chip's comes
        self._over = False  # a second table has begun

    def read(self, number: int, line: str) -> None:
        line = line.lstrip()
        if self._over or not line:
            return
        if tool_output.is_elided(line):
            self._elided(number)
        elif not line.strip("| \t\r"):
            self._end_card()  # an empty row: as good as a border
        elif tool_output.is_border(line):
            self._end_card()
            self._frame.border(number, line)
        elif line[0] == "|":
            self._line(number, line)
        elif self._in_table() and rows.looks_like_a_row(line):
            self._unread(number, "a row without its left border", line)
            if PROCESS in self._headers:
                self._unread_processes.append(None)

    def finish(self) -> NpuSmiInfo:
        """Return what was read; call it after the last line."""
        self._end_card()
        if not self._over:
            self._frame.end(PROCESS in self._headers)
        return NpuSmiInfo(
            self._tool_version,
            self._driver_version,
            tuple(self._devices.values()),
            tuple(self._processes.values()),
            self._idle_cards(),
            tuple(self._problems),
            tuple(self._unread_processes),
        )

    def _idle_cards(self) -> Tuple[int, ...]:
        if self._all_idle and not (self._idle or self._processes or self._unread_processes):
            return tuple({device.npu_id: None for device in self._devices.values()})
        return tuple(self._idle)

    def _line(self, number: int, line: str) -> None:
        columns = rows.header_columns(line)
        if _TITLE.match(line):
            self._title(number, line)
        elif _NO_PROCESS.match(line):
            self._no_process(number, line)
        elif columns:
            self._header(number, columns)
        elif PROCESS in self._headers:
            self._process_row(number, line)
        else:
            self._card_or_chip_row(number, line)

    def _in_table(self) -> bool:
        """Whether a table has begun; before that, a line may be anything."""
        return bool(self._headers or self._headless)

    def _has_rows(self) -> bool:
        """Whether a title or a header at this point would belong to a second table."""
        return bool(self._devices or self._waiting or self._idle or PROCESS in self._headers)

    def _title(self, number: int, line: str) -> None:
        if self._has_rows():
            self._second_table(number)
            return
        if self._frame.awaits_rows():
            self._problem(number, "the table begins again")
            self._headers = {}
        tool, driver = _TOOL.search(line), _DRIVER.search(line)
        self._tool_version = tool.group(1) if tool else None
        self._driver_version = driver.group(1) if driver else None
        self._begin(number, TITLE)
        if not driver:
            self._problem(number, "no version in the title", line)

    def _header(self, number: int, columns: Columns) -> None:
        kind = rows.kind_of(columns)
        if self._frame.awaits_rows() and columns == self._headers.get(kind):
            return  # the same line again
        if PROCESS in self._headers or (kind != PROCESS and self._has_rows()):
            self._second_table(number)
            return
        if kind in self._headers:
            self._problem(number, "one header too many", str(columns))
            return
        self._end_card()
        unknown = rows.unknown_names(columns)
        if unknown:
            self._problem(number, "unknown columns", ", ".join(unknown))
        self._headers[kind] = columns
        self._begin(number, HEADER)

    def _begin(self, number: int, what: str) -> None:
        self._frame.heading(number, what)
        self._left_out = 0  # that was above the table

    def _second_table(self, number: int) -> None:
        self._end_card()
        self._problem(number, "a second table begins; it was not read")
        self._over = True

    def _card_or_chip_row(self, number: int, line: str) -> None:
        cells = rows.row_cells(line)
        row = rows.card_or_chip(self._headers, cells, chip_expected=self._waiting is not None)
        if row and row.kind == CARD:
            self._card_row(number, line, row)
        elif row:
            self._chip_row(number, line, row)
        elif self._in_table() or cells.texts[0].lstrip()[:1].isdigit():
            self._unread_row(number, "%d cells, which match no header" % len(cells.texts), line)

    def _card_row(self, number: int, line: str, row: Row) -> None:
        if not rows.is_card(row, self._headers, chip_expected=self._waiting is not None):
            self._unread_row(number, "not a row of a card", line)
            return
        self._end_card()
        self._accept(number, line, row)
        self._waiting = (number, row.values)

    def _chip_row(self, number: int, line: str, row: Row) -> None:
        if not self._waiting or not rows.is_chip(row, self._frame.has_borders()):
            self._unread_row(number, "not a row of a chip below its card's", line)
            return
        _, card = self._waiting
        self._waiting = None
        self._accept(number, line, row)
        self._add_device(number, dict(card, **row.values))

    def _end_card(self) -> None:
        """The following lines do not belong to the waiting card: report it without its chip's values."""
        if self._waiting:
            number, values = self._waiting
            self._waiting = None
            self._problem(number, "the card has no row of its chip")
            self._add_device(number, values)

    def _add_device(self, number: int, values: Dict[str, Any]) -> None:
        device = _device(values)
        key = (device.npu_id, device.chip_id)
        if key in self._devices:
            self._problem(number, "NPU %d chip %s appears twice" % key)
            return
        for name in ("memory", "hbm", "hugepages"):
            used, total = values.get(name, (None, None))
            if used is not None and total is not None and used > total:
                self._problem(number, "%s: %d of %d are used" % (name, used, total))
        self._devices[key] = device

    def _process_row(self, number: int, line: str) -> None:
        row = rows.process_row(self._headers[PROCESS], rows.row_cells(line))
        if not row or not rows.is_process(row):
            self._unread_row(number, "not a row of a process", line)
            self._unread_processes.append(row.values.get("npu_id") if row else None)
            return
        self._accept(number, line, row)
        process = _process(row.values)
        key = (process.pid, process.npu_id, process.chip_id)
        if key in self._processes:
            self._problem(number, "process %d on NPU %d chip %s appears twice" % key)
            return
        self._processes[key] = process

    def _no_process(self, number: int, line: str) -> None:
        match = _IDLE.fullmatch(line)
        if not match:
            self._unread(number, "not understood", line)
            return
        self._frame.row(number)
        if match.group(1):
            self._idle[int(match.group(1))] = None
        else:
            self._all_idle = True

    def _accept(self, number: int, line: str, row: Row) -> None:
        self._frame.row(number, row.cut)
        if row.kind not in self._headers and row.kind not in self._headless:
            self._headless.add(row.kind)
            if self._left_out:
                self._problem(self._left_out, "rows were left out of the table")
                self._left_out = 0
            why = "no header names the columns of a %s; they were taken to be the usual ones"
            self._problem(number, why % row.kind)
        for why in row.problems:
            self._problem(number, why)
        if row.cut:
            self._problem(number, "cut before its end", line)

    def _elided(self, number: int) -> None:
        if self._in_table():
            self._unread(number, "rows were left out of the table")
        else:
            self._left_out = number  # of a table, if rows without a header follow

    def _unread_row(self, number: int, why: str, line: str) -> None:
        self._unread(number, why, line, cut=not tool_output.is_whole(line))

    def _unread(self, number: int, why: str, line: str = "", cut: bool = False) -> None:
        self._end_card()
        if self._in_table():
            self._frame.row(number, cut)
        self._problem(number, why, line)

    def _problem(self, number: int, why: str, text: str = "") -> None:
        self._problems.append("line %d: %s%s" % (number, why, ": " + tool_output.quoted(text) if text else ""))


def _device(values: Dict[str, Any]) -> Device:
    known = {"chip_id": None, "name": "", "health": "", **values}
    for name, unit in (("memory", "_mb"), ("hbm", "_mb"), ("hugepages", "")):
        used, total = values.get(name, (None, None))
        known.update({name + "_used" + unit: used, name + "_total" + unit: total})
    return Device(**{key: value for key, value in known.items() if key in Device.__dataclass_fields__})


def _process(values: Dict[str, Any]) -> Process:
    return Process(
        npu_id=values["npu_id"],
        chip_id=values.get("chip_id"),
        pid=values["pid"],
        name=values.get("process_name", ""),
        memory_mb=values.get("memory_mb"),
        container_pid=values.get("container_pid"),
    )
