# SPDX-License-Identifier: Apache-2.0
"""Read what npu-smi's sub-commands answer: ``info -l``, ``-m``, ``-t TYPE``, ``watch``, ``-v``, ``upgrade -b``.

They have three forms, and one reader each: ``label : value`` in blocks (``read_pairs``), columns without borders
(``read_columns``) and words instead of data (``error`` of both). Formats: the manuals "npu-smi Command Reference" of
the drivers 21 to 25 and of the Ascend 950, and captured output. Nothing here raises on a text, or guesses: what cannot
be read is a problem, "line N: why", and what stands around it is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Set, Tuple

from ansible.module_utils.ascend.npu import tool_output

Pair = Tuple[str, str]
Block = Tuple[Pair, ...]
Row = Tuple[Optional[str], ...]

HEALTH_WORDS = ("OK", "WARNING", "ALARM", "CRITICAL", "UNKNOWN", "OFFLINE")  # in the order of their weight

# Words instead of data. "not support", "failed" and the like are values too, but then they stand behind a label.
_ERROR = re.compile(
    r"\binvalid\b|error parameter|\bnot support|\bnot exist|\bfail(?:ed|s|ure)?\b|command not found|no such |"
    r"permission denied|error while loading|cannot open|\bunable to\b|\bis busy\b|\btime(?:d )?out\b|^\[error|^error:|"
    r"\bret(?:urn)?(?: is|=|:) ?-?\d",
    re.IGNORECASE,
)
_HEADINGS = ("npuid", "chipcount", "chipid", "slotid")  # they may stand above the name of a block's chip
_SAME = {"health": "healthstatus", "errorcodes": "errorcode"}
_WORDS = re.compile(r"\S+(?: \S+)*")  # up to the next wide gap
_PAIR = re.compile(r"[A-Za-z][^:]{0,60}[^:\s]:\S")
# The names of columns that one blank alone parts, where a page has squeezed the blanks.
_NAME = re.compile(
    r"(?:NPU|Slot|Card|Chip)(?: Logic| Phy)?[ -]ID|Chip (?:Phy-ID|Name)|(?:NPU|Phy-ID)[0-9]+|CPU Affinity"
)
_DEVICE = re.compile(r"(?:NPU|Phy-ID)[0-9]+")  # names columns and rows of a topology
_VALUE = re.compile(r"[0-9-]|(?:X|HCCS|HCCS_SW|SYS|PHB|PIX|PXB|SIO|UB|NA)$")
_CODE = re.compile(r"(?:0x)?([0-9A-Fa-f]{8})")
_COMPONENT = re.compile(
    r'\{\s*"device_id":\s*"?([0-9]{1,4})"?,\s*"component":\s*"?([^",{}]*)"?,\s*"version":\s*"?([^",{}]*)"?\s*\}'
)


@dataclass(frozen=True)
class Answer:
    """``blocks`` of (label, value) in the text's order; ``error``: the tool's words instead of data, else empty."""

    blocks: Tuple[Block, ...]
    error: str
    problems: Tuple[str, ...]

    def get(self, label: str) -> Optional[str]:
        """Return the first value with this label; case, blanks and the known variants of labels do not matter."""
        return next((value for block in self.blocks for value in [look_up(block, label)] if value is not None), None)


@dataclass(frozen=True)
class Table:
    """Columns and rows. A value that a row lacks is None; the column of a topology's own names is called ""."""

    columns: Tuple[str, ...]
    rows: Tuple[Row, ...]
    error: str
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class Health:
    """``status``: the tool's word, of several chips the worst; None when there is none.

    ``error_codes`` have eight hexadecimal digits; ``error_information`` is one line an error.
    """

    status: Optional[str]
    error_codes: Tuple[str, ...]
    error_information: str
    error: str
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """``total`` as announced, None when it is not; the NPU ids that follow may be fewer: that is a problem."""

    total: Optional[int]
    npu_ids: Tuple[int, ...]
    error: str
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class Mapped:
    """One row of ``info -m``. None: no such column, or "-" in it."""

    npu_id: int
    chip_id: Optional[int]
    logic_id: Optional[int]
    phy_id: Optional[int]
    slot_id: Optional[int]
    name: str


