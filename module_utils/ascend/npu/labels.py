# SPDX-License-Identifier: Apache-2.0
"""Labels and their values, as npu-smi and hccn_tool print them: ``Temperature (C) : 53``."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

Pair = Tuple[str, str]  # label, value
Block = Tuple[Pair, ...]

_SAME = {"health": "healthstatus", "errorcodes": "errorcode"}


def fold(label: str) -> str:
    """Return the common form of a label's spellings: "Temperature (C)" and "Temperature(C)"."""
    folded = "".join(label.lower().replace("-", " ").replace("_", " ").split())
    return _SAME.get(folded, folded)


def look_up(block: Sequence[Pair], label: str) -> Optional[str]:
    """Return a block's value with this label, in any of its spellings; None if there is none."""
    wanted = fold(label)
    return next((value for key, value in block if fold(key) == wanted), None)
