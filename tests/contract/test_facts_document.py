# SPDX-License-Identifier: Apache-2.0
"""docs/facts.md: its result has the form of real facts, and it names every finding that the code can make."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import facts
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import journal
from tests.answers import Programs, node
from tests.contract.tree import NODE_UTILS, ROOT
from tests.unit.test_facts import LOCK, PLACES, environment, table

TEXT = (ROOT / "docs" / "facts.md").read_text(encoding="utf-8")
NAME = re.compile(
    r"(npu-smi|card|closed|fewer|device|driver|firmware|hccn-tool|network|cann|python|pythonpath|pythonhome|environment"
    r"|findings|ld|visible|place)(-[a-z0-9]+)+"
)
# Words of that form which are no finding: symptoms have a table of their own, the others are file names and values.
SYMPTOMS = {"symptom_table.py", "symptoms.py", "npu_probe.py"}
CAUSES = {"differences.py"}  # a step's causes have names of their own
NO_FINDING = {"cann-environment-not-set"}


def made() -> set[str]:
    """Every constant of the readers that has the form of a finding's name."""
    found: set[str] = set()
    for path in NODE_UTILS.rglob("*.py"):
        if path.name in SYMPTOMS | CAUSES or path.parent.name == "record":
            continue
        constants = (word.value for word in ast.walk(ast.parse(path.read_text())) if isinstance(word, ast.Constant))
        found |= {word for word in constants if isinstance(word, str) and NAME.fullmatch(word)}
    return found - NO_FINDING


def test_every_finding_is_documented_and_every_documented_one_is_made() -> None:
    documented = set(re.findall(r"^\| `([a-z0-9-]+)` \|", TEXT.split("## Findings")[1], re.MULTILINE))
    assert documented == made()


def example() -> dict[str, Any]:
    first, second = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL))
    return {**first, **second}


def keys(value: Any) -> Any:
    """The form of a result: names of fields; of lists the first entry's, maps of names (versions, places) left out."""
    if isinstance(value, dict) and all(re.fullmatch(r"[a-z_]+", key) for key in value):
        return {key: keys(inner) for key, inner in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [keys(value[0])]
    return None


@pytest.fixture
def real(tmp_path: Path) -> Any:
    answers = {"npu-smi info": table(1, 1), "hccn_tool -i 0 -ip -g": "ipaddr:192.0.2.1\nnetmask:255.255.255.0\n"}
    answers |= dict.fromkeys([f"hccn_tool -i 0 -{query} -g" for query in ("gateway", "link", "net_health")], "")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hccn.conf").write_text("address_0=192.0.2.1\nnetmask_0=255.255.255.0\ngateway_0=192.0.2.254\n")
    environment(tmp_path, "one", LOCK)
    (tmp_path / "opt/ascend/env/current").symlink_to("one")
    state_dir = tmp_path / PLACES.state_dir.lstrip("/")
    state_dir.mkdir(parents=True)
    journal.append(str(state_dir), dict.fromkeys(journal.KEYS, ""))
    return facts.collect(node(tmp_path, Programs(answers)), PLACES, ["all"], 5)


def test_the_example_has_the_form_of_real_facts(real: dict[str, Any]) -> None:
    shown = example()
    named: dict[str, Any] = {key: {} for key in ("pythons", "system_pythons", "cann", "environments")}
    assert keys({**shown, **named}) == keys({**real, **named})
    assert set(shown["cann"]) == set(real["cann"])
    (shown_one,), (real_one,) = (result["environments"]["all"].values() for result in (shown, real))
    assert set(shown_one) == set(real_one)


@pytest.mark.parametrize("subset", sorted(example()))
def test_every_field_is_explained(subset: str) -> None:
    fields = TEXT.split("## Fields")[1].split("## Findings")[0]
    part = example()[subset]
    names = set(part) if isinstance(part, dict) else set(part[0]) if isinstance(part, list) and part else set()
    for inner in part.values() if isinstance(part, dict) else ():
        names |= set(inner[0]) if isinstance(inner, list) and inner and isinstance(inner[0], dict) else set()
    missing = {name for name in names if re.fullmatch(r"[a-z_]+", name) and not re.search(rf"`[^`]*\b{name}\b", fields)}
    assert missing == set()
