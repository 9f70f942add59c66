# SPDX-License-Identifier: Apache-2.0
"""The forms of a node's problems, from the reader to the report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, List

from .masking import masked
from .text import printable, shortened

if TYPE_CHECKING:
    from .shapes import Cause as Cause, Finding as Finding, Refusal as Refusal
else:  # a node need not compile the forms
    Cause = Finding = Refusal = dict

_LEFT_OUT = 500  # characters of the finding that speaks of those that had no room


MOST_CHARACTERS = 300  # of a tool's own words in a finding: facts stay small


def finding(
    subset: str, name: str, problem: str, wanted: str = "", found: str = "", where: str = "", remedy: str = ""
) -> Finding:
    """Return what is wrong with a node. ``name`` is stable (docs/facts.md lists them all); ``problem`` is text.

    ``wanted``, ``found`` (the tool's own words, if any), ``where`` and ``remedy`` (the next command to type).
    """
    return {
        "subset": subset,
        "name": name,
        "problem": masked(problem),
        "wanted": masked(wanted),
        "found": quoted(found),
        "where": masked(where),
        "remedy": masked(remedy),
    }


def bounded(findings: List[Finding], room: int) -> List[Finding]:
    """Return the findings that fit in the room (characters of JSON), and one that names and counts the others."""
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
    problem = "%d more findings than the facts have room for" % len(left_out)
    remedy = "ansible NODE -m ascend.fleet.ascend_facts  # again, once those above are fixed"
    more = finding("facts", "findings-left-out", problem, "a node with few faults", ", ".join(counts), "", remedy)
    return [*findings[:kept], more]


def quoted(words: str) -> str:
    """Return at most MOST_CHARACTERS of a tool's words.

    Secrets are masked first, because half a secret cannot be recognised.
    """
    return shortened(printable(masked(words)), MOST_CHARACTERS)


def cause(name: str, problem: str, wanted: str = "", found: str = "", subject: str = "") -> Cause:
    """Return one thing that a step cures."""
    return {
        "name": name,
        "subject": masked(subject),
        "problem": masked(problem),
        "wanted": masked(wanted),
        "found": masked(found),
    }


def refusal(
    component: str,
    name: str,
    problem: str,
    wanted: str,
    found: str,
    remedy: str,
    where: str = "",
    subject: str = "",
) -> Refusal:
    """Return a refusal or a warning (see the module's description)."""
    return {
        "component": component,
        "check": name,
        "subject": masked(subject),
        "problem": masked(problem),
        "wanted": masked(wanted),
        "found": masked(found),
        "where": masked(where),
        "remedy": masked(remedy),
    }
