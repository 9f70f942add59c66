# SPDX-License-Identifier: Apache-2.0
"""The forms of what is wrong with a node, from the reader to the report."""

from __future__ import annotations

import json
from typing import Dict, List, Optional

from .masking import masked, masked_values

Finding = Dict[str, str]


_LEFT_OUT = 500  # characters of the finding that speaks of those that had no room


MOST_CHARACTERS = 300  # of a tool's own words in a finding: facts stay small


def finding(
    subset: str, name: str, problem: str, wanted: str = "", found: str = "", where: str = "", remedy: str = ""
) -> Finding:
    """Return something that is wrong with a node. ``name`` is stable (docs/facts.md lists them all), ``problem`` words.

    ``wanted``, ``found`` (the tool's own words where it has some), ``where`` and ``remedy`` (the next command to type).
    """
    return {
        "subset": subset,
        "name": name,
        "problem": masked(problem),
        "wanted": masked(wanted),
        "found": shortened(_printable(masked(found))),
        "where": masked(where),
        "remedy": masked(remedy),
    }


def bounded(findings: List[Finding], room: int) -> List[Finding]:
    """Return the findings that have room (characters of JSON), and one that names and counts those left out."""
    if len(json.dumps(findings)) <= room:
        return findings
    kept, room = 0, room - _LEFT_OUT
    for found in findings:
        room -= len(json.dumps(found)) + len(", ")
        if room < 0:
            break
        kept += 1
    left_out = [found["name"] for found in findings[kept:]]
    counts = ["%d x %s" % (left_out.count(name), name) for name in sorted(set(left_out))]
    problem = "%d findings more than the facts have room for" % len(left_out)
    remedy = "cure those above first, then look again: ansible NODE -m ascend_facts"
    more = finding("facts", "findings-left-out", problem, "a node with few faults", ", ".join(counts), "", remedy)
    return [*findings[:kept], more]


def _printable(words: str) -> str:
    """Return words that do no harm on a terminal or in a report."""
    return "".join(c if c.isprintable() or c == "\n" else "\\x%02x" % ord(c) for c in words)


def shortened(words: str) -> str:
    """Return at most MOST_CHARACTERS of a tool's words, its middle left out: beginnings and ends say most.

    Secrets are masked first: half of one is none any more that anybody could know.
    """
    words = masked(words)
    if len(words) <= MOST_CHARACTERS:
        return words
    half = MOST_CHARACTERS // 2 - 3
    return "%s ... %s" % (words[:half].rstrip(), words[-half:].lstrip())


Cause = Dict[str, str]


Refusal = Dict[str, str]


SHOWN = 5  # how many names a text lists before it counts the rest


def cause(name: str, problem: str, wanted: str = "", found: str = "", subject: str = "") -> Cause:
    """Return one thing that a step cures."""
    return {"name": name, **masked_values({"subject": subject, "problem": problem, "wanted": wanted, "found": found})}


def refusal(
    component: str,
    check: str,
    problem: str,
    wanted: str,
    found: str,
    remedy: str,
    where: str = "",
    subject: str = "",
) -> Refusal:
    """Return a refusal or a warning (see the module's description)."""
    words = {"subject": subject, "problem": problem, "wanted": wanted, "found": found, "where": where, "remedy": remedy}
    return {"component": component, "check": check, **masked_values(words)}


def listed(items: List[str], count: Optional[int] = None) -> str:
    """Return the first names; the others are counted (``count`` in all, when more are known than are listed)."""
    left = (len(items) if count is None else count) - len(items[:SHOWN])
    shown = ", ".join(items[:SHOWN])
    return shown if left <= 0 else "%s and %d more" % (shown, left)
