# SPDX-License-Identifier: Apache-2.0
"""One simulated node with the older release, from which the tests make as many as they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.change.fleet import EVERYTHING, OLD, Fleet, sh

NAME = "ascend-change"
# One card makes a verification short; the driver is one that both releases take.
HARDWARE = "card_count=1 driver_version=25.2.0 firmware_version=7.7.0.1.231"


@pytest.fixture(scope="package")
def base(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Fleet]:
    """A fleet whose first node has the older release; the others are its copies (``grown``)."""
    fleet = Fleet(NAME, tmp_path_factory.mktemp("change") / "state", cache_dir / "change")
    fleet.command("down")
    fleet.packages()
    fleet.command("up", "--nodes", "1", "--depot", str(fleet.cache / "depot"))
    sh(fleet.node(1), f"ascend-sim set {HARDWARE}")
    fleet.bare = sh(fleet.node(1), EVERYTHING).splitlines()
    run = fleet.site(release=OLD)
    assert run.code == 0, run.output[-8000:]
    # The newer release's files, once, for all.
    run = fleet.playbook("playbooks/depot.yml")
    assert run.code == 0, run.output[-8000:]
    yield fleet
    fleet.command("down")
