# SPDX-License-Identifier: Apache-2.0
"""pyACL, as far as programs that look at cards use it: what its documents call so, answered by the stub libraries."""

from __future__ import annotations

import ctypes

from . import rt as rt
from ._library import call, library

library.aclrtGetSocName.restype = ctypes.c_char_p


def init(config_path: str | None = None) -> int:
    return call("aclInit", config_path.encode() if config_path else None)


def finalize() -> int:
    return call("aclFinalize")


def get_soc_name() -> str | None:
    """Return e.g. Ascend910B3, None if that fails."""
    name: bytes | None = library.aclrtGetSocName()
    return name.decode() if name else None
