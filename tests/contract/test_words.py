# SPDX-License-Identifier: Apache-2.0
"""Names say what is held: identifiers that a reader has to decode are not used any more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.tree import ROOT

FOLDERS = ("module_utils", "library", "action_plugins", "callback_plugins", "filter_plugins", "scripts")
# What was installed, a lock's holder, the clock; a bool, a list, an error: each had one of these as its name.
RETIRED = {"there", "told", "said", "has", "led", "lacks"}
# Names of the facts' document, which others read.
OF_THE_FACTS = {("shapes.py", "lacks"), ("found.py", "lacks"), ("system_python.py", "lacks")}
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for field in ("id", "arg", "attr", "name", "asname"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield name


def retired(path: Path, text: str) -> set[str]:
    found = {name for name in identifiers(ast.parse(text)) if name.strip("_") in RETIRED}
    return {name for name in found if (path.name, name) not in OF_THE_FACTS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_identifier_has_to_be_decoded(path: Path) -> None:
    assert retired(path, path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "text", ["there = 1", "def _told(): ...", "f(said=1)", "x.lacks", "from a import b as led", "lambda has: 0"]
)
def test_one_that_has_to_be_decoded_is_seen(text: str) -> None:
    assert len(retired(Path("x.py"), text)) == 1
