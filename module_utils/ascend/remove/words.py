# SPDX-License-Identifier: Apache-2.0
"""A selection as lines for the terminal: what goes, with how much room it gives back, then what stays, and why."""

from __future__ import annotations

from typing import Any, Dict, List

from ansible.module_utils.ascend.remove import sizes

_QUIET = ("leftover", "cache", "state", "log", "link", "CANN's file")  # kept ones of these say nothing to anybody
SHOWN = 100  # rows; a node that has more has them in the module's result


def lines(selection: Dict[str, List[Any]], freed_mb: float) -> List[str]:
    """Return a line a row, in columns; the last one tells the sum."""
    rows = [("remove", row) for row in selection["remove"]]
    rows += [("keep", row) for row in selection["keep"] if row["kind"] not in _QUIET]
    left = len(rows) - SHOWN
    rows = rows[:SHOWN]
    kinds = max([len(row["kind"]) for _verb, row in rows] or [0])
    names = max([len(row["name"]) for _verb, row in rows] or [0])
    found = [
        "%-6s  %-*s  %-*s  %8s  %s"
        % (verb, kinds, row["kind"], names, row["name"], sizes.shown(row["size_mb"]), row["reason"])
        for verb, row in rows
    ]
    found += ["and %d more" % left] if left > 0 else []
    count = len(selection["remove"])
    if not count:
        return [*found, "nothing to remove"]
    if selection["refusals"]:
        return [*found, "refused, for the reasons given below; it would free %s" % sizes.shown(freed_mb)]
    return [*found, "%d to remove, which frees %s" % (count, sizes.shown(freed_mb))]
