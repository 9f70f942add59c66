# SPDX-License-Identifier: Apache-2.0
"""The order of the versions of CANN, the driver and the firmware, which the standard order (PEP 440) does not parse.

A version is read from its beginning, as far as its form is known::

    24.1.rc1 < 24.1.rc1.b030 < 24.1.rc1.1 < 24.1.rc2.2 < 24.1.0 < 24.1.0.1 < 25.0.rc1.1
    8.0.T5 < 8.0.RC1.alpha001 < 8.0.RC1 < 8.0.RC2 < 8.0.0 < 8.1.RC1;  9.0.T511 < 9.0.0-beta.1 < 9.0.0

``rc`` (candidates), ``t`` (trials), ``alpha`` and ``beta.`` come before the version that they lead up to, ``b``
(builds) after it. What follows a known beginning (``24.1.rc2-custom``, ``24.1.rc3.SPC002``) is not understood: such a
version is compared by its beginning, and where that does not decide, its order is not known.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Tuple

from .errors import AscendError

Part = Tuple[int, int]  # rank of its kind, number

_TRIAL, _ALPHA, _BETA, _CANDIDATE, _END, _BUILD, _NUMBER = range(7)
_RANKS = {"t": _TRIAL, "alpha": _ALPHA, "beta": _BETA, "rc": _CANDIDATE, "b": _BUILD}
# What may follow what: a candidate has patches (rc2.2), and anything has one build.
_FOLLOWERS = {
    _NUMBER: (_NUMBER, _CANDIDATE, _TRIAL, _ALPHA, _BETA, _BUILD),
    _CANDIDATE: (_NUMBER, _ALPHA, _BETA, _BUILD),
    _TRIAL: (_NUMBER, _ALPHA, _BETA, _BUILD),
    _ALPHA: (_BUILD,),
    _BETA: (_BUILD,),
    _BUILD: (),
}
# A part ends where a separator, the next word or the text begins or ends: of "24.1.rc2x" the beginning is 24.1.
_PART = re.compile(
    r"(?P<separator>[.-]?)(?:(?P<word>rc|t|alpha|beta|b)\.?)?(?P<number>[0-9]{1,18})"
    r"(?=$|[.+_ -]|(?:rc|t|alpha|beta|b)\.?[0-9])"
)
# 8.0.RC1.beta1: the community's name of 8.0.RC1. 9.0.0-beta.1 is another matter, and came before 9.0.0.
_COMMUNITY = re.compile(r"(?<=[0-9])\.beta[0-9]+$")


class _Read(NamedTuple):
    """``parts`` of a version, from its beginning; ``whole`` if there is nothing else in it."""

    parts: List[Part]
    whole: bool


def compare(one: str, other: str) -> int:
    """Return -1, 0 or 1: the version ``one`` is older than, equal to or newer than ``other``.

    ``8.0.RC1.beta1`` is the community's name of the same file as ``8.0.RC1``, and equal to it. Raises AscendError if
    the order of the two is unknown.
    """
    first, second = _read(one), _read(other)
    for mine, others in zip(_ended(first), _ended(second)):
        if mine != others:
            return 1 if mine > others else -1
    if one.strip().lower() == other.strip().lower() or (first.whole and second.whole):
        return 0
    raise AscendError(
        "cannot compare two versions",
        wanted="versions such as 24.1.rc1, 24.1.rc2.2, 8.0.RC1.alpha001 or 25.5.0",
        found="%s and %s" % (one or "an empty string", other or "an empty string"),
    )


def same(one: str, other: str) -> bool:
    """Whether two versions are one: 8.0.RC1.beta1 is the community's name of 8.0.RC1. What has no order is not."""
    try:
        return compare(one, other) == 0
    except AscendError:
        return False


def same_branch(one: str, other: str) -> bool:
    """Whether two versions are of one maintenance line: 24.1.rc1 and 24.1.rc1.2, or 25.2.0 and 25.2.3.

    False if their beginnings do not show it.
    """
    first, second = (_branch(_read(version).parts) for version in (one, other))
    return len(first) > len(_SERIES) and first == second


# The names by which a reader sees what is compared.
compare_cann = compare
compare_driver = compare

_SERIES = (_NUMBER, _NUMBER)  # 24.1: two numbers


def _branch(parts: List[Part]) -> List[Part]:
    """A candidate or trial is its own line; all final versions of a series are one."""
    series, behind = parts[: len(_SERIES)], parts[len(_SERIES) : len(_SERIES) + 1]
    return series + [(rank, 0 if rank == _NUMBER else number) for rank, number in behind]


def _read(text: str) -> _Read:
    lower = _COMMUNITY.sub("", text.strip().lower())
    parts: List[Part] = []
    position = 0
    while True:
        match = _PART.match(lower, position)
        if not match or not _may_follow(parts, match):
            break
        position = match.end()
        parts.append((_rank(match.group("word")), int(match.group("number"))))
    whole = bool(parts) and position == len(lower)
    return _Read(_filled(parts, whole), whole)


def _may_follow(parts: List[Part], match: "re.Match[str]") -> bool:
    word, separator = match.group("word"), match.group("separator")
    if not parts:
        return not word and not separator
    if not word and separator != ".":
        return False  # 25.5.0-1: a packager's number, of whose order nobody says anything
    return _rank(word) in _FOLLOWERS[parts[-1][0]]


def _rank(word: str) -> int:
    return _RANKS[word] if word else _NUMBER


def _filled(parts: List[Part], whole: bool) -> List[Part]:
    """Bring equal versions to one form: 25.2 is 25.2.0, 25.2.0.0 as well, rc1.0 is rc1."""
    numbers = 0
    while numbers < len(parts) and parts[numbers][0] == _NUMBER:
        numbers += 1
    head, tail = parts[:numbers], parts[numbers:]
    if whole or tail:
        head += [(_NUMBER, 0)] * (len(_SERIES) - len(head))
    if whole and not tail:
        head += [(_NUMBER, 0)] * (len(_SERIES) + 1 - len(head))
    while len(head) > len(_SERIES) + 1 and head[-1] == (_NUMBER, 0):
        head.pop()
    if tail and tail[0][0] in (_CANDIDATE, _TRIAL) and len(head) == len(_SERIES) + 1 and head[-1] == (_NUMBER, 0):
        head.pop()  # 8.0.0.rc1 is 8.0.rc1
    return head + [part for part in tail if part != (_NUMBER, 0)]


def _ended(read: _Read) -> List[Part]:
    return [*read.parts, (_END, 0)] if read.whole else read.parts
