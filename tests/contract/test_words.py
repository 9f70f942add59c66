# SPDX-License-Identifier: Apache-2.0
"""One word for one thing: names that a reader has to decode, or that mean several things, are not used any more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.tree import ROOT, modules, yaml_files

FOLDERS = ("module_utils", "library", "plugins/action", "plugins/callback", "plugins/filter", "scripts")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# No identifier is one of these. docs/architecture.md, "Words", says which ones to use.
RETIRED = {
    # What was installed, a lock's holder, the clock; a bool, a list, an error: each had one of these as its name.
    *("there", "told", "said", "has", "led", "lacks"),
    *("record", "recorded"),  # receipt, manifest, install record, capture
    "running",  # latest (CANN), loaded (driver), in the kernel (settings), current change (run)
    *("fault", "faults"),  # problem
    *("cann_tree", "python_tree", "source_record", "source_restore", "dist_record"),  # modules have one name
}
# No identifier has one of these as a part.
RETIRED_PARTS = {
    *("hold", "held", "holds", "holding", "holders"),  # require, check, compare, use; module_lock
    *("obstacle", "obstacles"),  # problem
}
# Names of documents that others read: of facts, and of what modules return.
OF_DOCUMENTS = {
    "lacks": {"shapes.py", "found.py", "system_python.py"},
    "record": {"shapes.py", "found.py", "preconditions.py", "ascend_record.py"},
    "recorded": {"shapes.py"},
    "running": {"shapes.py", "found.py", "rollout.py", "warnings.py"},
}
# Tasks and plays begin with a verb that says what is done: Require, Load, Create, Allow, Show, Add. ansible-lint puts
# the name first, so a module's own `name` does not match.
EMPTY_VERBS = "Hold|Have|Know|Lead|Say|Tell|Let|Give|Bring|Take|See"
NAMED = re.compile(rf"""^ *- name: ["']?(?:.*\| )?((?:{EMPTY_VERBS})\b.*)""", re.MULTILINE)
TASK_FILES = [*yaml_files("roles", "playbooks", "molecule"), *modules()]


def identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for field in ("id", "arg", "attr", "name", "asname"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield name


def retired(path: Path, text: str) -> set[str]:
    return {name for name in identifiers(ast.parse(text)) if _is_retired(path, name)}


def _is_retired(path: Path, name: str) -> bool:
    word = name.strip("_").lower()
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")
    if path.name in OF_DOCUMENTS.get(name, ()):
        return False
    return word in RETIRED or not RETIRED_PARTS.isdisjoint(parts)


def test_the_folders_are_there() -> None:
    assert {folder: any((ROOT / folder).rglob("*.py")) for folder in FOLDERS} == dict.fromkeys(FOLDERS, True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_identifier_has_to_be_decoded(path: Path) -> None:
    assert retired(path, path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("name", sorted(f for names in OF_DOCUMENTS.values() for f in names))
def test_what_is_excepted_is_there(name: str) -> None:
    words = {word for word, names in OF_DOCUMENTS.items() if name in names}
    (path,) = [path for path in FILES if path.name == name and words <= set(identifiers(ast.parse(path.read_text())))]
    assert path.is_file()


@pytest.mark.parametrize(
    "text",
    [
        "there = 1",
        "class There: ...",
        "def _told(): ...",
        "f(said=1)",
        "x.lacks",
        "from a import b as led",
        "lambda has: 0",
        "import module_lock as held",
        "def _hold_names(): ...",
        "def threshold_held_by(): ...",
        "class _Obstacle: ...",
        "HOLDERS = ''",
        "RECORD = '.ascend-fleet.json'",
        "self.running",
        "faults = []",
    ],
)
def test_one_that_has_to_be_decoded_is_seen(text: str) -> None:
    assert len(retired(Path("x.py"), text)) == 1


@pytest.mark.parametrize("text", ["threshold = 1", "recorded_chips()", "x['record']", "record_file.rows()", "# held"])
def test_one_that_has_not_is_not(text: str) -> None:
    assert retired(Path("x.py"), text) == set()


def test_no_task_begins_with_a_verb_that_says_nothing() -> None:
    named = {str(path.relative_to(ROOT)): NAMED.findall(path.read_text(encoding="utf-8")) for path in TASK_FILES}
    assert {path: names for path, names in named.items() if names} == {}


@pytest.mark.parametrize("name", ["Take it", '"Have {{ item }}"', "'Let them'", "Send | Tell them", "See"])
def test_a_task_that_begins_so_is_seen(name: str) -> None:
    assert len(NAMED.findall(f"---\n    - name: {name}\n      debug:\n")) == 1


def test_a_task_that_does_not_is_not() -> None:
    assert NAMED.findall("- name: Seed\n  user:\n    name: Tell\n- name: Letters\n- name: Show what to take\n") == []
