# SPDX-License-Identifier: Apache-2.0
"""Rooms stand on each other: no import leads up, or in a circle. docs/architecture.md says what each room is for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.contract.tree import ROOT

TOP = ROOT / "module_utils"
DOCUMENT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
# Which floor stands on which, from the ground up. A room is a folder, or a file that lies beside the folders.
CONTROL = [
    f"ascend_control.{name}"
    for name in (
        "inventory",
        "notice",
        "release",
        "depot",
        "bundle",
        "plan",
        "terminal",
        "drift",
        "rack",
        "doctor",
        "enroll",
    )
]


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def imports(path: Path, top: Path) -> Iterator[str]:
    """Which modules a file imports when it runs: what is for mypy alone builds nothing."""
    package = path.relative_to(top).parent.parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_mypy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in for_mypy:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            start = ".".join(part for part in base if part)
            for alias in node.names:
                inner = top.joinpath(*start.split("."), alias.name)
                yield f"{start}.{alias.name}" if inner.is_dir() or inner.with_suffix(".py").is_file() else start


def arrows(top: Path) -> dict[str, set[str]]:
    """Which rooms each room imports from."""
    found: dict[str, set[str]] = {}
    for path in top.rglob("*.py"):
        own = room(".".join(path.relative_to(top).with_suffix("").parts))
        found.setdefault(own, set()).update(room(module) for module in imports(path, top))
    return {own: others - {own} for own, others in found.items()}


def test_no_circle() -> None:
    order = list(TopologicalSorter(arrows(TOP)).static_order())
    assert len(order) > 30


def test_nothing_of_a_node_needs_the_control_node() -> None:
    found = arrows(TOP)
    for own in (own for own in found if own.startswith("ascend.")):
        assert not [other for other in found[own] if other.startswith("ascend_control")], own


def test_the_control_nodes_floors() -> None:
    found = arrows(TOP)
    for height, own in enumerate(CONTROL):
        assert not found[own] & set(CONTROL[height + 1 :]), own


def test_every_folder_has_its_row_in_the_document() -> None:
    folders = [path.parent.name for path in TOP.glob("*/*/__init__.py")]
    assert [name for name in folders if f"`.../{name}/`" not in DOCUMENT] == []


def test_a_circle_is_seen(tmp_path: Path) -> None:
    for name, text in {"a": "from ..b import y\n", "b": "def f():\n    from ..a.x import z\n"}.items():
        folder = tmp_path / "top" / name
        folder.mkdir(parents=True)
        (folder / "x.py").write_text(text)
    with pytest.raises(CycleError):
        list(TopologicalSorter(arrows(tmp_path)).static_order())
