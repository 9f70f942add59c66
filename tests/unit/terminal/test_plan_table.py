# SPDX-License-Identifier: Apache-2.0
"""``make plan``: a row for all nodes of which the same is to be done, and refusals in full below."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.plan_table import planned, table

REFUSAL = {
    "problem": "the driver is too old",
    "wanted": "24.1.rc1",
    "found": "22.0.1",
    "where": "npu-smi info",
    "remedy": "ansible NODE -m ping",
}


def answer(group: str, *steps: str, refusals: tuple[dict[str, str], ...] = ()) -> dict[str, Any]:
    return {
        "plan": {
            "group": group,
            "steps": [{"component": step, "action": "install", "reason": f"{step} is absent"} for step in steps],
            "refusals": list(refusals),
        }
    }


FLEET = {
    **{f"npu-{number}": planned(answer("ascend_to_change", "python", "toolkit")) for number in (3, 1, 2)},
    "npu-4": planned(answer("ascend_converged")),
    "npu-5": planned(answer("ascend_busy", "toolkit")),
    "npu-6": planned(answer("ascend_refused", "toolkit", refusals=(REFUSAL,))),
    "npu-7": planned({"unreachable": True, "msg": "timed out"}),
}


def test_nodes_with_the_same_plan_share_a_row() -> None:
    lines = table(FLEET, 100)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert rows == [
        ["NODES", "WHAT", "STEPS"],
        ["3 nodes (npu-1, npu-2,", "to change", "python: python is absent"],
        ["npu-3)", "", "toolkit: toolkit is absent"],
        ["1 node (npu-5)", "busy: left as", "toolkit: toolkit is absent"],
        ["", "they are", ""],
        ["1 node (npu-6)", "refused: not", "the driver is too old"],
        ["", "changed", "toolkit: toolkit is absent"],
        ["1 node (npu-4)", "nothing to do", ""],
        ["1 node (npu-7)", "silent", "no plan, for the reason given above"],
    ]
    assert lines[-6:] == [
        "1 node (npu-6):",
        "the driver is too old",
        "  wanted: 24.1.rc1",
        "  found:  22.0.1",
        "  where:  npu-smi info",
        "  next:   ansible NODE -m ping",
    ]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_fits(width: int) -> None:
    assert max(len(line) for line in table(FLEET, width)) <= width


def test_without_rich_it_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    lines = table(FLEET, 80)
    assert lines[:3] == [
        "3 nodes (npu-1, npu-2, npu-3): to change",
        "  python: python is absent",
        "  toolkit: toolkit is absent",
    ]