@dataclass(frozen=True)
class Mapping:
    """``chips`` compute; ``mcus`` watch over a card and are none."""

    chips: Tuple[Mapped, ...]
    mcus: Tuple[Mapped, ...]
    error: str
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class Component:
    """The version of a device's firmware component."""

    device_id: int
    component: str
    version: str


@dataclass(frozen=True)
class Components:
    """What ``upgrade-tool --version`` says of every device."""

    components: Tuple[Component, ...]
    error: str
    problems: Tuple[str, ...]


def fold(label: str) -> str:
    """Return what two spellings of a label have in common: "Temperature (C)" and "Temperature(C)"."""
    folded = "".join(label.lower().replace("-", " ").replace("_", " ").split())
    return _SAME.get(folded, folded)


def look_up(block: Sequence[Pair], label: str) -> Optional[str]:
    """Return the value with this label in a block; None when there is none."""
    wanted = fold(label)
    return next((value for key, value in block if fold(key) == wanted), None)


def read_pairs(text: str) -> Answer:
    """Return the ``label : value`` lines of a text as blocks.

    A blank line alone ends no block. A label that the block has already begins another: at the blank line before it
    where there is one. So does the name of an mcu chip.
    """
    reader = _Pairs()
    for number, line in tool_output.lines(text):
        if reader.words.usage:
            break
        reader.line(number, line.strip())
    return Answer(_blocks(reader.pairs), reader.words.said(bool(reader.pairs)), tuple(reader.words.problems))


def read_columns(text: str) -> Table:
    """Return a table without borders; its header is the first line of names, a legend below it is left out."""
    words = _Words()
    columns: List[str] = []
    starts: List[int] = []
    rows: List[Row] = []
    for number, raw in tool_output.lines(text):
        line = raw.replace("\t", " " * 8)
        if words.usage or line.strip().lower().startswith("legend"):
            break
        if not line.strip() or words.take(number, line.strip()):
            continue
        names = _header(line)
        if names and not columns:
            columns = [name for name, _ in names]
            starts = [start for _, start in names]
        elif not columns or not (line.strip()[0].isdigit() or _DEVICE.match(line.strip())):
            if not names or [name for name, _ in names] != columns:
                words.unread(number, line.strip())
        else:
            _add_row(rows, columns, starts, number, line, words)
    return Table(tuple(columns), tuple(rows), words.said(bool(rows)), tuple(words.problems))


def parse_health(text: str) -> Health:
    """Return what ``info -t health`` says of a chip, or of all chips of a card."""
    answer = read_pairs(text)
    problems = list(answer.problems)
    statuses = [value for block in answer.blocks for value in [look_up(block, "Health Status")] if value is not None]
    for status in statuses:
        if status.upper() not in HEALTH_WORDS:
            problems.append("health status %s is not known" % tool_output.quoted(status))
    if not statuses and not answer.error:
        problems.append("no health status")
    codes: List[str] = []
    for block in answer.blocks:
        for word in (look_up(block, "Error Code") or "").replace(",", " ").split():
            match = _CODE.fullmatch(word)
            if match:
                codes.append(match.group(1).upper())
            elif not tool_output.is_absent(word):
                problems.append("error code %s has not 8 hex digits" % tool_output.quoted(word))
    said = [look_up(block, "Error Information") or "" for block in answer.blocks]
    information = "\n".join(words for words in said if not tool_output.is_absent(words))
    worst = max(statuses, key=_weight) if statuses else None
    return Health(worst, tuple(dict.fromkeys(codes)), information, answer.error, tuple(problems))


