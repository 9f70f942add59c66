# SPDX-License-Identifier: Apache-2.0
"""The plan of a fleet as a table: one row for all nodes with the same plan."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..plan.rollout import BUSY, CONVERGED, REFUSED, TO_CHANGE, WAITING
from ..plan.words import nodes_text, refusal_text

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
    """A node's plan; ``steps`` are lines, ``refused`` is the full text why it must not be changed."""

    what: str
    steps: tuple[str, ...]
    refused: str = ""


def planned(answer: Mapping[str, Any]) -> Planned:
    """Return a node's row, from the result of the action ``node_plan``."""
    plan = answer.get("plan")
    if not plan:
        return Planned(SILENT, ("no plan, for the reason given above",))
    refusals = plan["refusals"]
    problems = dict.fromkeys(refusal["problem"] for refusal in refusals)
    steps = [f"{step['component']}: {step['reason']}" for step in plan.get("steps", [])]
    return Planned(WORDS.get(plan.get("group", ""), SILENT), (*problems, *steps), refusal_text(refusals))


def table(plans: Mapping[str, Planned], width: int) -> list[str]:
    """Return the table as lines, drawn by rich, or one block per row without rich. Refusals follow in full."""
    alike: dict[Planned, list[str]] = {}
    for name, plan in sorted(plans.items()):
        alike.setdefault(plan, []).append(name)
    order = [*WORDS.values(), SILENT]
    rows = sorted(alike.items(), key=lambda item: (order.index(item[0].what), -len(item[1])))
    cells = [(nodes_text(len(names), names), plan.what, "\n".join(plan.steps)) for plan, names in rows]
    refused: dict[str, list[str]] = {}
    for plan, names in rows:
        refused.setdefault(plan.refused, []).extend(names)
    full = [
        line
        for text, names in refused.items()
        if text
        for line in ("", f"{nodes_text(len(names), names)}:", *text.splitlines())
    ]
    try:
        return _drawn(cells, width) + full
    except ImportError:
        return [line for row in cells for line in (f"{row[0]}: {row[1]}", *_indented(row[2]))] + full


def _indented(words: str) -> list[str]:
    return [f"  {line}" for line in words.splitlines()]


def _drawn(cells: list[tuple[str, str, str]], width: int) -> list[str]:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.ASCII2, show_lines=True)
    for head, share in zip(HEADS, (28, 17, 55), strict=True):
        grid.add_column(head, max_width=width * share // 100)
    for row in cells:
        grid.add_row(*(Text(cell) for cell in row))
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(grid)
    return captured.get().splitlines()
