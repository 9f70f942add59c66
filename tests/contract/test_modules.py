# SPDX-License-Identifier: Apache-2.0
"""Modules: documentation and argument spec say the same, and ansible-test and ansible-doc accept them."""

from __future__ import annotations

import ast
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.tree import ROOT, documentation, modules, passes

MODULES = modules()
NAMES = [path.stem for path in MODULES]


def test_there_are_modules() -> None:
    assert {"ascend_facts", "cann_package", "python_env", "npu_check"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_ansible_doc(name: str) -> None:
    shown = json.loads(passes(["ansible-doc", "--json", "-t", "module", f"ascend.fleet.{name}"]))
    entry = shown[f"ascend.fleet.{name}"]
    assert entry["doc"]["short_description"]
    assert yaml.safe_load(entry["examples"]), "EXAMPLES must be YAML that shows a task"
    assert entry["return"], "RETURN says what comes back"
    assert {"check_mode", "diff_mode"} <= set(entry["doc"].get("attributes", {})), "say what check and diff mode do"


def kept(option: dict[str, Any]) -> dict[str, Any]:
    """What documentation and spec must both say of an option."""
    kind = option.get("type", "str")
    keys = {
        "type": kind,
        "elements": option.get("elements"),
        "default": option.get("default"),
        "choices": sorted(option["choices"]) if option.get("choices") else None,
        "required": bool(option.get("required", False)),
        "aliases": sorted(option.get("aliases", [])),
    }
    if nested := option.get("suboptions") or option.get("options"):
        keys["options"] = {name: kept(value) for name, value in nested.items()}
    return keys


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_documentation_equals_spec(module: Path) -> None:
    spec: dict[str, dict[str, Any]] = importlib.import_module(
        "ansible_collections.ascend.fleet.plugins.modules." + module.stem
    ).ARGUMENT_SPEC
    documented: dict[str, dict[str, Any]] = documentation(module)["options"]
    said = {name: kept(option) for name, option in documented.items()}
    assert said == {name: kept(option) for name, option in spec.items()}


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_documentation_names_the_module(module: Path) -> None:
    assert documentation(module)["module"] == module.stem


DOCUMENTED = [path for path in MODULES if "def main(" not in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("module", DOCUMENTED, ids=lambda path: path.stem)
def test_a_module_that_runs_nothing_is_an_actions_documentation_and_options(module: Path) -> None:
    body = ast.parse(module.read_text(encoding="utf-8")).body
    assert {type(node) for node in body} <= {ast.Expr, ast.ImportFrom, ast.Assign}
    assert (ROOT / "plugins" / "action" / module.name).is_file()


@pytest.mark.parametrize("module", [path for path in MODULES if path not in DOCUMENTED], ids=lambda path: path.stem)
def test_one_except_of_what_can_be_reported(module: Path) -> None:
    """What goes wrong is caught in one place; a module with several states has a function for each, and no more."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    caught = [ast.unparse(node.type) for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.type]
    assert caught in (["AscendError"], ["REPORTED"])
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert not [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert max((node.end_lineno or 0) - node.lineno for node in functions) < 45
