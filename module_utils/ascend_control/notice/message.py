# SPDX-License-Identifier: Apache-2.0
"""When a drift check notifies, and what: the message, before it gets the form of a webhook or a mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...ascend.masking import masked
from ...ascend.text import cut, one_line

Fleet = dict[str, Any]
Message = dict[str, Any]

CONTROL = "control node"  # whose findings the depot's are
FLEET = "the fleet"  # whose findings those between nodes are
NOTHING_BETWEEN: Fleet = {"compared": 0, "findings": [], "remarks": []}
SHOWN = 10  # findings of a kind in a text
LISTED = 50  # and in the JSON of form json


def between_of(fleet: Fleet) -> dict[str, Any]:
    """Return what differs between the nodes of a report; reports of earlier versions do not say."""
    between: dict[str, Any] = fleet.get("between", NOTHING_BETWEEN)
    return between


def is_due(fleet: Fleet, test: bool) -> bool:
    """Return whether to notify: the state changed, or what changed is unknown. A check of few nodes never notifies."""
    if test:
        return True
    if fleet["partial"]:
        return False
    if fleet["history"] is not None:
        return bool(fleet["counts"]["findings"]) or any(each["findings"] for each in _of_no_node(fleet))
    return bool(_new_findings(fleet) or fleet["changes"]["gone"]) or _state(fleet["counts"]) != _earlier_state(fleet)


def compose(fleet: Fleet, summary: str, report_url: str, test: bool) -> Message:
    """Return the message.

    ``{"headline", "note", "new", "gone": lines, at most 10 each, "data": the JSON of form json}``.
    """
    changes, new = fleet["changes"], _new_findings(fleet)
    data = {
        "schema": 1,
        "source": "ascend-fleet",
        "test": test,
        "made": fleet["made"],
        "counts": dict(fleet["counts"]),
        "changes": {
            "since": changes["since"],
            "new": new[:LISTED],
            "new_count": len(new),
            "gone": changes["gone"][:LISTED],
            "gone_count": len(changes["gone"]),
            "still": changes["still"] + len(changes["new"]) - len(new),
        },
        "history": fleet["history"],
        "summary": masked(summary),
        "report_url": shown(report_url, 1000),
    }
    return {
        "headline": _headline(fleet, new, test),
        "note": shown(f"history: {fleet['history']}", 500) if fleet["history"] is not None else "",
        "new": [_mention(finding) for finding in new[:SHOWN]],
        "gone": [_mention(finding) for finding in changes["gone"][:SHOWN]],
        "data": data,
    }


def lines(message: Message, limit: int) -> list[str]:
    """Return the text that a person reads, with at most ``limit`` findings of a kind."""
    changes, url = message["data"]["changes"], message["data"]["report_url"]
    text = [message["headline"], *([message["note"]] if message["note"] else [])]
    for kind in ("new", "gone"):
        listed = message[kind][:limit]
        remaining = changes[f"{kind}_count"] - len(listed)
        text += [f"{kind}: {line}" for line in listed]
        text += [f"{kind}: {remaining:,} more in the report"] if remaining else []
    text += [f"still there: {changes['still']:,}"] if changes["still"] else []
    return text + ([f"report: {url}"] if url else [])


def shown(text: str, width: int) -> str:
    """Return at most ``width`` characters on one line, without secrets (masked before shortening)."""
    return cut(one_line(masked(str(text))), width)


def _state(counts: Mapping[str, Any]) -> str:
    """Return clean, drifted or unchecked, as the check's exit code does."""
    return "unchecked" if counts["unchecked"] else "drifted" if counts["drifted"] else "clean"


def _earlier_state(fleet: Fleet) -> str:
    """A fleet without an earlier report counts as clean, so the first report notifies about its findings."""
    before = [point for point in fleet["trend"] if point["made"] != fleet["made"]]
    return _state(before[-1]) if before else "clean"


def _new_findings(fleet: Fleet) -> list[dict[str, str]]:
    """Return the findings that the last whole report did not have.

    A check of a few nodes, which notifies nobody, may have seen them first, so in the history they are no longer new.
    """
    before = [point["made"] for point in fleet["trend"] if point["made"] != fleet["made"]]
    keys = ("id", "component", "level", "name", "subject", "problem", "first_seen")
    seen_since = [
        {"node": node["name"], **{key: finding[key] for key in keys}, "last_seen": fleet["made"]}
        for node in [*fleet["nodes"], *_of_no_node(fleet)]
        for finding in node["findings"]
        if before and finding["status"] == "still" and finding["first_seen"] > before[-1]
    ]
    return [*fleet["changes"]["new"], *seen_since]


def _headline(fleet: Fleet, new: list[dict[str, str]], test: bool) -> str:
    counts, changes = fleet["counts"], fleet["changes"]
    now, before = _state(counts), _earlier_state(fleet)
    was = f" (was {before})" if now != before and fleet["history"] is None else ""
    parts = [f"{counts['clean']:,} of {counts['nodes']:,} nodes clean"]
    parts += [f"{counts[name]:,} {name}" for name in ("drifted", "unchecked") if counts[name]]
    of_no_node = sum(len(each["findings"]) for each in _of_no_node(fleet))
    parts += [f"{of_no_node:,} finding{'' if of_no_node == 1 else 's'} of the fleet as a whole"] if of_no_node else []
    start = "ascend-fleet: this is a test:" if test else "ascend-fleet:"
    return f"{start} {now}{was}: {len(new):,} new, {len(changes['gone']):,} gone; {', '.join(parts)}"


def _of_no_node(fleet: Fleet) -> list[dict[str, Any]]:
    """Return what makes the check end with 2 although all nodes are clean, in the form of nodes."""
    return [
        {"name": CONTROL, "findings": fleet.get("depot", [])},
        {"name": FLEET, "findings": between_of(fleet)["findings"]},
    ]


def _mention(finding: Mapping[str, str]) -> str:
    return f"{shown(finding['node'], 60)} {finding['component']}: {shown(finding['problem'], 120)}"
