# SPDX-License-Identifier: Apache-2.0
"""The table of npu-smi info for two cards, to be damaged by hand."""

from __future__ import annotations

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_smi import Device, NpuSmiInfo, Process
from tests.fuzz.tables import Layout, Table

# Two cards of the layout of a 910B, for damage by hand. Lines are numbered from 1, cards stand in 7, 8 and 10, 11.
DEVICES = (
    Device(0, 0, "910B3", "OK", None, None, "0000:C1:00.0", 91.5, 41, 7, 0, 0, 3161, 65536, 0, 0),
    Device(5, 0, "910B3", "Critical", None, None, "0000:42:00.0", None, 43, 0, 0, 0, 64233, 65536, 3, 15),
)
PROCESSES = (Process(5, 0, 77123, "ray worker", 61000), Process(5, 0, 77124, "", 90))
TABLE = Table(Layout(), "24.1.rc3", DEVICES, PROCESSES, (0,))
LINES = TABLE.lines()
TEXT = TABLE.text()
CARD, CHIP = 10, 11  # lines of the second card
NOTHING = NpuSmiInfo(None, None, (), (), (), ())


def changed(number: int, *lines: str) -> str:
    """The table with other lines instead of the one of this number."""
    return "\n".join([*LINES[: number - 1], *lines, *LINES[number:]]) + "\n"


def lines_of(info: NpuSmiInfo) -> list[int]:
    return [int(problem.split(":")[0].removeprefix("line ")) for problem in info.problems]
