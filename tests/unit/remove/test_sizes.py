# SPDX-License-Identifier: Apache-2.0
"""What a removal frees, as the disk counts it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove import sizes
from tests.unit.remove.removal_machine import Machine, write


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_sizes_are_those_of_the_disk(machine: Machine) -> None:
    one, other = machine.root / "one", machine.root / "other"
    for folder in (one, other):
        folder.mkdir()
    (one / "big").write_bytes(b"x" * 8 * sizes.MB)
    os.link(one / "big", other / "same")
    rows: list[dict[str, Any]] = [{"path": "/one"}, {"path": "/other"}]
    assert sizes.measure(machine.node, rows, freed=True) == pytest.approx(8, abs=0.2)
    assert [round(row["size_mb"]) for row in rows] == [0, 8], "the last name frees it"
    assert sizes.measure(machine.node, rows[:1], freed=True) < 1, "another name keeps it"
    assert sizes.measure(machine.node, rows[:1], freed=False) == pytest.approx(8, abs=0.2)
    os.truncate(one / "big", 80 * sizes.MB)  # sparse: no more blocks
    assert sizes.measure(machine.node, rows, freed=True) < 9
    assert sizes.measure(machine.node, [{"path": "/absent"}], freed=True) == 0


def test_another_disk_that_is_mounted_below_is_not_counted(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    write(machine.root / "top/inner/file", "x" * sizes.MB)
    assert sizes.measure(machine.node, [{"path": "/top"}], freed=True) > 0.9
    there = os.lstat

    def elsewhere(path: str) -> Any:
        status = there(path)
        return SimpleNamespace(st_dev=status.st_dev + 1, st_nlink=2, st_mode=status.st_mode, st_blocks=8)

    monkeypatch.setattr(os, "lstat", elsewhere)
    assert sizes.measure(machine.node, [{"path": "/top"}], freed=True) < 0.1
