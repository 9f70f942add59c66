# SPDX-License-Identifier: Apache-2.0
"""What the readers of the driver's tools share: lines without decoration, and values that are not there."""

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
_QUOTE = re.compile(r"(?:\s*>)+ ?")  # a table out of a mail or a Markdown quotation


def lines(text: str) -> List[Tuple[int, str]]:
    """Return (number from 1, line): escape sequences, "> " quoting and the carriage returns of CRLF taken away.

    Blanks stay: where a line was cut, they tell whether its last word is whole.
    """
    plain = (_ESCAPE.sub("", line).rstrip("\r") for line in text.split("\n"))
    return [(number, _QUOTE.sub("", line, count=1) if line.lstrip()[:1] == ">" else line)
            for number, line in enumerate(plain, 1)]  # fmt: skip


def is_absent(text: str) -> bool:
    """Whether the tool says that it has no value here."""
    return text.upper() in ABSENT


def integer(text: str) -> Optional[int]:
    """Return the whole number that ``text`` is, else None; at most 18 digits, ASCII alone."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def number(text: str) -> Optional[float]:
    """Return the decimal number that ``text`` is, else None."""
    return float(text) if re.fullmatch(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?", text) else None
