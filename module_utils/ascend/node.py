# SPDX-License-Identifier: Apache-2.0
"""How the readers reach a node, and the form in which they say what is wrong with it."""

from __future__ import annotations

import json
import os
from typing import Callable, Dict, List, NamedTuple, Optional

from ansible.module_utils.ascend.command import Result
from ansible.module_utils.ascend.masking import masked

Run = Callable[[List[str], float], Result]
Finding = Dict[str, str]

At = Callable[..., None]

_LEFT_OUT = 500  # characters of the finding that speaks of those that had no room
MOST_CHARACTERS = 300  # of a tool's own words in a finding: facts stay small


def nobody_asks(_words: str, _limit_s: Optional[float] = None) -> None:
    """Where no time limit is held, nobody asks what is at work."""


class Node(NamedTuple):
    """``run(argv, timeout_s)`` runs a program there, ``find(name)`` returns a program's path or None.

    ``root`` is the folder in which the node's files lie: "/", but for tests and replayed records. ``at(words)`` says
    what is read from now on, for whoever holds the reading to a time limit (``bounded.whole``); ``at(words, limit_s)``
    where that must not take longer.
    """

    run: Run
    find: Callable[[str], Optional[str]]
    root: str = "/"
    at: At = nobody_asks

    def path(self, path: str) -> str:
        """Return where the node's absolute ``path`` lies."""
        return path if self.root == "/" else os.path.join(self.root, path.lstrip("/"))


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
