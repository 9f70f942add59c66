# SPDX-License-Identifier: Apache-2.0
"""Which variable of ours a name was meant to be: one that is a slip away, and not a name of the operator's own.

An inventory is full of names of others (``ascend_room``, ``train_team``), and a false error stops a fleet. So words are
compared, not names: adding, dropping or changing a letter makes a short word another one (room, root), but not
"release".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_WORDS = re.compile(r"[A-Z]?[^A-Z\W_]+|[A-Z]+(?![^A-Z\W_])")
_DIGITS = re.compile(r"\d+")
# The last word of a name may be one, or be left out.
_UNITS = {"s", "sec", "secs", "seconds", "min", "minutes", "hours", "days", "kb", "mb", "gb", "bytes"}
# Letters of a word: up to the first number one makes another word, from the second on two do not. The more of a name's
# words are as ours, the less likely is another one.
_LIMITS = {False: (5, 8), True: (4, 5)}
_MOST = 2  # slips in a name


def meant(name: str, known: Iterable[str]) -> str | None:
    """Return which known name a name was meant to be; None if it is known, or unrelated."""
    names = list(known)
    if name in names:
        return None
    prefixes = {each.partition("_")[0] for each in names}
    found = [(slips, each) for each in names if (slips := _slips(name, each, prefixes)) is not None]
    return min(found)[1] if found else None


def _slips(name: str, ours: str, prefixes: set[str]) -> int | None:
    """Return by how many slips a name differs from ours, None if it is another name."""
    theirs, words = _words(name), ours.split("_")
    many = len(words) > 2
    if "".join(theirs) == "".join(words) or (many and sorted(theirs) == sorted(words)):
        return 1  # other case, another sign between the words, or another order
    if theirs[:1] != words[:1] and theirs[:1] and theirs[0] in prefixes and theirs[1:] == words:
        return 1  # a prefix of ours before a name that has another
    if _DIGITS.findall(name) != _DIGITS.findall(ours):
        return None
    if words[-1] in _UNITS and words[:-1] in (theirs, theirs[:-1] if theirs[-1:] and theirs[-1] in _UNITS else None):
        return 1  # another unit, or none
    if len(theirs) != len(words):
        return None
    total = 0
    for one, other in zip(theirs, words, strict=True):
        slips = _word(one, other, many)
        if slips is None or (total := total + slips) > _MOST:
            return None
    return total


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]


def _word(theirs: str, ours: str, many: bool) -> int | None:
    """Return by how many slips a word differs from ours, None if it is another word.

    ``many``: it is one of many words.
    """
    short, long = _LIMITS[many]
    if theirs == ours:
        return 0
    if _plural(theirs, ours) or _plural(ours, theirs):
        return 1
    if abs(len(theirs) - len(ours)) > _MOST:
        return None
    one, other = _differing(theirs, ours)
    if len(one) == len(other) == 2 and one == other[::-1]:
        return 1  # two letters changed places
    if len(one) + len(other) == 1:
        return 1 if len(ours) > short or _is_slip(theirs, ours, many) else None
    if len(one) == len(other) == 1:
        return 1 if len(ours) > short and (theirs[0] == ours[0] or len(ours) >= long) else None
    if len(ours) >= long and _edits(theirs, ours) <= _MOST:
        letters, wanted = Counter(theirs), Counter(ours)
        # Two other letters are another word: transform, transport.
        return 2 if (letters - wanted).total() + (wanted - letters).total() <= _MOST else None
    return None


def _plural(one: str, many: str) -> bool:
    return many in (one + "s", one + "es") or (one.endswith("y") and many == one[:-1] + "ies")


def _is_slip(theirs: str, ours: str, many: bool) -> bool:
    """Whether a letter more or less in a short word is a slip: one that is doubled, or one after the first left out."""
    if len(theirs) < len(ours):
        return len(ours) > 2 if many else len(ours) > 3 and theirs[0] == ours[0]
    return any(theirs == ours[:at] + ours[at] + ours[at:] for at in range(len(ours)))


def _differing(one: str, other: str) -> tuple[str, str]:
    """Return the rest of two words without their common beginning and end."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    return one[start : len(one) - end], other[start : len(other) - end]


def _edits(one: str, other: str) -> int:
    """Return the edit distance of two words; two swapped letters count as one edit."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        earlier, before, row = before, row, [at]
        for to, wanted in enumerate(other, 1):
            best = min(before[to] + 1, row[to - 1] + 1, before[to - 1] + (letter != wanted))
            if at > 1 and to > 1 and letter == other[to - 2] and one[at - 2] == wanted:
                best = min(best, earlier[to - 2] + 1)
            row.append(best)
    return row[-1]
