# SPDX-License-Identifier: Apache-2.0
"""The plan of a fleet as a table: a row for all nodes of which the same is to be done."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..plan.rollout import BUSY, CONVERGED, REFUSED, TO_CHANGE, WAITING
from ..plan.words import nodes_text

WORDS = {
    TO_CHANGE: "to change",
    WAITING: "busy: wait for idle cards",
    BUSY: "busy: left as they are",
    REFUSED: "refused: not changed",
    CONVERGED: "nothing to do",
}
SILENT = "silent"
HEADS = ("NODES", "WHAT", "STEPS")


class Planned(NamedTuple):
    """What becomes of a node; ``steps`` are lines."""

    what: str
    steps: tuple[str, ...]


def planned(answer: Mapping[str, Any]) -> Planned:
    """Return a node's row, from the result of the action ``node_plan``."""
    plan = answer.get("plan")
    if not plan:
        return Planned(SILENT, ("no plan, for the reason given above",))
    problems = [refusal["problem"] for refusal in plan["refusals"]]
    steps = [f"{step['component']}: {step['reason']}" for step in plan.get("steps", [])]
    return Planned(WORDS.get(plan.get("group", ""), SILENT), (*dict.fromkeys(problems), *steps))


def table(plans: Mapping[str, Planned], width: int) -> list[str]:
    """Return the table as lines, drawn by rich; where rich is missing, a block a row."""
    alike: dict[Planned, list[str]] = {}
    for name, plan in plans.items():
        alike.setdefault(plan, []).append(name)
    order = [*WORDS.values(), SILENT]
    rows = sorted(alike.items(), key=lambda item: (order.index(item[0].what), -len(item[1])))
    cells = [(nodes_text(len(names), names), plan.what, "\n".join(plan.steps)) for plan, names in rows]
    try:
        return _drawn(cells, width)
    except ImportError:
        return [
            line for row in cells for line in (f"{row[0]}: {row[1]}", *(f"  {step}" for step in row[2].split("\n")))
        ]


def _drawn(cells: list[tuple[str, str, str]], width: int) -> list[str]:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.ASCII2, show_lines=True)
    for head, ratio in zip(HEADS, (3, 2, 5), strict=True):
        grid.add_column(head, ratio=ratio)
    for row in cells:
        grid.add_row(*(Text(cell) for cell in row))
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(grid)
    return captured.get().splitlines()
