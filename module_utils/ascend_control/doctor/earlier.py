# SPDX-License-Identifier: Apache-2.0
"""What the newest preflight and the newest verify found, and how old they are. A report that is missing, old,
unreadable or of another inventory says so, and never counts as a pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ...ascend.text import cut, listed, one_line
from ...ascend.times import UTC
from ..plan.remedies import run_on
from ..plan.words import of_node
from .proofs import FAIL, PASS, UNKNOWN

VERSION = 1
FRESH, OLD, MISSING, UNUSABLE = "fresh", "old", "missing", "unusable"
KINDS = ("verify", "preflight")
_WORDS = ("name", "problem", "wanted", "found", "where", "remedy")
# Failures of a preflight that say nothing of the node: somebody used it, or the error was another one's.
_NOT_TESTED = ("being-changed", "cards-in-use", "no-answer", "not-proven")
_AHEAD = timedelta(minutes=5)  # a report that is younger than now, by more than clocks differ


class Result(NamedTuple):
    """What a report says about one node: ``state`` pass, fail or unknown, and why; ``failures`` in a finding's form."""

    state: str
    why: str
    failures: list[dict[str, str]]


class Earlier(NamedTuple):
    """A report: ``state`` is fresh, old, missing or unusable (and ``why``); ``age_s``, ``made``: if it was read."""

    kind: str
    path: str
    state: str
    why: str
    made: str | None
    age_s: int | None
    level: str
    nodes: dict[str, Result]

    def of(self, node: str) -> Result:
        """Return what it says of a node."""
        if self.state not in (FRESH, OLD):
            return Result(UNKNOWN, self.why, [])
        return self.nodes.get(node, Result(UNKNOWN, f"not in the report of {self.made}", []))


def read(kind: str, path: str, inventory: str, old_days: float, now: datetime) -> Earlier:
    """Return the report of a ``kind`` (``KINDS``). ``inventory``: options that name the inventory of this run.

    What is older than ``old_days`` is old. Never raises.
    """

    def unusable(why: str, state: str = UNUSABLE) -> Earlier:
        return Earlier(kind, path, state, why, None, None, "", {})

    if not Path(path).is_file():
        return unusable(f"no report; playbooks/{kind}.yml makes one", MISSING)
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        schema, version = found.get("schema"), found.get("version")
        if (schema, version) != (f"ascend-fleet/{kind}", VERSION):
            return unusable(f"not a report of playbooks/{kind}.yml: schema {schema}, version {version}")
        if found["inventory"] != inventory:
            return unusable(f"from another inventory: {found['inventory'] or 'the default one'}")
        made = datetime.strptime(found["made"], UTC).replace(tzinfo=timezone.utc)
        if made - now > _AHEAD:
            return unusable(f"made in the future, at {found['made']}: a clock was wrong")
        age = max(now - made, timedelta())
        old = age > timedelta(days=old_days)
        words = age_text(age) if old else ""
        nodes = {str(each["name"]): _result(each, words, inventory) for each in found["nodes"]}
        level = str(found.get("level", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return unusable(cut(one_line(f"cannot be read: {type(error).__name__}: {error}"), 200))
    return Earlier(kind, path, OLD if old else FRESH, "", found["made"], int(age.total_seconds()), level, nodes)


def _result(node: Mapping[str, Any], old: str, inventory: str) -> Result:
    """Return the report's result for one node; ``old`` is the report's age if that is too old."""
    name, state, why = str(node["name"]), node["state"], str(node.get("why", ""))
    if state == PASS:
        return Result(UNKNOWN, f"passed {old}: too old to count", []) if old else Result(PASS, why, [])
    failures = [_failure(each, name, inventory) for each in node["failures"]]
    tested = [each for each in failures if not _says_nothing(each)]
    if state == FAIL and tested:
        return Result(FAIL, f"failed {old}" if old else why, tested)
    reasons = listed([each["problem"] for each in failures], most=2)
    return Result(UNKNOWN, why or f"not tested: {reasons or 'no reason is given'}", [])


def _failure(each: Mapping[str, Any], node: str, inventory: str) -> dict[str, str]:
    words = {key: str(each.get(key, "")) for key in _WORDS}
    remedy = of_node(words["remedy"], node, inventory).replace("NODE", node)
    return {"component": str(each.get("component", "")), "subject": str(each.get("subject", "")), **words} | {
        "remedy": remedy,
        "run_on": run_on(remedy, node),
    }


def _says_nothing(failure: Mapping[str, str]) -> bool:
    return failure["name"] in _NOT_TESTED or failure["component"] == "access"


def age_text(age: timedelta) -> str:
    """Return "3 hours ago", in the largest unit that is whole."""
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60)):
        number = int(age.total_seconds() // seconds)
        if number:
            return f"{number:,} {unit}{'' if number == 1 else 's'} ago"
    return "just now"


def counts(earlier: Earlier, names: Iterable[str]) -> dict[str, int]:
    """Return how many of these nodes passed, failed, and are not known."""
    states = [earlier.of(name).state for name in names]
    return {state: states.count(state) for state in (PASS, FAIL, UNKNOWN)}
