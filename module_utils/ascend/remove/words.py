# SPDX-License-Identifier: Apache-2.0
"""A selection as lines for the terminal: what is removed and how much space that frees, then what stays, and why."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List

from . import sizes

_QUIET = ("leftover", "cache", "state", "log", "link", "CANN's file")  # kept ones of these say nothing to anybody
SHOWN = 100  # rows; a node that has more has them in the module's result


def _names(rows: List[Dict[str, Any]]) -> List[str]:
    """Return each row's name, or its path if others of its kind have the same name."""
    called = Counter((row["kind"], row["name"]) for row in rows)
    return [row["path"] if called[row["kind"], row["name"]] > 1 else row["name"] for row in rows]


def lines(selection: Dict[str, List[Any]], freed_mb: float) -> List[str]:
    """Return one line per row, in columns; the last one has the sum."""
    rows = [("remove", row) for row in selection["remove"]]
    rows += [("keep", row) for row in selection["keep"] if row["kind"] not in _QUIET]
    left = len(rows) - SHOWN
    rows = rows[:SHOWN]
    named = _names([row for _verb, row in rows])
    kinds = max([len(row["kind"]) for _verb, row in rows] or [0])
    names = max([len(name) for name in named] or [0])
    found = [
        "%-6s  %-*s  %-*s  %8s  %s"
        % (verb, kinds, row["kind"], names, name, sizes.shown(row["size_mb"]), row["reason"])
        for (verb, row), name in zip(rows, named)
    ]
    found += ["and %d more" % left] if left > 0 else []
    count = len(selection["remove"])
    if not count:
        return [*found, "nothing to remove"]
    if selection["refusals"]:
        return [*found, "refused for the reasons below; it would free %s" % sizes.shown(freed_mb)]
    return [*found, "%d to remove, which frees %s" % (count, sizes.shown(freed_mb))]
