# SPDX-License-Identifier: Apache-2.0
"""The accounts that train: which of them join the group that may open the cards, and what keeps one out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...ascend.finding import Refusal, cause
from ...ascend.npu.device_users import finding_of
from ...ascend.text import listed
from .components import Step, as_refusal, step
from .found import Found, User

if TYPE_CHECKING:
    from ...ascend.shapes import User as UserFact


def users_step(found: Found) -> list[Step]:
    """Return the step that lets accounts open the cards; none if all may, or if no group would help."""
    joining = [(user, user.group) for user in _users(found, "shut-out") if user.group]
    if not joining:
        return []
    words = [f"{user.name} is not in the group {group}" for user, group in joining]
    reason = f"accounts cannot open the cards: {listed(words)}"
    groups = ", ".join(sorted({group for _, group in joining}))
    causes = [
        cause("device-user-shut-out", problem, group, user.found, user.name)
        for problem, (user, group) in zip(words, joining, strict=True)
    ]
    names = ", ".join(user.name for user, _ in joining)
    return [step("users", "repair", reason, f"{names}: no access", groups, "/dev/davinci*", causes)]


def users_refusals(found: Found) -> list[Refusal]:
    """A missing account cannot prove anything; one that no group lets in needs another driver."""
    shut_out = [user for user in _users(found, "shut-out") if not user.group]
    refusals = _users(found, "absent") + shut_out
    return [as_refusal(finding_of(_fact(user)), user.name) for user in refusals]


def _fact(user: User) -> UserFact:
    return {"name": user.name, "state": user.state, "group": user.group, "found": user.found}


def _users(found: Found, state: str) -> list[User]:
    return [user for user in found.driver.users if user.state == state]
