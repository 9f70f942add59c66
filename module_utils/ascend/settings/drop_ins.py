# SPDX-License-Identifier: Apache-2.0
"""The two drop-in files with a release's system settings for a node: their forms and their content.

Text and numbers only: the planner asks what a node lacks, and the module writes the same answer. Others' settings are
merged: port ranges are united, and a number is never lowered. ``# was:`` remembers the kernel's value before us.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, Optional, Set

SYSCTL = "/etc/sysctl.d/60-ascend-fleet.conf"
LIMITS = "/etc/security/limits.d/60-ascend-fleet.conf"
DOMAINS = ("*", "root")  # what is said of everybody does not hold for root: limits.conf(5)
UNLIMITED = -1
_IN_KB = ("memlock", "stack")  # in limits.conf; the facts have bytes, as the kernel
_HEAD = "# Written by ascend-fleet, and removed by its playbooks/remove.yml.\n"
_PAIR = re.compile(r"\s*-?\s*([A-Za-z0-9_.*/-]+)\s*=\s*(.*?)\s*")
_WAS = re.compile(r"# was:" + _PAIR.pattern)
_MOST_PORTS = 65536

Limits = Dict[str, Dict[str, int]]  # name -> domain -> hard limit


class Kernel(NamedTuple):
    """Our file's kernel settings: name -> value, and name -> what the kernel had before."""

    values: Dict[str, str]
    was: Dict[str, str]


# --- forms -------------------------------------------------------------------------------------------------------


def read_kernel(text: Optional[str]) -> Kernel:
    """Return what a file of sysctl.d says; other lines are left out."""
    values, was = {}, {}
    for line in (text or "").splitlines():
        before, pair = _WAS.fullmatch(line), _PAIR.fullmatch(line)
        if before:
            was[before.group(1)] = before.group(2)
        elif pair:
            values[pair.group(1).replace("/", ".")] = " ".join(pair.group(2).split())
    return Kernel(values, was)


def kernel_text(kernel: Kernel) -> str:
    """Return the file's text, empty if there is nothing to set."""
    lines = ["# was: %s = %s\n%s = %s\n" % (name, kernel.was.get(name, ""), name, kernel.values[name])
             for name in sorted(kernel.values)]  # fmt: skip
    return _HEAD + "".join(lines) if lines else ""


def read_limits(text: Optional[str]) -> Limits:
    """Return the hard limits of a limits.conf for everybody and for root; other and odd lines are left out."""
    found: Limits = {}
    for line in (text or "").splitlines():
        words = line.partition("#")[0].split()
        if len(words) != 4 or words[0] not in DOMAINS or words[1] not in ("hard", "-"):
            continue
        if words[3] in ("unlimited", "infinity", "-1"):
            value = UNLIMITED
        elif re.fullmatch(r"[0-9]{1,18}", words[3]):
            value = int(words[3]) * (1024 if words[2] in _IN_KB else 1)
        else:
            continue
        found.setdefault(words[2], {})[words[0]] = value
    return found


def limits_text(limits: Limits) -> str:
    """Return the file's text, empty if there is nothing to set. The soft limit is raised with the hard one."""
    lines = []
    for name in sorted(limits):
        for domain in DOMAINS:
            value = limits[name].get(domain)
            if value is not None:
                lines.append("%-5s - %s %s\n" % (domain, name, _limit_word(name, value)))
    return _HEAD + "".join(lines) if lines else ""


def _limit_word(name: str, value: int) -> str:
    if value == UNLIMITED:
        return "unlimited"
    return str(-(-value // 1024) if name in _IN_KB else value)


# --- what shall be in them ---------------------------------------------------------------------------------------


def kernel(in_kernel: Dict[str, Optional[str]], ours: Kernel, wanted: Dict[str, Any]) -> Kernel:
    """Return our file's content for the active values; settings that the kernel does not have are left out.

    A setting that is right without us is not ours. One that our file has stays there: an earlier release's larger value
    also satisfies a later, smaller one, and a node may have both releases.
    """
    values, was = dict(ours.values), dict(ours.was)
    for name, want in wanted.items():
        have = in_kernel.get(name)
        if have is None:
            continue
        if not fulfils(have, str(want)):
            mine = values.get(name)
            # Where what we had set runs, or was lost, what was before us is known already.
            if mine is None or not _covers(mine, have):
                was[name], mine = have, have
            values[name] = merged(mine, str(want))
        elif name in values and not fulfils(values[name], str(want)):
            values[name] = merged(values[name], str(want))
    return Kernel(values, was)


def limits(session: Dict[str, List[int]], others: Limits, ours: Limits, wanted: Dict[str, int]) -> Limits:
    """Return our file's content: each limit that is too low in this session or in others' files.

    ``session`` are the soft and hard limits of the module's own session, ``others`` the values in other files.
    """
    shall = {name: dict(values) for name, values in ours.items()}
    for name, want in wanted.items():
        set_elsewhere = others.get(name, {})
        hard = session.get(name, [UNLIMITED, UNLIMITED])[1]
        if name in ours or any(_lower(value, want) for value in [hard, *set_elsewhere.values()]):
            shall[name] = {domain: _higher(want, set_elsewhere.get(domain, want)) for domain in DOMAINS}
    return shall


def _lower(one: int, other: int) -> bool:
    return one != UNLIMITED and (other == UNLIMITED or one < other)


def _higher(one: int, other: int) -> int:
    return other if _lower(one, other) else one


def fulfils(have: str, want: str) -> bool:
    """Whether a setting satisfies what is wanted: a number at least, ranges (60000-60015,61000) covered, else equal."""
    if re.fullmatch(r"\d+", have) and re.fullmatch(r"\d+", want):
        return int(have) >= int(want)
    if _ranges(have, want):
        return _numbers(want) <= _numbers(have)
    return have.split() == want.split()


def _covers(mine: str, have: str) -> bool:
    """Whether the active value is no more than our file's: then something removed ours, and nothing was added."""
    return _numbers(have) <= _numbers(mine) if _ranges(have, mine) else fulfils(mine, have)


def merged(have: str, want: str) -> str:
    """Return a value that satisfies what is wanted and keeps the present one, as far as such values can be combined."""
    if _ranges(have, want):
        return _shown(_numbers(have) | _numbers(want))
    return have if fulfils(have, want) else want


def _ranges(have: str, want: str) -> bool:
    return "-" in want and bool(re.fullmatch(r"[\d,-]*", have + want))


def _numbers(ranges: str) -> Set[int]:
    numbers: Set[int] = set()
    for part in ranges.split(","):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        if match:
            first, last = int(match.group(1)), int(match.group(2) or match.group(1))
            numbers.update(range(first, min(last, _MOST_PORTS) + 1))
    return numbers


def _shown(numbers: Set[int]) -> str:
    """Return the ranges as the kernel prints them."""
    ranges: List[List[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else "%d-%d" % (first, last) for first, last in ranges)
