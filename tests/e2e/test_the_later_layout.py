# SPDX-License-Identifier: Apache-2.0
"""To CANN 9.0.0 with the real wheels, whose layout is another: beside 8.0.RC1, proven, and back. The order counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import demo
import pytest

from tests.e2e.conftest import Fleet
from tests.e2e.learning import alice, learns
from tests.e2e.serving import TINY, ask, make_model, playbook

# tests/change/test_crossing.py has this way with stand-in wheels.
pytestmark = [pytest.mark.e2e, pytest.mark.whole]

OLD, LATER = "8.0.RC1", "9.0.0"
# Each card is a process that imports torch: two of them prove as much of this as eight.
TWO = ("-e", "ascend_card_count=2")
TO = ("-e", f"ascend_release={LATER}", *TWO)
HOME = f"/usr/local/Ascend/beside/cann-{LATER}"
OLDER_SET_ENV = "/usr/local/Ascend/ascend-toolkit/set_env.sh"


@pytest.fixture(scope="module")
def node_of_8(fleet: Fleet, node: Any) -> Iterator[Any]:
    """The node with the default release, and a driver that 9.0.0 takes."""
    assert demo.packages(LATER) == 0
    run = fleet.site()
    assert run.code == 0, run.output
    node.check_output("ascend-sim set card_count=2 driver_version=25.2.3 firmware_version=7.7.0.10.220")
    yield node
    node.check_output("ascend-sim set card_count=8")
    # Another release follows, on a node as it was.
    run = fleet.playbook("playbooks/remove.yml", "-e", f"remove_release={LATER}")
    assert run.code == 0, run.output


def test_it_is_installed_beside_the_older_one_and_proven(fleet: Fleet, node_of_8: Any) -> None:
    run = fleet.site(*TO)
    assert run.code == 0, run.output
    assert run.steps == ["system", "python", "toolkit", "kernels", "environment", "current"]
    assert f"it is installed beside {OLD}, in {HOME}" in run.output
    said = node_of_8.check_output("ascend-env llamafactory-cli env")
    for words in ("(NPU)", "Ascend910B", f"CANN version: {LATER}", "0.9.5", "PyTorch version: 2.7.1", "0.18.4"):
        assert words in said, said
    again = fleet.site(*TO)
    assert (again.code, again.changed) == (0, 0), again.output


def test_a_session_of_the_older_one_does_not_reach_into_it(node_of_8: Any) -> None:
    """Users' profiles source the common file of the older layout, which the later one's does not take back."""
    names = "PATH LD_LIBRARY_PATH PYTHONPATH ASCEND_HOME_PATH ASCEND_OPP_PATH"
    paths = node_of_8.check_output(f"bash -c 'source {OLDER_SET_ENV}; ascend-env printenv {names}'")
    assert OLD not in paths
    assert "ascend-toolkit" not in paths
    assert f"{HOME}/lib64" in paths
    loads = "import torch, torch_npu; print(torch.arange(3).npu().device)"
    device = node_of_8.check_output(f"bash -c 'source {OLDER_SET_ENV}; ascend-env python -c \"{loads}\"'")
    assert device == "npu:0"


def test_it_serves_by_the_newest_llamafactory(fleet: Fleet, node_of_8: Any) -> None:
    make_model(node_of_8)
    run = playbook(fleet, "serve", TINY, ascend_release=LATER, ascend_card_count=2)
    assert run.code == 0, run.output
    assert (ask(node_of_8)[0], ask(node_of_8, do_sample=False)[0]) == (200, 200)
    assert playbook(fleet, "serve_stop").code == 0


def test_the_guides_last_command_starts(node_of_8: Any) -> None:
    """Both ranks come to their cards. From torch 2.7 on they then compare the model by HCCL, which is a stub here."""
    alice(node_of_8)
    run = "ASCEND_RT_VISIBLE_DEVICES=0,1 ascend-env llamafactory-cli train examples/tiny/tiny_lora_sft.yaml"
    done = node_of_8.run("runuser -l alice -c %s", f"{run} 2>&1")
    assert "Process rank: 1, world size: 2, device: npu:1, distributed training: True" in done.stdout, done.stdout
    assert "DDP expects same model across all ranks" in done.stdout, done.stdout[-3000:]


def test_it_learns(fleet: Fleet, node_of_8: Any, tmp_path: Path) -> None:
    learns(fleet, node_of_8, tmp_path, LATER)


def test_the_way_back_takes_seconds_and_no_installation(fleet: Fleet, node_of_8: Any) -> None:
    back = fleet.playbook("playbooks/rollback.yml", *TWO)
    assert back.code == 0, back.output
    assert node_of_8.check_output("ascend-env python -c 'import torch; print(torch.__version__)'") == "2.1.0+cu121"
    held = fleet.site(*TWO)
    assert (held.code, held.changed) == (0, 0), held.output
    facts = fleet.facts("gather_subset=cann")
    assert {name: each["toolkit"]["state"] for name, each in facts["cann"]["versions"].items()} == {
        OLD: "complete",
        LATER: "complete",
    }
    assert facts["cann"]["record"] == "/usr/local/Ascend"
