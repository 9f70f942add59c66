# SPDX-License-Identifier: Apache-2.0
"""Read what npu-smi's sub-commands answer in blocks of ``label : value`` lines, as ``info -t TYPE`` does.

Formats: the manuals "npu-smi Command Reference" of the drivers 21 to 25 and of the Ascend 950, and captured output.
Nothing here raises on a text, or guesses: what cannot be read is a problem, "line N: why", and the rest is kept. Text
instead of data is the ``error``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Optional, Set, Tuple

from . import tool_output
from .labels import Block, Pair, fold, look_up

HEALTH_WORDS = ("OK", "WARNING", "ALARM", "CRITICAL", "UNKNOWN", "OFFLINE")  # in the order of their weight

# Words instead of data. "not support", "failed" and the like are values too, but then they stand behind a label.
_ERROR = re.compile(
    r"\binvalid\b|error parameter|\bnot support|\bnot exist|\bfail(?:ed|s|ure)?\b|command not found|no such |"
    r"permission denied|error while loading|cannot open|\bunable to\b|\bis busy\b|\btime(?:d )?out\b|^\[error|^error:|"
    r"\bret(?:urn)?(?: is|=|:) ?-?\d",
    re.IGNORECASE,
)
_HEADINGS = ("npuid", "chipcount", "chipid", "slotid")  # they may stand above the name of a block's chip
_WORDS = re.compile(r"\S+(?: \S+)*")  # up to the next wide gap
_PAIR = re.compile(r"[A-Za-z][^:]{0,60}[^:\s]:\S")
_CODE = re.compile(r"(?:0x)?([0-9A-Fa-f]{8})")


@dataclass(frozen=True)
class Answer:
    """``blocks`` of (label, value) in the text's order; ``error``: the tool's words instead of data, else empty."""

    blocks: Tuple[Block, ...]
    error: str
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class Health:
    """``status``: the tool's word, the worst one if there are several chips; None if there is none.

    ``error_codes`` have eight hexadecimal digits; ``error_information`` is one line per error.
    """

    status: Optional[str]
    error_codes: Tuple[str, ...]
    error_information: str
    error: str
    problems: Tuple[str, ...]


def read_pairs(text: str) -> Answer:
    """Return the ``label : value`` lines of a text as blocks.

    A blank line does not end a block. A label that the block already has begins a new one, at the blank line before it
    if there is one. So does the name of an mcu chip.
    """
    reader = _Pairs()
    for number, line in tool_output.lines(text):
        if reader.words.usage:
            break
        reader.line(number, line.strip())
    return Answer(_blocks(reader.pairs), reader.words.error(bool(reader.pairs)), tuple(reader.words.problems))


def parse_health(text: str) -> Health:
    """Return what ``info -t health`` says about a chip, or about all chips of a card."""
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
                problems.append("error code %s does not have 8 hex digits" % tool_output.quoted(word))
    errors = [look_up(block, "Error Information") or "" for block in answer.blocks]
    information = "\n".join(words for words in errors if not tool_output.is_absent(words))
    worst = max(statuses, key=_weight) if statuses else None
    return Health(worst, tuple(dict.fromkeys(codes)), information, answer.error, tuple(problems))


class _Words:
    """The lines of an answer that are not data: the tool's errors and usage, and what is not understood."""

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

    def error(self, data: bool) -> str:
        """Return the tool's error. Text without data is one; otherwise unknown lines become problems."""
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


def _weight(status: str) -> int:
    """Return how bad a health is; an unknown word is the worst."""
    return HEALTH_WORDS.index(status.upper()) if status.upper() in HEALTH_WORDS else len(HEALTH_WORDS)
