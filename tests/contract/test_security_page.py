# SPDX-License-Identifier: Apache-2.0
"""docs/security.md: each row that promises something names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.tree import ROOT

REFERS = ("the same", "the table below")


def problems(page: str, root: Path = ROOT) -> list[str]:
    """What is wrong with the last column of the tables, of rows whose other columns promise something."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for table in re.split(r"^(?!\|)", page, flags=re.MULTILINE)
        if re.match(r"\|.*\| (held by|test) \|$", table, re.MULTILINE)
        for line in table.splitlines()[2:]
        if line[:1] == "|"
    ]
    promises = [row for row in rows if row[-2] and row[-1] not in REFERS]
    return [f"{row[0]}: {each}" for row in promises for each in _wrong(row[-1], root)]


def _wrong(cell: str, root: Path) -> list[str]:
    names = re.findall(r"`([^`]+)`", cell)
    files = [root / name for name in names if name.startswith("tests/")]
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    wrong = [f"no {file.relative_to(root)}" for file in files if not file.exists()]
    tests = [name for name in names if name.startswith("test_")]
    wrong += [f"no {name}" for name in tests if not any(f"def {name}(" in text for text in texts)]
    return wrong or ([] if files else [f"names no test: {cell}"])


def test_each_row_names_tests_that_are_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    assert page.count("`tests/") > 20
    assert problems(page) == []


def test_a_row_without_one_is_seen(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("def test_one() -> None: ...\n")
    rows = [
        "`tests/test_a.py`: `test_one`",
        "`tests/test_b.py`",
        "`tests/test_a.py`: `test_two`",
        "nobody",
        "the same",
        "",
    ]
    page = "| who | can | cannot | held by |\n|---|---|---|---|\n" + "".join(
        f"| who | can | cannot | {held} |\n" for held in rows
    )
    assert problems(page, tmp_path) == [
        "who: no tests/test_b.py",
        "who: no test_two",
        "who: names no test: nobody",
        "who: names no test: ",
    ]
