# SPDX-License-Identifier: Apache-2.0
"""Every name that a finding can have, read from the code: the calls that make findings, and the tables behind them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import read as cann_read
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import findings as environment_findings
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.symptom_table import TABLE
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove import chosen
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import merge, silence_reasons
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import STEPS
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack import between
from tests.contract.tree import ROOT

# A folder without any of these makes none.
_MAKES = re.compile(r"\b(?:finding|refusal|cause|cause_of)\(|\"(?:problem|level)\": ")
TOPS = ("module_utils", "plugins/action", "plugins/plugin_utils")
Makers = dict[str, tuple[int, int]]
# What makes a finding or a step's cause -> which of its arguments is the name, and how many it has at least.
MAKERS: Makers = {"finding": (1, 3), "refusal": (1, 3), "cause": (0, 2), "cause_of": (0, 2)}
SYMPTOMS = {row.name for row in TABLE}
_REASONS = {reason.name for reason in (*silence_reasons.REASONS, silence_reasons.UNREACHABLE, silence_reasons.CRASHED)}
_LATEST = {"cann-latest-mixed", "cann-latest-dangling", "cann-latest-absent", "cann-layout-unknown"}
# A step without causes is the finding itself. These always have some.
_STEPS = set(STEPS) - {"packages", "system", "cross", "source", "rights", "users"}
# A name that is no constant -> all that it can be; nothing new where it comes from a finding that is made elsewhere.
COMPUTED: dict[tuple[str, str], set[str]] = {
    ("ascend/cann/read.py", "key"): {row[0] for row in cann_read._FINDINGS.values()} | _LATEST,
    ("ascend/cann/read.py", "name"): {"cann-kernels-version", "cann-kernels-absent"},
    ("ascend/environment/findings.py", "kind"): set(environment_findings.MEANING),
    ("ascend/environment/read.py", "name"): {"environment-current-dangling"},
    ("ascend/npu/cards.py", "symptom.name"): SYMPTOMS,
    ("ascend/remove/chosen.py", "problem.name"): set(chosen._WANTED),
    ("ascend/rights.py", "FINDING"): {rights.FINDING},
    ("ascend_control/plan/preconditions.py", "rights.FINDING"): {rights.FINDING},
    ("ascend_control/drift/findings.py", "step['component']"): _STEPS,
    ("ascend_control/drift/fleet.py", "str(answer.get('symptom') or 'torch')"): {"torch", *SYMPTOMS},
    ("ascend_control/drift/merge.py", "NAME"): {merge.NAME},
    ("ascend_control/drift/silence.py", "name"): {"version", "helper", "inventory"},
    ("ascend_control/drift/silence.py", "reason.name"): _REASONS,
    ("ascend_control/plan/hardware.py", "what + ('-order-unknown' if changes else '-unordered')"): {
        f"{what}-{how}" for what in ("driver", "firmware") for how in ("order-unknown", "unordered")
    },
    ("ascend_control/plan/services.py", "f'service-{each.state}'"): {"service-down", "service-silent"},
    ("ascend_control/plan/system.py", "check"): {"limit", "limit-of-session"},
    ("ascend_control/rack/between.py", "name"): {row[0] for row in between._COMPARED},
    ("ascend/environment/read.py", "problem.name"): set(),
    ("ascend_control/doctor/verdicts.py", "name"): set(),
    ("ascend_control/drift/causes.py", "first['name']"): set(),
    ("ascend_control/drift/findings.py", "cause['name']"): set(),
    ("ascend_control/plan/asked.py", "self.check"): set(),
    ("ascend_control/plan/components.py", "name"): set(),
}


def of_the_product() -> set[str]:
    """Return the names of all findings. One that is neither a constant nor in ``COMPUTED`` is a KeyError."""
    texts: dict[Path, dict[str, str]] = {}
    for path in sorted(path for top in TOPS for path in (ROOT / top).rglob("*.py")):
        place = path.relative_to(ROOT).as_posix().removeprefix("module_utils/")
        texts.setdefault(path.parent, {})[place] = path.read_text(encoding="utf-8")
    found: set[str] = set()
    for inside in (each for each in texts.values() if any(_MAKES.search(text) for text in each.values())):
        trees = {place: ast.parse(text) for place, text in inside.items()}
        public = makers_of(trees.values(), private=False)
        for place, tree in trees.items():
            found |= explained(tree, place, makers_of([tree], public))
    return found


def explained(tree: ast.AST, place: str, makers: Makers) -> set[str]:
    """Return the names of the findings that a file makes; ``place`` is its path as ``COMPUTED`` has it."""
    found: set[str] = set()
    for name in names(tree, makers):
        found |= {str(name.value)} if isinstance(name, ast.Constant) else COMPUTED[place, ast.unparse(name)]
    return found


def names(tree: ast.AST, makers: Makers, parameters: frozenset[str] = frozenset()) -> Iterator[ast.expr]:
    """Yield each expression that becomes a finding's name, but for a function's own parameter: its callers have it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield from names(node, makers, frozenset(argument.arg for argument in node.args.args))
            continue
        for word in _named(node, makers):
            for each in (word.body, word.orelse) if isinstance(word, ast.IfExp) else (word,):
                if not (isinstance(each, ast.Name) and each.id in parameters):
                    yield each
        yield from names(node, makers, parameters)


def _named(node: ast.AST, makers: Makers) -> Iterator[ast.expr]:
    """Yield the name in a call that makes a finding, or in a finding that is written out."""
    if isinstance(node, ast.Call):
        position, least = makers.get(_function(node), (0, 0))
        if least and len(node.args) >= least:
            yield node.args[position]
    if isinstance(node, ast.Dict):
        keys = {
            key.value: value for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant)
        }
        if "name" in keys and {"problem", "level"} & set(keys):
            yield keys["name"]


def _function(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def makers_of(trees: Iterable[ast.Module], known: Makers = MAKERS, private: bool = True) -> Makers:
    """Return the known makers, and the functions that give one of their parameters on as the name."""
    makers = dict(known)
    functions = [each for tree in trees for each in _functions(tree) if private or not each.name.startswith("_")]
    for _ in range(3):  # a function may call one that calls one
        for function in functions:
            words = [word for call in function.calls for word in _named(call, makers)]
            passed = {word.id for word in words if isinstance(word, ast.Name)}
            given = [position for position, name in enumerate(function.parameters) if name in passed]
            if given:
                makers.setdefault(function.name, (given[0], given[0] + 1))
    return makers


class Function(NamedTuple):
    name: str
    parameters: list[str]
    calls: list[ast.Call]


@cache
def _functions(tree: ast.Module) -> list[Function]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            calls = [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]
            found.append(Function(node.name, [argument.arg for argument in node.args.args], calls))
    return found
