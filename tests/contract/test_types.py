# SPDX-License-Identifier: Apache-2.0
"""A misspelt key of facts, of what is wanted, of a finding or of a plan is refused by mypy.

And the planner's view of a node (plan/found.py) has no field that the facts (ascend/shapes.py) do not have, nor one of
another type.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan import found, steps
from tests.contract.tree import ROOT

HEAD = """\
from __future__ import annotations
from typing import TYPE_CHECKING
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.asked import Wanted
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import Plan, Step, step
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.found import Found
if TYPE_CHECKING:
    from ansible_collections.ascend.fleet.plugins.module_utils.ascend import shapes
"""
LOOKUPS = {
    "facts": ('facts["npu"]["devices"][0]["hbm_total_mb"]', 'facts["npu"]["devices"][0]["hbm_total"]'),
    "found": ("found.cann.latest", "found.cann.lastest"),
    "wanted": ("wanted.environment.lock_digest", "wanted.environment.lock_digset"),
    "finding": ('finding["remedy"]', 'finding["remdy"]'),
    "plan": ('plan["refusals"][0]["check"]', 'plan["refusals"][0]["name"]'),
    "step": ('plan["steps"][0]["component"]', 'plan["steps"][0]["componnent"]'),
}
LOOKUP = """
def {name}(facts: shapes.Facts, found: Found, wanted: Wanted, finding: shapes.Finding, plan: Plan) -> object:
    return {expression}
"""


def refused(folder: Path, text: str) -> list[int]:
    """Return the numbers of the lines of which mypy, as configured for the project, says that they are wrong."""
    (folder / "planted.py").write_text(text)
    argv: list[str | Path] = [Path(sys.executable).with_name("mypy"), "--no-pretty", folder / "planted.py"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    errors = [line.partition("planted.py:")[2] for line in done.stdout.splitlines() if ": error: " in line]
    assert all(errors), done.stdout
    return [int(error.partition(":")[0]) for error in errors]


def lines_with(text: str, *words: str) -> list[int]:
    return [number for number, line in enumerate(text.splitlines(), 1) if any(word in line for word in words)]


def test_a_misspelt_key_is_refused_and_a_right_one_is_not(tmp_path: Path) -> None:
    text = HEAD
    for kind, (right, wrong) in LOOKUPS.items():
        text += LOOKUP.format(name=f"right_{kind}", expression=right)
        text += LOOKUP.format(name=f"wrong_{kind}", expression=wrong)
    wrong_ones = [wrong for _, wrong in LOOKUPS.values()]
    assert refused(tmp_path, text) == lines_with(text, *(f"return {wrong}" for wrong in wrong_ones))


@pytest.mark.parametrize(
    ("right", "wrong"), [("found.ascend_env.sha256", "found.ascend_env.sha"), ("wanted.ascend_env", "wanted.ascendenv")]
)
def test_a_function_of_the_planner_with_a_misspelt_name_is_refused(tmp_path: Path, right: str, wrong: str) -> None:
    source = inspect.getsource(steps._ascend_env)
    text = HEAD + source.replace(right, wrong)
    assert right in source
    assert set(refused(tmp_path, text)) == set(lines_with(text, wrong))


def test_the_planner_sees_what_the_facts_have(tmp_path: Path) -> None:
    """Each field of its dataclasses, of the type that the facts' form of the same name gives it."""
    kinds = {
        name: kind for name, kind in vars(found).items() if is_dataclass(kind) and kind.__module__ == found.__name__
    }
    assert {"Found", "System", "Npu", "Cann", "Environment"} <= set(kinds)
    text = (
        HEAD
        + "    from ansible_collections.ascend.fleet.plugins.module_utils.ascend.shapes import Checkout, Difference\n"
        + "    from ansible_collections.ascend.fleet.plugins.module_utils.ascend.shapes import Damage, Finding\n"
    )
    for name, kind in kinds.items():
        text += f"def of_{name.lower()}(shape: shapes.{'Facts' if name == 'Found' else name}) -> None:\n"
        for number, field in enumerate(fields(kind)):
            words = set(str(field.type).replace("[", " ").replace("]", " ").replace(",", " ").split())
            annotation = "object" if words & set(kinds) else field.type  # a part has its own function
            text += f'    value_{number}: {annotation} = shape["{field.name}"]\n'
    assert refused(tmp_path, text) == []
