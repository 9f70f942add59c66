# SPDX-License-Identifier: Apache-2.0
"""Find secrets whose name is a value, too: ``{"name": "HF_TOKEN", "value": "X"}``, ``<x name="token">X</x>``."""

from __future__ import annotations

import re
from typing import Iterator, Tuple

from .names import hides, kind
from .values import value_at

_QUOTE = r"\\{0,3}[\"']?"
_SIGN = _QUOTE + r"[ \t]{0,8}[:=][ \t]{0,8}"
_PAIR = re.compile(
    r"(?i)\b(?:name|key|variable)"
    + _SIGN
    + _QUOTE
    + r"([\w.-]{1,64})"
    + _QUOTE
    # then the value, or the end of a tag behind which it stands
    + r"(?:[\s,;]{0,64}"
    + _QUOTE
    + r"value"
    + _SIGN
    + r"|(?:[ \t][^<>\n]{0,128})?>(?=[^<>\n]{1,4096}</)())"
)


def find(text: str) -> Iterator[Tuple[int, int]]:
    """Yield where secrets begin and end."""
    for match in _PAIR.finditer(text):
        how = kind(match.group(1))
        if not how:
            continue
        in_tag = match.group(2) is not None
        start, end = (match.end(), text.index("<", match.end())) if in_tag else value_at(text, match.end())[:2]
        if hides(how, text[start:end]):
            yield start, end
