# SPDX-License-Identifier: Apache-2.0
"""What several files test CANN on."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import installer_needs
from tests.unit.cann.on_disk import Cann, remembered
from tests.unit.cann.other_layout import install, prove
from tests.unit.cann.test_install import Node


@pytest.fixture
def no_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the installer needs of a machine has its own tests: this one may have no pip3."""
    monkeypatch.setattr(installer_needs, "require", lambda *_arguments: None)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture
def proven(node: Node) -> Node:
    install(node, "toolkit", "kernels")
    prove(node)
    return node


@pytest.fixture
def cann(tmp_path: Path) -> Cann:
    return remembered(tmp_path)
