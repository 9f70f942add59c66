# SPDX-License-Identifier: Apache-2.0
"""The action ``node_change``, as Ansible loads it; and a node's state, with an end to whoever locks it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock, process


@pytest.fixture(scope="module")
def action(root: Path) -> ModuleType:
    path = root / "plugins/action/node_change.py"
    spec = importlib.util.spec_from_file_location("node_change_action", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def state(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "state"
    yield str(path)
    process.end(process.users(str(path / module_lock.FILE)))
