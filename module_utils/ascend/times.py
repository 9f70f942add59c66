# SPDX-License-Identifier: Apache-2.0
"""The form in which a time is written down."""

from __future__ import annotations

import time

UTC = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """Return the time, in UTC."""
    return time.strftime(UTC, time.gmtime())


def utc(time_s: float) -> str:
    """Return a time from outside (seconds since 1970), which may be invalid."""
    try:
        return time.strftime(UTC, time.gmtime(time_s))
    except (OverflowError, ValueError, OSError):
        return "%s s since 1970" % time_s
