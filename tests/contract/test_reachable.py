# SPDX-License-Identifier: Apache-2.0
"""The product itself uses all that module_utils offers; its tests alone are no use.

The syntax trees are read as a graph: what a definition names, it uses. It begins with Ansible's plugins and modules and
with the programs of ``scripts/``. Methods are known by their name alone: all code that is used may mean them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.contract.tree import ROOT

BEGINNINGS = ("library", "plugins", "scripts")
# What the product does not use ("module.name", "module.Class.method"), and why it stays.
UNUSED = {
    "ascend.zipped.Finder.find_spec": "Python's import calls it",
    "ascend_control.drift.links.PAGE": "the report page takes it",
    "ascend_control.drift.links.link_to": "the report page takes it",
}

Place = tuple[str, str]  # a module ("ascend.npu.hccn") and a name in it; "" are the statements that run on import


class Module:
    """One file: what it defines, what it imports, and the statements that are neither."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.defined: dict[str, ast.stmt] = {}
        self.loose: list[ast.stmt] = []
        tree = ast.parse(text)
        self.imported = dict(self._imports(tree))
        for statement in tree.body:
            names = list(_defined(statement))
            self.defined.update(dict.fromkeys(names, statement))
            self.loose += [] if names else [statement]

    def _imports(self, tree: ast.Module) -> Iterator[tuple[str, Place]]:
        for statement in ast.walk(tree):
            if isinstance(statement, ast.ImportFrom):
                module = (statement.module or "").rpartition("module_utils.")[2]
                above = self.name.split(".")[: -statement.level] if statement.level else []
                for alias in statement.names:
                    yield alias.asname or alias.name, (".".join([*above, *([module] if module else [])]), alias.name)

    def uses(self, name: str) -> Iterator[tuple[str, str]]:
        """What a definition names: (name, attribute of it), either may be "". Without a name, the loose statements."""
        for statement in [self.defined[name]] if name else self.loose:
            yield from _named(statement, frozenset())

    def offers(self) -> Iterator[str]:
        """The public names, and those of the methods of public classes ("Class.method")."""
        for name, statement in self.defined.items():
            if not name.startswith("_"):
                yield name
                inside = statement.body if isinstance(statement, ast.ClassDef) else []
                methods = [part.name for part in inside if isinstance(part, ast.FunctionDef)]
                yield from (f"{name}.{method}" for method in methods if not method.startswith("_"))


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    yield from (target.id for target in targets if isinstance(target, ast.Name))


def _named(node: ast.AST, local: frozenset[str]) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        local |= set(_bound(node))
    if isinstance(node, ast.Attribute):
        yield "", node.attr
        if isinstance(node.value, ast.Name) and node.value.id not in local:
            yield node.value.id, node.attr
    if isinstance(node, ast.Name) and node.id not in local:
        yield node.id, ""
    for child in ast.iter_child_nodes(node):
        yield from _named(child, local)


def _bound(scope: ast.AST) -> Iterator[str]:
    """The names that a function binds; those of a comprehension in it are the comprehension's."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.arg):
            yield child.arg
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        if not isinstance(child, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            yield from _bound(child)


def product(top: Path) -> dict[str, Module]:
    """The product's Python files by name: those of module_utils as "ascend.x", the others, where it begins, by path."""
    utils = top / "module_utils"
    files = {".".join(path.relative_to(utils).with_suffix("").parts): path for path in utils.rglob("*.py")}
    files |= {f"{folder}/{path.stem}": path for folder in BEGINNINGS for path in (top / folder).rglob("*.py")}
    return {name: Module(name, path.read_text(encoding="utf-8")) for name, path in files.items()}


def reached(modules: dict[str, Module]) -> tuple[set[Place], set[str]]:
    """What is used, and all attributes that are named there."""
    waiting = [(name, "") for name in modules if "/" in name]
    waiting += [(name, inside) for name, _ in waiting for inside in modules[name].defined]
    found: set[Place] = set()
    attributes: set[str] = set()
    while waiting:
        place = waiting.pop()
        module = modules.get(place[0])
        if module is None or place in found:
            continue
        found.add(place)
        if place[1] in module.imported:
            waiting.append(module.imported[place[1]])
        if place[1] and place[1] not in module.defined:
            continue
        waiting.append((module.name, ""))
        for name, attribute in module.uses(place[1]):
            attributes.add(attribute)
            waiting.append((module.name, name))
            if name in module.imported:
                waiting.append((".".join(module.imported[name]), attribute))  # the name may be a module's
    return found, attributes


def unused(modules: dict[str, Module]) -> set[str]:
    found, attributes = reached(modules)
    names: Iterable[Place] = (
        (name, inside) for name in modules if "/" not in name for inside in modules[name].offers()
    )
    return {
        f"{module}.{name}"
        for module, name in names
        if (name.split(".")[1] not in attributes if "." in name else (module, name) not in found)
    }


def test_the_product_uses_what_module_utils_offers() -> None:
    names = unused(product(ROOT))
    assert sorted(names - set(UNUSED)) == [], "delete it, or say in UNUSED why it stays"
    assert sorted(set(UNUSED) - names) == [], "gone, or used now: take it out of UNUSED"


TOOL = """
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.a import Used, imported, used
from ansible_collections.ascend.fleet.plugins.module_utils.ascend import b
b.whole(used, Used)
"""
A = """
from .c import helper as known
TABLE = {1: known}
LONELY = 1
def used(one):
    return [two for two in TABLE]
def two():
    return three()
def three(): pass
def imported(): pass
class Used:
    def lost(self): pass
"""
B = """
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.c import other
def whole(other):
    return other
def part(): pass
"""
C = "def helper(): pass\ndef other(): pass\n"


def test_unused_code_is_seen() -> None:
    texts = {"library/tool": TOOL, "ascend.a": A, "ascend.b": B, "ascend.c": C}
    seen = unused({name: Module(name, text) for name, text in texts.items()})
    of_a = {"ascend.a.LONELY", "ascend.a.two", "ascend.a.three", "ascend.a.imported", "ascend.a.Used.lost"}
    assert seen == {*of_a, "ascend.b.part", "ascend.c.other"}
