# SPDX-License-Identifier: Apache-2.0
"""Groups similar findings as one cause: what is wrong, on which nodes and racks, since when, and what to type.

A rack is a group of the inventory that is named like one: ``rack_07``, ``rack7``, ``dc1_rack_07``.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..plan.remedies import on_words
from .findings import LEVELS, start

Finding = Mapping[str, str]
Found = list[tuple[str, Finding]]  # node's name, finding
View = dict[str, Any]

RACK = re.compile(r"(?:^|[_.-])rack(?:[_.-].+|\d.*)$", re.IGNORECASE)
_LEVELS = (*LEVELS, "remark")
FEW = 6  # nodes that are named, in a command and beside it; racks, half as many


def rack_of(groups: Iterable[str]) -> str:
    """Return the first group that is named like a rack; "" if there is none."""
    return next((name for name in groups if RACK.search(name)), "")


class Groups(NamedTuple):
    """Who belongs together: names of nodes by rack ("" for those without) and by group of the inventory."""

    racks: dict[str, list[str]]
    groups: dict[str, list[str]]  # empty where a limit was given: then nobody knows who else is in a group


def groups_of(fleet: View) -> Groups:
    """Return the racks, in numerical order, and the groups of the report's nodes."""
    racks: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    for node in fleet["nodes"]:
        racks.setdefault(rack_of(node["groups"]), []).append(node["name"])
        for group in node["groups"]:
            groups.setdefault(group, []).append(node["name"])
    return Groups({name: racks[name] for name in sorted(racks, key=_by_number)}, {} if fleet["limit"] else groups)


def causes(found: Found, together: Groups) -> list[View]:
    """Return the causes of the findings, those on most nodes first.

    Each ``{"key", "component", "level": the worst, "name", "text", "forms": [(text, nodes)] where a cause has several,
    "nodes", "findings", "new": numbers, "since": the earliest time, "where": words, "places": [(part, [{"rack",
    "names", "all"}])], "command": see ``command``}``.
    """
    alike: dict[str, Found] = {}
    for name, finding in found:
        alike.setdefault(key(finding), []).append((name, finding))
    made = [_cause(which, each, together) for which, each in alike.items()]
    return sorted(made, key=_most_first)


def _most_first(cause: View) -> tuple[int, int, str, str]:
    return -cause["nodes"], _LEVELS.index(cause["level"]), cause["component"], cause["text"]


def key(finding: Finding) -> str:
    """Return a key that is the same for similar findings in every report, so that a link to a cause stays valid."""
    words = "\0".join((finding["component"], finding["name"], start(finding["problem"])))
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _cause(which: str, found: Found, together: Groups) -> View:
    first = found[0][1]
    forms: dict[str, set[str]] = {}
    for name, finding in found:
        forms.setdefault(finding["problem"], set()).add(name)
    names = list(dict.fromkeys(name for name, _ in found))
    fresh = {name for name, finding in found if finding["status"] == "new"}
    return {
        "key": which,
        "component": first["component"],
        "level": min((finding["level"] for _, finding in found), key=_LEVELS.index),
        "name": first["name"],
        "text": first["problem"] if len(forms) == 1 else start(first["problem"]),
        "forms": [(text, len(who)) for text, who in forms.items()] if len(forms) > 1 else [],
        "nodes": len(names),
        "findings": len(found),
        "new": len(fresh),
        "since": min(finding["first_seen"] for _, finding in found),
        "where": where(names, together),
        "places": [(part, _places(some, together.racks)) for part, some in _parts(names, fresh)],
        "command": command(found, together),
    }


def _parts(names: list[str], fresh: set[str]) -> list[tuple[str, list[str]]]:
    """Return the nodes on which it is new and the others, if there are both and many."""
    others = [name for name in names if name not in fresh]
    if not fresh or not others or len(names) <= FEW:
        return [("", names)]
    return [("new", [name for name in names if name in fresh]), ("there before", others)]


def _places(names: list[str], racks: dict[str, list[str]]) -> list[View]:
    """Return the names by rack, and whether they are all of it."""
    wanted = set(names)
    found = ((rack, [name for name in members if name in wanted], len(members)) for rack, members in racks.items())
    return [{"rack": rack, "names": some, "all": len(some) == size} for rack, some, size in found if some]


def where(names: list[str], together: Groups) -> str:
    """Return the racks of these nodes in words: the names of a few, the number of many; "" in a fleet without racks."""
    racks = together.racks
    places = _places(names, racks)
    if not any(racks):
        return ""
    if len(places) > FEW // 2:
        return f"in {len(places):,} of {len(racks):,} racks"
    return ", ".join(
        f"all of {place['rack'] or 'the nodes without a rack'}"
        if place["all"]
        else f"{len(place['names'])} of {len(racks[place['rack']])} {_in_rack(place['rack'])}"
        for place in places
    )


def _in_rack(rack: str) -> str:
    return f"in {rack}" if rack else "without a rack"


def command(found: Found, together: Groups) -> View:
    """Return the command for all of these nodes: ``{"text", "on": which machine, "note", "all": of all nodes}``.

    Remedies that differ only in the node's name become one, for a group if the nodes are all of one. For many nodes,
    the first node's comes first, because people try one node before repairing many.
    """
    remedies = {name: finding["remedy"] for name, finding in reversed(found)}
    names = list(dict.fromkeys(name for name, _ in found))
    first, alike = remedies[names[0]], len(set(remedies.values())) == 1
    on = on_words(found[0][1]["run_on"], names, len(names) if alike else 1)
    view = {"text": first, "on": on, "note": "", "all": ""}
    if alike:
        return view
    forms = {_without(name, remedy) for name, remedy in remedies.items()}
    if len(forms) > 1:
        return {**view, "note": f"{names[0]} only: the command differs from node to node"}
    group = next((each for each, members in together.groups.items() if set(members) == set(names)), "")
    whole = forms.pop().replace("\0", group or ",".join(map(shlex.quote, names)))
    if group or len(names) <= FEW:
        return {**view, "text": whole}
    return {**view, "all": whole}


def _without(name: str, remedy: str) -> str:
    """Return a remedy with a mark in place of the node, where ``plan.words.of_node`` put its name."""
    return re.sub(rf"(--limit|ansible) {re.escape(shlex.quote(name))}(?!\S)", "\\1 \0", remedy)


def _by_number(name: str) -> tuple[bool, list[tuple[int, str]]]:
    """rack_2 comes before rack_10, and nodes without a rack last."""
    return not name, [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