def parse_list(text: str) -> Listing:
    """Return what ``info -l`` says: how many cards there are, and their NPU ids."""
    answer = read_pairs(text)
    problems = list(answer.problems)
    ids: List[int] = []
    for block in answer.blocks:
        said = look_up(block, "NPU ID")
        npu_id = tool_output.integer(said) if said is not None else None
        if npu_id is not None and npu_id not in ids:
            ids.append(npu_id)
        elif said is not None:
            problems.append("NPU ID is %s%s" % (tool_output.quoted(said), " again" if npu_id is not None else ""))
    announced = answer.get("Total Count")
    total = tool_output.integer(announced) if announced is not None else None
    if total is None and not answer.error:
        problems.append(
            "Total Count is %s" % tool_output.quoted(announced) if announced is not None else "no Total Count"
        )
    elif total is not None and total != len(ids):
        problems.append("%d announced, %d listed" % (total, len(ids)))
    return Listing(total, tuple(ids), answer.error, tuple(problems))


def parse_mapping(text: str) -> Mapping:
    """Return what ``info -m`` says: which chip has which logical and physical number."""
    table = read_columns(text)
    problems = list(table.problems)
    found: List[Mapped] = []
    for row in table.rows:
        values = {fold(column): value for column, value in zip(table.columns, row) if value is not None}
        numbers: Dict[str, Optional[int]] = {}
        for column in ("npuid", "chipid", "chiplogicid", "chipphyid", "slotid"):
            said = values.get(column, "-")
            numbers[column] = tool_output.integer(said)
            if numbers[column] is None and not tool_output.is_absent(said):
                problems.append("%s is %s" % (column, tool_output.quoted(said)))
        npu_id = numbers["npuid"]
        if npu_id is None:
            problems.append("a row without NPU ID: %s" % tool_output.quoted(" ".join(str(cell) for cell in row)))
            continue
        chip, logic, phy, slot = (numbers[name] for name in ("chipid", "chiplogicid", "chipphyid", "slotid"))
        found.append(Mapped(npu_id, chip, logic, phy, slot, values.get("chipname", "")))
    chips = tuple(row for row in found if row.name.lower() != "mcu")
    return Mapping(chips, tuple(row for row in found if row not in chips), table.error, tuple(problems))


def parse_components(text: str) -> Components:
    """Return the versions that ``upgrade-tool --device_index -1 --component -1 --version`` prints in almost JSON."""
    words = _Words()
    found: List[Component] = []
    for number, raw in tool_output.lines(text):
        line = raw.strip()
        match = _COMPONENT.match(line)
        if match:
            found.append(Component(int(match.group(1)), match.group(2).strip(), match.group(3).strip()))
        elif line in ("", "{", "}") or re.match(r"Get component version\([^)]*\) succeed", line):
            continue
        elif not words.take(number, line):
            words.unread(number, line)
    return Components(tuple(found), words.said(bool(found)), tuple(words.problems))


class _Words:
    """The lines of an answer that are no data: the tool's errors and usage, and what nobody understands."""

    def __init__(self) -> None:
        self.errors: List[str] = []
        self.usage = ""
        self.loose: List[Tuple[int, str]] = []
        self.problems: List[str] = []

    def take(self, number: int, line: str) -> bool:
        """Whether the line is an error, the usage that follows one, or says that lines were left out."""
        if line.lower().startswith("usage:"):
            self.usage = line
        elif line == tool_output.ELIDED:
            self.problems.append("line %d: lines were left out" % number)
        elif _ERROR.search(line):
            self.errors.append(line)
        else:
            return False
        return True

    def unread(self, number: int, line: str) -> None:
        self.loose.append((number, line))

    def said(self, data: bool) -> str:
        """Return the tool's error. A text without data is one; else what is not understood becomes problems."""
        errors = self.errors or ([self.usage] if self.usage else [])
        if not errors and not data:
            errors = [line for _, line in self.loose]
        else:
            self.problems += [
                "line %d: not understood: %s" % (number, tool_output.quoted(line)) for number, line in self.loose
            ]
        return " ".join(line[:200] for line in errors[:5])


