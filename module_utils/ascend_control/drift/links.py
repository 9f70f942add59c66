# SPDX-License-Identifier: Apache-2.0
"""Where a finding is explained: its name is an anchor of docs/troubleshooting.md (a contract test compares both)."""

from __future__ import annotations

# Absolute, since a report is mailed and copied away from its checkout. Without the internet: a page of ``make docs``.
PAGE = "https://github.com/ascend-fleet/ascend-fleet/blob/main/docs/troubleshooting.md"


def link_to(name: str, page: str = PAGE) -> str:
    """Return the address that explains the finding ``name``; ``page`` is another copy of docs/troubleshooting.md."""
    return f"{page}#{name}"
