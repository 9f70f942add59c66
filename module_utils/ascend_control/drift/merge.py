# SPDX-License-Identifier: Apache-2.0
"""The slices of a drift check as one check: every node of the inventory once, whatever happened to its slice.

A node without a slice counts as not checked and is never left out, so a report that lacks a slice does not look
complete. If two slices contain a node, the later look counts. What differs between nodes is decided over all of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ...ascend.errors import AscendError
from ...ascend.text import listed
from ...ascend.times import UTC
from ..plan.between import Peer
from ..plan.words import nodes_text
from .findings import Finding
from .fleet import Node, unheard
from .slices import Slice, age

# A check takes hours at most, also where its slices wait for each other; the next one begins a day later.
APART = timedelta(hours=12)
NAME = "slice"  # the finding's
_SHOWN = 3


class Merged(NamedTuple):
    """A check whose report can be made as if a single run had made it."""

    nodes: list[Node]
    peers: dict[str, Peer]
    depot: list[Finding]
    made: str
    seconds: float
    deep: bool
    components: tuple[str, ...]
    merge: dict[str, Any]  # docs/fleet.schema.json, "merged"


def merged(
    check: str,
    read: tuple[dict[str, Slice], dict[str, str]],
    nodes: Mapping[str, list[str]],
    others: set[str],
    code: str,
    now: datetime,
    again: str,
) -> Merged:
    """Return the slices as one check.

    ``read``: slices.read of the check's folder; ``nodes``: host name -> groups, of the nodes to report; ``others``:
    hosts of the inventory that are not to be reported; ``code``: of the ascend-fleet that merges; ``again``: the
    command that makes a slice, without its --limit. Raises AscendError if no slice counts, or they looked at different
    things.
    """
    slices, broken = read
    out = {file: reason for file, found in slices.items() if (reason := _of_another_check(found, code, now))}
    counted = {file: found for file, found in slices.items() if file not in out}
    # The later look counts; of two that began in the same second, that of the later name.
    in_order = sorted(counted.items(), key=lambda item: (item[1]["made"], item[0]))
    _require_one_question(in_order, check, {**broken, **out}, again)
    latest = {node["name"]: (node, found) for _, found in in_order for node in found["nodes"]}
    left_out = {node["name"]: reason for file, reason in out.items() for node in slices[file]["nodes"]}
    first = in_order[0][1]
    components = tuple(first["components"])
    missing = [name for name in nodes if name not in latest]
    looks = sum(len(found["nodes"]) for _, found in in_order)
    strangers = sorted(latest.keys() - nodes.keys() - others)
    finding = _unheard(check, len(counted), len(latest), again)
    of_nodes = [
        latest[name][0]
        if name in latest
        else {**unheard(name, finding(name, left_out.get(name)), components), "groups": groups, "seconds": None}
        for name, groups in nodes.items()
    ]
    return Merged(
        nodes=of_nodes,
        peers={name: found["peers"][name] for name, (_, found) in latest.items() if name in found["peers"]},
        depot=_once(found["depot"] for _, found in in_order),
        made=first["made"],
        seconds=max((_seconds(first["made"], found) for _, found in in_order), default=0.0),
        deep=first["deep"],
        components=components,
        merge={
            "check": check,
            "slices": [_shown(file, found) for file, found in in_order],
            "left_out": [{"file": file, "reason": reason} for file, reason in sorted({**broken, **out}.items())],
            "missing": len(missing),
            "twice": looks - len(latest),
            "strangers": strangers,
        },
    )


def merge_words(merge: Mapping[str, Any]) -> str:
    """Return how a report came about, in words."""
    number = len(merge["slices"])
    words = [f"merged from {number} slice{'' if number == 1 else 's'} of the check {merge['check']}"]
    words += [f"no slice covers {nodes_text(merge['missing'])}"] if merge["missing"] else []
    words += [f"{each['file']} left out: {each['reason']}" for each in merge["left_out"][:_SHOWN]]
    more = len(merge["left_out"]) - _SHOWN
    words += [f"{more} more left out"] if more > 0 else []
    words += [f"{nodes_text(merge['twice'])} twice: the later check counts"] if merge["twice"] else []
    names = merge["strangers"]
    words += [f"not in the inventory: {listed(names, most=_SHOWN)}"] if names else []
    return "; ".join(words)


def _of_another_check(found: Slice, code: str, now: datetime) -> str:
    """Return why a slice does not belong to this check; "" if it does."""
    if found["code"] != code:
        return f"made by another version of ascend-fleet ({found['code']}, this one is {code})"
    apart = age(found, now)
    if abs(apart) > APART:
        hours = round(abs(apart).total_seconds() / 3600)
        return f"started {hours} hours {'before' if apart > timedelta() else 'after'} the merge, at {found['made']}"
    return ""


def _require_one_question(in_order: list[tuple[str, Slice]], check: str, left_out: dict[str, str], again: str) -> None:
    if not in_order:
        raise AscendError(
            "none of the slices can be merged",
            wanted=f"slices of the check {check} by this version of ascend-fleet, started within 12 hours of the merge",
            found=listed([f"{file}: {reason}" for file, reason in sorted(left_out.items())], most=_SHOWN),
            where="drift_slices_dir",
            remedy=f"{again}  # run every slice again",
        )
    first_file, first = in_order[0]
    for file, found in in_order:
        if (found["components"], found["deep"]) != (first["components"], first["deep"]):
            raise AscendError(
                "the slices checked different components",
                wanted="slices with the same drift_components and drift_deep",
                found=f"{_looked_at(first)} in {first_file}, {_looked_at(found)} in {file}",
                where=f"the check {check}",
                remedy=f"{again}  # run all slices with the same options, under a new name",
            )


def _looked_at(found: Slice) -> str:
    return f"{','.join(found['components'])}{' (deep)' if found['deep'] else ''}"


def _unheard(check: str, slices: int, nodes: int, again: str) -> Callable[[str, str | None], Finding]:
    """Return a function that makes the finding of a node without a slice."""

    def finding(name: str, reason: str | None) -> Finding:
        without = f"{slices} slice{'' if slices == 1 else 's'} with {nodes_text(nodes)}, but not this one"
        return {
            "component": "access",
            "level": "unchecked",
            "name": NAME,
            "subject": "",
            "problem": "no slice covers the node",
            "wanted": f"the node in a slice of the check {check}",
            "found": f"a slice that was left out: {reason}" if reason else without,
            "where": name,
            "remedy": f"{again} --limit {shlex.quote(name)}  # then merge again",
        }

    return finding


def _once(depots: Iterable[list[Finding]]) -> list[Finding]:
    """Return what is wrong with depots; each slice checked its own control node's, usually the same one."""
    return list({finding["id"]: finding for depot in depots for finding in depot}.values())


def _seconds(made: str, found: Slice) -> float:
    """Return how long after the first slice's begin this one ended."""
    began = datetime.strptime(found["made"], UTC) - datetime.strptime(made, UTC)
    return round(began.total_seconds() + float(found["seconds"]), 1)


def _shown(file: str, found: Slice) -> dict[str, Any]:
    return {"file": file, "made": found["made"], "seconds": found["seconds"], "nodes": len(found["nodes"])}
