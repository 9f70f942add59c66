# SPDX-License-Identifier: Apache-2.0
"""The form in which a time is written down."""

from __future__ import annotations

import time

UTC = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """Return the time, in UTC."""
    return time.strftime(UTC, time.gmtime())
