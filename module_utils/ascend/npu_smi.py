# SPDX-License-Identifier: Apache-2.0
"""Read the table of ``npu-smi info``.

The columns are those that the table's own header names, in its order: widths and driver versions decide nothing. What
cannot be read becomes a line in ``problems``; everything readable around it is kept. Nothing here raises on text.
Seen: npu-smi 21.0.3 to 25.5, cards of one to four chips, tables quoted with ``> ``, cut, elided, with log lines around.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple


@dataclass(frozen=True)
class Device:
    """One chip of a card. None: the table has no such column, or "NA" or "-" in it.

    ``memory_*`` is the column Memory-Usage(MB) (DDR, 0 on a 910B), ``hbm_*`` HBM-Usage(MB).
    """

    npu_id: int
    chip_id: Optional[int]
    name: str
    health: str
    bus_id: Optional[str]
    power_w: Optional[float]
    temperature_c: Optional[int]
    aicore_percent: Optional[int]
    memory_used_mb: Optional[int]
    memory_total_mb: Optional[int]
    hbm_used_mb: Optional[int]
    hbm_total_mb: Optional[int]


@dataclass(frozen=True)
class Process:
    """A process that holds a chip; ``name`` may be empty."""

    npu_id: int
    chip_id: Optional[int]
    pid: int
    name: str
    memory_mb: Optional[int]


@dataclass(frozen=True)
class NpuSmiInfo:
    """What the table says; ``problems`` says what of it could not be read, as "line N: why"."""

    tool_version: Optional[str]
    driver_version: Optional[str]
    devices: Tuple[Device, ...]
    processes: Tuple[Process, ...]
    problems: Tuple[str, ...]


# Every column name seen. Longer names first: "NPU ID" is one column, "NPU   Name" are two.
_COLUMN = re.compile(
    r"NPU ID|NPU Util\(%\)|NPU|Name|Health|Power\(W\)|Temp\(C\)|Hugepages-Usage\(page\)|Chip|Device|Phy-ID|Bus-Id"
    r"|AICore\(%\)|Memory-Usage\(MB\)|HBM-Usage\(MB\)"
    r"|Process id in container|Process id|Process name|Process memory\(MB\)"
)
_USAGE = {"Hugepages-Usage(page)", "Memory-Usage(MB)", "HBM-Usage(MB)"}
_TITLE = re.compile(r"npu-smi\s+(\S+).*?Version:\s*([^\s|]+)")
_BORDER = re.compile(r"[-+=|\s]*")
_BUS_ID = re.compile(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f]")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ABSENT = ("NA", "-", "N/A", "")

Columns = List[List[str]]
Values = Dict[str, str]

# For a paste of rows without their header: the layout that 910B drivers print.
_CARD_COLUMNS: Columns = [["NPU", "Name"], ["Health"], ["Power(W)", "Temp(C)", "Hugepages-Usage(page)"]]
_CHIP_COLUMNS: Columns = [["Chip"], ["Bus-Id"], ["AICore(%)", "Memory-Usage(MB)", "HBM-Usage(MB)"]]


def parse_info(text: str) -> NpuSmiInfo:
    """Return what the output of ``npu-smi info`` says. Never raises."""
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), 1):
        reader.read(number, _ANSI.sub("", line))
    reader.finish()
    return NpuSmiInfo(
        reader.tool_version,
        reader.driver_version,
        tuple(reader.devices),
        tuple(reader.processes),
        tuple(reader.problems),
    )


class _Reader:
    def __init__(self) -> None:
        self.tool_version: Optional[str] = None
        self.driver_version: Optional[str] = None
        self.devices: List[Device] = []
        self.processes: List[Process] = []
        self.problems: List[str] = []
        self._card_columns = _CARD_COLUMNS
        self._chip_columns = _CHIP_COLUMNS
        self._process_columns: Columns = []
        self._card: Optional[Tuple[int, Values]] = None  # the card row that waits for its chip row

    def read(self, number: int, line: str) -> None:
        line = line.lstrip("> \t").rstrip()
        if not line.startswith("|"):
            if line == "...":
                self.problems.append("line %d: rows were left out of the table" % number)
            return  # a border, or words around the table
        if _BORDER.fullmatch(line):
            return
        title = _TITLE.search(line)
        if title:
            self.tool_version, self.driver_version = title.groups()
        elif "Health" in line or "Bus-Id" in line or "Process id" in line:
            self._header(line)
        elif "No running processes" not in line:
            self._row(number, line)

    def finish(self) -> None:
        if self._card:
            number, values = self._card
            self._card = None
            self.problems.append("line %d: the card has no chip row" % number)
            self._device(number, values, {})

    def _header(self, line: str) -> None:
        columns = [_COLUMN.findall(cell) for cell in _cells(line)]
        if "Process id" in line:
            self.finish()
            self._process_columns = columns
        elif "Health" in line:
            self._card_columns = columns
        else:
            self._chip_columns = columns

    def _row(self, number: int, line: str) -> None:
        cells = _cells(line)
        if self._process_columns:
            self._process(number, cells)
        elif self._card or any(_BUS_ID.fullmatch(cell.strip()) for cell in cells):
            self._chip(number, cells)
        else:
            self._card = (number, self._named(number, cells, self._card_columns))

    def _chip(self, number: int, cells: List[str]) -> None:
        chip = self._named(number, cells, self._chip_columns)
        if not self._card:
            self.problems.append("line %d: a chip row without its card row" % number)
            return
        _, card = self._card
        self._card = None
        self._device(number, card, chip)

    def _device(self, number: int, card: Values, chip: Values) -> None:
        npu_id = _integer(card.get("NPU", card.get("NPU ID", "")))
        if npu_id is None or not card.get("Name"):
            self.problems.append("line %d: no NPU id or name in it" % number)
            return
        memory = _pair(chip.get("Memory-Usage(MB)", ""))
        hbm = _pair(chip.get("HBM-Usage(MB)", ""))
        bus_id = chip.get("Bus-Id", "")
        self.devices.append(
            Device(
                npu_id=npu_id,
                # A layout without chip ids has one chip a card.
                chip_id=_integer(chip.get("Chip", "0" if "NPU ID" in card else "")),
                name=card["Name"],
                health=card.get("Health", ""),
                bus_id=None if bus_id in _ABSENT else bus_id,
                power_w=_number(card.get("Power(W)", "")),
                temperature_c=_integer(card.get("Temp(C)", "")),
                aicore_percent=_integer(chip.get("AICore(%)", chip.get("NPU Util(%)", ""))),
                memory_used_mb=memory[0],
                memory_total_mb=memory[1],
                hbm_used_mb=hbm[0],
                hbm_total_mb=hbm[1],
            )
        )

    def _process(self, number: int, cells: List[str]) -> None:
        values = self._named(number, cells, self._process_columns)
        npu_id, pid = _integer(values.get("NPU", values.get("NPU ID", ""))), _integer(values.get("Process id", ""))
        if npu_id is None or pid is None:
            self.problems.append("line %d: no NPU id or process id in it" % number)
            return
        self.processes.append(
            Process(
                npu_id,
                _integer(values.get("Chip", "0" if "NPU ID" in values else "")),
                pid,
                values.get("Process name", ""),
                _integer(values.get("Process memory(MB)", "")),
            )
        )

    def _named(self, number: int, cells: List[str], columns: Columns) -> Values:
        """Return column name -> text. A cell of one column is its whole text, else its words in order."""
        values: Values = {}
        for index, names in enumerate(columns):
            if index >= len(cells):
                self.problems.append("line %d: cut before %s" % (number, " ".join(names)))
                break
            cell = cells[index]
            if len(names) == 1:
                values[names[0]] = re.sub(r"\s*/\s*", "/", cell) if names[0] in _USAGE else cell
                continue
            words = re.sub(r"\s*/\s*", "/", cell).split()
            if len(words) < len(names):
                self.problems.append("line %d: %r has fewer values than %s" % (number, cell, " ".join(names)))
            values.update(zip(names, words))
        return values


def _cells(line: str) -> List[str]:
    inner = line[1:-1] if line.endswith("|") else line[1:]
    return [cell.strip() for cell in inner.split("|")]


def _integer(text: str) -> Optional[int]:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _number(text: str) -> Optional[float]:
    return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) else None


def _pair(text: str) -> Tuple[Optional[int], Optional[int]]:
    """Return (used, total) of "3862/65536"."""
    used, _, total = text.partition("/")
    return _integer(used), _integer(total)
