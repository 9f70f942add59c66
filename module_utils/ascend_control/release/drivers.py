# SPDX-License-Identifier: Apache-2.0
"""What ``releases/compatibility.yml`` says about drivers: their firmware, and whether they can be mixed."""

from __future__ import annotations

from typing import Any

from .read import read_matrix


def drivers_of(releases_dir: str, cann: str) -> dict[str, Any]:
    """Return ``firmwares``, driver -> the firmware of its Ascend HDK, and ``mixed``, what happens to a job over nodes
    with different drivers: "hang", or "" if no problem is known.
    """
    matrix = read_matrix(releases_dir)
    row = matrix["cann"].get(cann, {})
    firmwares = {driver: drivers["firmware"] for driver, drivers in matrix.get("driver", {}).items()}
    return {"firmwares": firmwares, "mixed": row.get("mixed_drivers", "")}
