# SPDX-License-Identifier: Apache-2.0
"""How a preflight of several nodes was asked for, and what its levels and modes mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...ascend.errors import AscendError

QUICK, STANDARD, LONG = LEVELS = ("quick", "standard", "long")
PAIRS, SAMPLE, MESH = MODES = ("pairs", "sample", "mesh")
NPU, CPU = DEVICES = ("npu", "cpu")
# Where HCCL listens on the host (HCCL_IF_BASE_PORT and those after it), by its manual of today: older ones say 16.
RESERVED = range(60000, 60032)
RANKS_ON_CPU = 2  # of a node whose cards are simulated: two make an all_reduce within the node
KIB, MIB = 1024, 1024 * 1024
# Sizes of all_reduce in bytes. A gradient bucket of torch has 25 MB, one of DeepSpeed up to 500 MB.
_SIZES = {
    (NPU, STANDARD): ([MIB, 16 * MIB, 256 * MIB], 5),
    (NPU, LONG): ([64 * KIB, MIB, 16 * MIB, 64 * MIB, 256 * MIB, 1024 * MIB], 20),
    (CPU, STANDARD): ([64 * KIB, MIB, 8 * MIB], 5),
    (CPU, LONG): ([64 * KIB, MIB, 8 * MIB, 32 * MIB], 10),
}
SMOKE_SIZES = [MIB]


@dataclass(frozen=True)
class Wishes:
    """``clock_s``: the seconds by which clocks may differ; ``slow``: the part of the median below which a node is slow.

    ``limits`` and ``kernel_settings`` are the release's.
    """

    level: str
    mode: str
    device: str
    clock_s: float
    slow: float
    master_port: int
    limits: Mapping[str, int]
    kernel_settings: Mapping[str, str]

    @property
    def network(self) -> bool:
        """Whether the cards' network is inspected, and the nodes do all_reduce together."""
        return self.level != QUICK

    @property
    def sizes(self) -> tuple[list[int], int]:
        """The sizes of all_reduce in bytes, and how often each is repeated."""
        return _SIZES[self.device, self.level]

    @property
    def ports(self) -> list[int]:
        """The ports that have to be free."""
        return [self.master_port, *RESERVED]


def wishes_of(given: Mapping[str, Any], release: Mapping[str, Any]) -> Wishes:
    """Return the wishes; ``given`` are the variables of the role ``rack``. Raises AscendError."""
    level = _one_of("preflight_level", given["level"], LEVELS)
    mode = given["mode"] or (MESH if level == LONG else PAIRS)
    return Wishes(
        level=level,
        mode=_one_of("preflight_mode", mode, MODES),
        device=_one_of("preflight_device", given["device"], DEVICES),
        clock_s=_number("preflight_clock_s", given["clock_s"], 0.1, 3600),
        slow=_number("preflight_slow", given["slow"], 0.01, 1),
        master_port=int(_number("train_master_port", given["master_port"], 1, 65535)),
        limits=release["system"].get("limits") or {},
        kernel_settings=release["system"].get("kernel_settings") or {},
    )


def _one_of(variable: str, value: Any, values: tuple[str, ...]) -> str:
    if value not in values:
        raise AscendError(
            f"{variable} has an unknown value",
            wanted=", ".join(values),
            found=repr(value),
            where="-e, or the inventory",
            remedy=f"-e {variable}={values[0]}",
        )
    return str(value)


def _number(variable: str, value: Any, least: float, most: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = least - 1
    if not least <= number <= most:
        raise AscendError(
            f"{variable} is not a number in range",
            wanted=f"a number from {least:g} to {most:g}",
            found=repr(value),
            where="-e, or the inventory",
            remedy=f"correct {variable} where it is set: grep -rn {variable} inventory/",
        )
    return number
