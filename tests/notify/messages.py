# SPDX-License-Identifier: Apache-2.0
"""Reports that notify, and the messages made of them."""

from __future__ import annotations

from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice.message import compose
from tests import fleets

NOW = 1772415000.257  # DingTalk's signature then holds + and /


TOKEN = "tok-5e1f0c9a77d24b7f"


HOOK = f"https://a.example/{TOKEN}"


def report(clean: int = 10, before: tuple[int, int] | None = (0, 0), **changed: Any) -> dict[str, Any]:
    """A report without changes; ``before`` is (drifted, unchecked) of the one before it."""
    fleet = fleets.report([fleets.node(f"npu-{number:04d}", []) for number in range(clean)])
    fleet["changes"].update(new=[], gone=[])
    if before is None:
        fleet["trend"] = fleet["trend"][-1:]
    else:
        fleet["trend"][-2].update(drifted=before[0], unchecked=before[1])
    return {**fleet, **changed}


def drifted(fleet: dict[str, Any], **counts: int) -> dict[str, Any]:
    fleet["counts"].update({"drifted": 1, "findings": 1, **counts})
    fleet["trend"][-1].update(drifted=fleet["counts"]["drifted"], unchecked=fleet["counts"]["unchecked"])
    return fleet


def mention(problem: str = "cards are not healthy", node: str = "npu-0001") -> dict[str, str]:
    entry = fleets.mentioned(node, fleets.finding(node, fleets.FAULTS[0]))
    return {**entry, "problem": problem}


def message_of(fleet: dict[str, Any], url: str = "", test: bool = False, summary: str = "") -> dict[str, Any]:
    return compose(fleet, summary, url, test)


def full(problem: str, count: int = 60, url: str = "https://fleet.example.com/") -> dict[str, Any]:
    fleet = report()
    fleet["changes"].update(new=[mention(problem)] * count, gone=[mention(problem)] * count, still=7)
    return message_of(fleet, url)
