# SPDX-License-Identifier: Apache-2.0
"""No role reads another role's variables but those of ``ascend``; what one gives to another is an input of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.tree import ROOT, roles

NAMES = sorted(role.name for role in roles())
FLEET = set(yaml.safe_load((ROOT / "roles" / "ascend" / "defaults" / "main.yml").read_text()))
# What a role hands to those that come after it in the same run, and who may read it.
# rack is for the playbook preflight, whose name its variables have; another role is called preflight.
RACK = set(yaml.safe_load((ROOT / "roles" / "rack" / "defaults" / "main.yml").read_text()))
RESULTS = {
    "preflight_node": ("rollout", "rollback"),  # the observed node with its plan (docs/architecture.md)
    "change_begun": ("rollout",),  # whether the change began
}


def texts(node: Any) -> Iterator[str]:
    """Every text below a YAML node that is no key."""
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node


def foreign(role: str, text: str) -> set[str]:
    """The variables of other roles that a text reads, known by their prefix. What stands behind a dot is a field."""
    found = set()
    for name in set(re.findall(r"(?<![\w.'/-])(?:__)?([a-z][a-z0-9_]*)", text)) - FLEET:
        owner = (
            "rack"
            if name in RACK
            else max((other for other in NAMES if name.startswith(f"{other}_")), key=len, default=role)
        )
        if owner not in (role, "ascend") and role not in RESULTS.get(name, ()):
            found.add(name)
    return found


def read_by(role: str, file: Path) -> set[str]:
    return {name for text in texts(yaml.safe_load(file.read_text())) for name in foreign(role, text)}


@pytest.mark.parametrize("role", NAMES)
def test_a_role_reads_its_own_variables_and_the_fleets(role: str) -> None:
    files = [
        file for folder in ("defaults", "tasks", "vars") for file in (ROOT / "roles" / role / folder).glob("*.yml")
    ]
    read = {str(file.relative_to(ROOT)): sorted(read_by(role, file)) for file in files}
    assert {file: names for file, names in read.items() if names} == {}


def test_what_is_foreign_is_seen() -> None:
    assert foreign("cann", "{{ preflight_node.wanted.toolkit.version }}") == {"preflight_node"}
    assert foreign("torch_npu", "{{ cann_toolkit.version if python_archive else __verify_look }}") == {
        "cann_toolkit",
        "python_archive",
        "verify_look",
    }
    assert foreign("verify", "{{ verify_facts.python_version ~ cann_root ~ ascend_root ~ 'python_env' }}") == set()
    assert foreign("rollout", "'python' in preflight_node.components and change_begun.begun") == set()
