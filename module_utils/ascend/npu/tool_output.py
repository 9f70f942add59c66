# SPDX-License-Identifier: Apache-2.0
"""What the readers of the driver's tools share: lines without decoration, rows of a table, values.

A function that reads a value returns None for anything that is not a complete value; callers check for "NA" before.
"""

from __future__ import annotations

import re
from typing import List, Optional, Tuple

# What the tools print where they have no value.
ABSENT = ("NA", "N/A", "-", "")
ELIDED = "..."

# CSI sequences (colour, cursor), OSC sequences (window title), and the two-byte ones. ECMA-48, 5.4 and 5.6.
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[()][0-9A-Za-z]|[@-Z\\^_])|[\x00\x07\x08\x0e\x0f]"
)
_ELIDED = re.compile(r"[|\s]*(?:\.{3,}|\u2026)")
_BUS_ID = re.compile(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f]{1,2}")
_PAIR = re.compile(r"([0-9]{1,18}|N/?A|-)/([0-9]{1,18}|N/?A|-)")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")


def lines(text: str) -> List[Tuple[int, str]]:
    """Return (number from 1, line): escape sequences and the carriage returns of CRLF removed.

    Blanks stay, because in a cut line they show whether its last word is complete.
    """
    plain = (_ESCAPE.sub("", line).rstrip("\r") for line in text.lstrip("\ufeff").split("\n"))
    return list(enumerate(plain, 1))


def is_elided(line: str) -> bool:
    """Whether somebody wrote "..." here for lines left out, inside or outside of a table's borders."""
    match = _ELIDED.match(line)
    return match is not None and (line.lstrip()[0] == "|" or not line[match.end() :].strip(". \u2026|"))


def is_border(line: str) -> bool:
    """Whether this is a line between a table's rows, however damaged."""
    return ("--" in line or "==" in line) and (line.lstrip()[0] == "+" or not line.strip("-+=| \t\r"))


def is_whole(row: str) -> bool:
    """Whether a table's row has its right border."""
    return row.rstrip().endswith("|")


def cells(row: str) -> List[str]:
    """Return the texts between the borders of a row that begins with one; blanks are kept."""
    row = row.rstrip()
    return (row[1:-1] if row.endswith("|") and len(row) > 1 else row[1:]).split("|")


def without_cut_word(row: str, found: List[str]) -> List[str]:
    """Return the cells of a row that lacks its right border, without the cut word, which is not a value."""
    words = found[-1].split()
    return [*found[:-1], " ".join(words if row[-1].isspace() else words[:-1])]


def quoted(text: str) -> str:
    """Return the text for a message: short, on one line, unprintable characters escaped."""
    short = " ".join(text[:240].split())
    return repr(short if len(short) <= 60 else short[:57] + "...")


def is_absent(text: str) -> bool:
    """Whether the tool says that it has no value here."""
    return text.upper() in ABSENT


def integer(text: str) -> Optional[int]:
    """Return ``text`` as a whole number, else None; at most 18 ASCII digits."""
    return int(text) if _INTEGER.fullmatch(text) else None


def number(text: str) -> Optional[float]:
    """Return ``text`` as a decimal number, else None."""
    return float(text) if _NUMBER.fullmatch(text) else None


def count(text: str) -> Optional[int]:
    """Return ``text`` as a whole number from 0 on, else None."""
    return None if text.startswith("-") else integer(text)


def percent(text: str) -> Optional[int]:
    """Return ``text`` as a whole number from 0 to 100, else None."""
    value = count(text)
    return value if value is not None and value <= 100 else None


def bus_id(text: str) -> Optional[str]:
    """Return ``text`` as a PCI address, in capitals ("0000:C1:00.0"), else None."""
    return text.upper() if _BUS_ID.fullmatch(text) else None


def pair(text: str) -> Optional[Tuple[Optional[int], Optional[int]]]:
    """Return (used, total) of "3862/65536", (None, 65536) of "NA/65536", None for anything else."""
    match = _PAIR.fullmatch(text)
    return (count(match.group(1)), count(match.group(2))) if match else None
