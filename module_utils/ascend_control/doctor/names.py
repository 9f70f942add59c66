# SPDX-License-Identifier: Apache-2.0
"""Names of many nodes in few characters: npu-[001-003,007]."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ...ascend.text import cut, one_line

_NUMBER = re.compile(r"[0-9]{1,18}")
_PLACES = 4  # which number of a name may be folded: the last, the one before it, ...


class Fold(NamedTuple):
    """Names that differ in one number: its ``ranges``, each with its number of names. Without ranges, one name."""

    before: str
    ranges: list[tuple[str, int]]
    after: str


def folded(names: Iterable[str]) -> list[Fold]:
    """Return the names in order, folded at the number that leaves the fewest folds."""
    ordered = sorted({one_line(name) for name in names})
    return min((_folded_at(ordered, place) for place in range(_PLACES)), key=len)


def _folded_at(names: list[str], place: int) -> list[Fold]:
    alike: dict[tuple[str, str | None], list[str]] = {}
    for name in names:
        numbers = list(_NUMBER.finditer(name))
        if len(numbers) > place:
            number = numbers[-1 - place]
            alike.setdefault((name[: number.start()], name[number.end() :]), []).append(number.group())
        else:
            alike.setdefault((name, None), [])
    return [Fold(before, _ranges(numbers), after or "") for (before, after), numbers in alike.items()]


def _ranges(numbers: list[str]) -> list[tuple[str, int]]:
    spans: list[list[str]] = []
    for number in sorted(numbers, key=lambda digits: (int(digits), digits)):
        if spans and _follows(spans[-1][-1], number):
            spans[-1].append(number)
        else:
            spans.append([number])
    return [(span[0] if len(span) == 1 else f"{span[0]}-{span[-1]}", len(span)) for span in spans]


def _follows(number: str, after: str) -> bool:
    """Whether both belong to one range: 9, 10 and 009, 010 do, 009 and 10 do not."""
    as_wide = len(number) == len(after) or not (number.startswith("0") or after.startswith("0"))
    return int(after) == int(number) + 1 and as_wide


def names_text(names: Iterable[str], width: int) -> str:
    """Return the folded names in at most ``width`` characters; those without room are counted."""
    listed = list(names)
    folds = enumerate(folded(listed))
    pieces = [(number, fold, span) for number, fold in folds for span in fold.ranges or [("", 1)]]
    best = f"{len(listed):,} node{'' if len(listed) == 1 else 's'}"
    for shown in range(1, len(pieces) + 1):
        text = _text(pieces[:shown])
        if len(text) > width:
            break
        left = len(listed) - sum(span[1] for _, _, span in pieces[:shown])
        text += f" and {left:,} more" if left else ""
        best = text if len(text) <= width else best
    return cut(best, width)


def _text(pieces: list[tuple[int, Fold, tuple[str, int]]]) -> str:
    texts: dict[int, tuple[Fold, list[str]]] = {}
    for number, fold, (span, _) in pieces:
        texts.setdefault(number, (fold, []))[1].append(span)
    return ",".join(_fold_text(fold, spans) for fold, spans in texts.values())


def _fold_text(fold: Fold, spans: list[str]) -> str:
    alone = len(spans) == 1 and "-" not in spans[0]
    return f"{fold.before}{spans[0] if alone else '[' + ','.join(spans) + ']'}{fold.after}"
