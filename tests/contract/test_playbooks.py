# SPDX-License-Identifier: Apache-2.0
"""Which nodes a play is of, in which order, and what of the inventory reaches it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from tests.contract.tree import ROOT, run, yaml_files

NODES = ["npu-b", "npu-c", "npu-a"]  # as an inventory has them: by rack, not by name
PROVISION = yaml.safe_load((ROOT / "playbooks" / "provision.yml").read_text())


@pytest.mark.parametrize("ready", [*permutations(NODES)], ids=" ".join)
@pytest.mark.parametrize("group", ["ascend_to_change", "ascend_waiting"])
def test_the_canary_is_the_inventorys_first_whichever_plan_was_ready_first(group: str, ready: tuple[str, ...]) -> None:
    inventory = InventoryManager(DataLoader(), sources=None)
    inventory.add_group("ascend")
    for name in NODES:
        inventory.add_host(name, group="ascend")
    for name in (*ready, "ascend_nobody"):
        inventory.add_group(group)
        inventory.add_host(name, group=group)
    (pattern,) = (play["hosts"] for play in PROVISION if group in play["hosts"])
    assert [host.name for host in inventory.get_hosts(pattern)] == NODES


def templates(path: Path) -> Iterator[str]:
    """Yield what stands in a playbook as text, with what YAML makes of it."""
    for token in yaml.scan(path.read_text(encoding="utf-8")):
        if isinstance(token, yaml.ScalarToken):
            yield token.value


def test_lines_are_joined_by_their_end_and_not_by_two_characters() -> None:
    r"""In a block, YAML keeps '\n' as a backslash and an n, and Ansible joins by those: one line on the terminal."""
    joined = {
        path.name: [text for text in templates(path) if r"join('\n')" in text]
        for path in yaml_files("playbooks", "roles")
    }
    assert {name: texts for name, texts in joined.items() if texts} == {}


def test_a_flag_that_is_none_is_told_by_the_drift_check(tmp_path: Path) -> None:
    """The role gives it on as it is: made a boolean on the way, it would be false without a word.

    A value that stands in the inventory is refused before; what a template makes is known on the node's turn.
    """
    local = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
    variables = {
        "ascend_deep": "{{ 'maybe' }}",
        "ascend_depot_dir": str(tmp_path / "depot"),
        "drift_dir": str(tmp_path),
    }
    (tmp_path / "hosts.json").write_text(json.dumps({"ascend": {"hosts": {"here": local}, "vars": variables}}))
    done = run(["ansible-playbook", "-i", tmp_path / "hosts.json", "playbooks/drift.yml"])
    assert done.returncode == 3, done.stdout
    assert "ascend_deep is neither true nor false: 'maybe'" in done.stdout, done.stdout