class _Pairs:
    def __init__(self) -> None:
        self.pairs: List[Tuple[str, List[str], int]] = []  # label, lines of its value, paragraph
        self.words = _Words()
        self._paragraph = 0

    def line(self, number: int, line: str) -> None:
        label, colon, value = line.partition(":")
        if not line:
            self._paragraph += 1
        elif colon and not label and self.pairs:
            self.pairs[-1][1].append(value.strip())
        elif colon and label[-1:].isspace() and not line.startswith("["):
            self._add(label, value)
        elif self.words.take(number, line):
            pass
        elif colon and not label[:1].isalpha():
            self.words.unread(number, line)
        else:
            parts = _WORDS.findall(line)
            several = len(parts) > 1 and all(_PAIR.match(part) for part in parts)
            for part in parts if several else [line]:
                label, colon, value = part.partition(":")
                if colon:
                    self._add(label, value)
                else:
                    self.words.unread(number, line)

    def _add(self, label: str, value: str) -> None:
        self.pairs.append((label.strip(), [value.strip()], self._paragraph))


def _blocks(pairs: List[Tuple[str, List[str], int]]) -> Tuple[Block, ...]:
    labels: Dict[int, Set[str]] = {}
    for label, _, paragraph in pairs:
        labels.setdefault(paragraph, set()).add(fold(label))
    blocks: List[List[Pair]] = []
    seen: Set[str] = set()
    last = -1
    for label, value_lines, paragraph in pairs:
        folded = fold(label)
        value = "\n".join(line for line in value_lines if line)
        mcu = folded == "chipname" and value.lower() == "mcu" and not seen.issubset(_HEADINGS)
        again = folded in seen or (paragraph != last and not seen.isdisjoint(labels[paragraph]))
        if not blocks or mcu or again:
            blocks.append([])
            seen = set()
        blocks[-1].append((label, value))
        seen.add(folded)
        last = paragraph
    return tuple(tuple(block) for block in blocks)


def _header(line: str) -> List[Tuple[str, int]]:
    """Return (name, where it begins) of a line of column names; empty when it is none.

    One blank alone may part two names, the first of which ends with its unit. A topology's first column has no name.
    """
    names: List[str] = []
    for part in _WORDS.findall(line):
        for name in re.split(r"(?<=\)) ", part):
            known = _NAME.findall(name)
            names += known if len(known) > 1 and " ".join(known) == name else [name]
    if len(names) < 2 or not re.match(r"NPU|Chip|Slot|Card|Device|Phy", names[0], re.IGNORECASE):
        return []
    if any(_VALUE.match(name) for name in names):
        return []
    found = []
    end = 0
    for name in names:
        start = line.index(name, end)
        end = start + len(name)
        found.append((name, start))
    return [("", -1), *found] if _DEVICE.fullmatch(names[0]) else found


def _add_row(rows: List[Row], columns: List[str], starts: List[int], number: int, line: str, words: _Words) -> None:
    """Add a row's values below their columns; where one is missing, their places tell which, if they are exact."""
    parts = [(match.start(), match.group()) for match in _WORDS.finditer(line)]
    values = [value for _, value in parts]
    if len(values) == 1:  # the blanks were squeezed: the last column alone may hold some
        values = line.split(None, len(columns) - 1)
    if len(values) == len(columns):
        rows.append(tuple(value.strip() for value in values))
        return
    words.problems.append("line %d: %d values for %d columns" % (number, len(values), len(columns)))
    places = {start: place for place, start in enumerate(starts)}
    below = [places.get(start) for start, _ in parts]
    if None not in below and columns[0]:
        known = dict(zip(below, (value for _, value in parts)))
        rows.append(tuple(known.get(place) for place in range(len(columns))))


def _weight(status: str) -> int:
    """Return how bad a health is; a word that nobody knows is the worst."""
    return HEALTH_WORDS.index(status.upper()) if status.upper() in HEALTH_WORDS else len(HEALTH_WORDS)
