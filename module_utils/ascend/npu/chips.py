# SPDX-License-Identifier: Apache-2.0
"""Which family a chip is of: what its kernels package is called."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple

Facts = Dict[str, Any]

# A "910B" without a number after it is an older chip of the 910 family.
_FAMILY = re.compile(r"(?:Ascend\s*)?(910B(?=[0-9])|310P|310B)", re.IGNORECASE)


def kernels_families(devices: List[Facts]) -> List[str]:
    """Return which kernels packages the chips need, as far as their names tell: "910b", "310p", "310b".

    A plain 910 may be a 910A or an A3, which have different ones: nothing is said of it.
    """
    found = (_FAMILY.match(str(device["name"])) for device in devices)
    return sorted({match.group(1).lower() for match in found if match})


def chip_family(name: str, chips: Dict[str, Any]) -> Tuple[Optional[str], Optional[Dict[str, Any]]]:
    """Return (family, chip) of the release's chip table whose ``names`` match npu-smi's name, or (None, None)."""
    for family, chip in sorted(chips.items()):
        if re.fullmatch(chip["names"], name):
            return family, chip
    return None, None
