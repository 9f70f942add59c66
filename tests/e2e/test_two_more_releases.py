# SPDX-License-Identifier: Apache-2.0
"""The releases that no other file here has, with the real wheels: they start on two cards, learn, and serve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import demo
import pytest

from tests.e2e.conftest import Fleet
from tests.e2e.learning import alice, learns
from tests.e2e.serving import TINY, ask, make_model, playbook

pytestmark = [pytest.mark.e2e, pytest.mark.whole]


@pytest.fixture(scope="module", params=["8.0.0", "8.3.RC1"])
def release(request: pytest.FixtureRequest, fleet: Fleet, node: Any) -> Iterator[str]:
    """The node has this release, made current, and nothing of it afterwards."""
    name: str = request.param
    assert demo.packages(name) == 0
    driver = demo.described(name)["driver"]
    node.check_output(
        f"ascend-sim set card_count=2 driver_version={driver['minimum']} firmware_version={driver['firmware']}"
    )
    run = fleet.site("-e", f"ascend_release={name}", "-e", "ascend_card_count=2")
    assert run.code == 0, run.output
    yield name
    run = fleet.playbook("playbooks/remove.yml", "-e", "remove_everything=true", "-e", "remove_force=true")
    assert run.code == 0, run.output


def test_the_guides_last_command_starts(release: str, node: Any) -> None:
    """As in test_the_later_layout.py: what is computed between the two cards is nothing of worth."""
    alice(node)
    run = "ASCEND_RT_VISIBLE_DEVICES=0,1 ascend-env llamafactory-cli train examples/tiny/tiny_lora_sft.yaml"
    done = node.run("runuser -l alice -c %s", f"{run} 2>&1")
    assert "rank: 1, world size: 2, device: npu:1, distributed training: True" in done.stdout, done.stdout[-3000:]


def test_it_learns(release: str, fleet: Fleet, node: Any, tmp_path: Path) -> None:
    learns(fleet, node, tmp_path, release)


def test_it_serves(release: str, fleet: Fleet, node: Any) -> None:
    make_model(node)
    run = playbook(fleet, "serve", TINY, ascend_release=release, ascend_card_count=2)
    assert run.code == 0, run.output
    assert (ask(node)[0], ask(node, do_sample=False)[0]) == (200, 200)
    assert playbook(fleet, "serve_stop").code == 0
