# SPDX-License-Identifier: Apache-2.0
"""Which family a chip is of: what its kernels package is called."""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Optional

# A "910B" without a number after it is an older chip of the 910 family.
_FAMILY = re.compile(r"(?:Ascend\s*)?(910B(?=[0-9])|310P|310B)", re.IGNORECASE)


def kernels_families(names: Iterable[str]) -> List[str]:
    """Return which kernels packages chips of these names need, as far as the names show: "910b", "310p", "310b".

    A plain 910 is skipped, because it may be a 910A or an A3, which need different ones.
    """
    found = (_FAMILY.match(name) for name in names)
    return sorted({match.group(1).lower() for match in found if match})


def chip_family(name: str, families: Dict[str, str]) -> Optional[str]:
    """Return which of the release's families (family -> expression for its names) matches npu-smi's name, or None."""
    return next((family for family, names in sorted(families.items()) if re.fullmatch(names, name)), None)
