# SPDX-License-Identifier: Apache-2.0
"""CANN's library, by whatever path the session has: that of set_env.sh."""

from __future__ import annotations

import ctypes
from typing import Any

library = ctypes.CDLL("libascendcl.so")


def call(name: str, *arguments: Any) -> int:
    """Return the error code of a function of CANN; 0 is success."""
    return int(getattr(library, name)(*arguments))
