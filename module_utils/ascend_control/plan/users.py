# SPDX-License-Identifier: Apache-2.0
"""The accounts that train: who of them joins the group that may open the cards, and what keeps one out."""

from __future__ import annotations

from typing import Any

from ...ascend.finding import Refusal, cause, listed
from ...ascend.npu.device_users import finding_of
from .components import Facts, Step, as_refusal, step


def users_step(found: Facts) -> list[Step]:
    """Return the step that lets accounts open the cards; none where all may, or where no group would help."""
    joining = [user for user in _users(found, "shut-out") if user["group"]]
    if not joining:
        return []
    words = [f"{user['name']} is not in the group {user['group']}" for user in joining]
    reason = f"accounts cannot open the cards: {listed(words)}"
    groups = ", ".join(sorted({user["group"] for user in joining}))
    causes = [
        cause("device-user-shut-out", words[number], user["group"], user["found"], user["name"])
        for number, user in enumerate(joining)
    ]
    names = ", ".join(user["name"] for user in joining)
    return [step("users", "repair", reason, f"{names}: shut out", groups, "/dev/davinci*", causes)]


def users_refusals(found: Facts) -> list[Refusal]:
    """An account that is not there cannot prove anything; one that no group lets in needs another driver."""
    shut_out = [user for user in _users(found, "shut-out") if not user["group"]]
    told = _users(found, "absent") + shut_out
    return [dict(as_refusal(finding_of(user)), subject=user["name"]) for user in told]


def _users(found: Facts, state: str) -> list[dict[str, Any]]:
    return [user for user in found["driver"].get("users", ()) if user["state"] == state]
