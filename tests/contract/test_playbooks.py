# SPDX-License-Identifier: Apache-2.0
"""Which nodes a play is of, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from tests.contract.tree import ROOT, yaml_files

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
