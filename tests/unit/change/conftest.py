# SPDX-License-Identifier: Apache-2.0
"""The action ``node_change``, as Ansible loads it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def action(root: Path) -> ModuleType:
    path = root / "plugins/action/node_change.py"
    spec = importlib.util.spec_from_file_location("node_change_action", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
