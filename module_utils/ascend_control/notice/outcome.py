# SPDX-License-Identifier: Apache-2.0
"""Who was notified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import mail, webhooks


def outcome_line(
    hooks: Any, answers: list[Mapping[str, Any]], to: Any, sender: Any, sendmail: Mapping[str, Any], limit_s: int
) -> str:
    """Return the line that says who was notified and who was not, and why.

    ``answers`` are those of the requests, in their order; ``sendmail`` is the result of its task.
    """
    remaining = iter(answers)
    results = [
        (receiver.name, receiver.problem or webhooks.rejection(receiver, next(remaining, {}), limit_s))
        for receiver in webhooks.receivers(hooks)
    ]
    results += mail.results(to, sender, sendmail, limit_s)
    notified = ", ".join(name for name, problem in results if not problem)
    parts = [f"sent to {notified}"] if notified else []
    parts += [f"NOT sent to {name}: {problem}" for name, problem in results if problem]
    return f"notifications: {'; '.join(parts) or 'nobody to notify'}"
