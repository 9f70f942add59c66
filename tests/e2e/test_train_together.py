# SPDX-License-Identifier: Apache-2.0
"""Two nodes train the tiny model together over gloo, by train.yml, and end together."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rack import Rack
from tests.playbook_run import Run

pytestmark = [pytest.mark.e2e, pytest.mark.whole]  # copying a node takes minutes

CONFIG = """
model_name_or_path: tiny-model
stage: sft
do_train: true
finetuning_type: lora
lora_target: all
additional_target: embed_tokens,lm_head
dataset_dir: /opt/ascend/env/current/share/llamafactory/data
dataset: identity,first_questions
template: default
overwrite_cache: true
output_dir: saves/together
overwrite_output_dir: true
logging_steps: 5
per_device_train_batch_size: 2
learning_rate: 5.0e-3
lr_scheduler_type: constant
ddp_backend: gloo
"""
ACCELERATE = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_NPU
machine_rank: 0
main_training_function: main
mixed_precision: "no"
num_machines: 1
num_processes: 1
rdzv_backend: static
same_network: true
use_cpu: false
"""
# No rank sees a card, so it computes on the CPU: accelerate wants to be told the device, and torchrun how many ranks.
ON_THE_CPU = {
    "ASCEND_RT_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "NPROC_PER_NODE": "1",
    "ACCELERATE_TORCH_DEVICE": "cpu",
}
FOLDER = "/var/lib/ascend-fleet/train/together"


@pytest.fixture
def alice(pair: Rack) -> Iterator[None]:
    """An account with a tiny model on both nodes; whatever runs at a test's end is ended."""
    for number in (1, 2):
        pair.sh(number, "id alice || useradd --create-home --groups HwHiAiUser alice")
        make = "ASCEND_RT_VISIBLE_DEVICES= ascend-env python $(ascend-env --examples)/tiny/make_model.py tiny-model"
        pair.sh(number, f"test -d ~alice/tiny-model || runuser -l alice -c '{make}'")
    yield
    pair.playbook("train_stop", "-e", "train_name=together")


def train(pair: Rack, tmp_path: Path, steps: int, **more: Any) -> Run:
    (tmp_path / "together.yaml").write_text(f"{CONFIG}max_steps: {steps}\n", encoding="utf-8")
    given = {"train_config": str(tmp_path / "together.yaml"), "train_user": "alice", "train_nodes": 2}
    given |= {"train_interface": "eth0", "train_variables": ON_THE_CPU, **more}
    return pair.playbook("train", "-e", json.dumps(given))


def ended(pair: Rack, number: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pair.sh(number, f"cat {FOLDER}/out/ended.json"))
    return found


@pytest.mark.usefixtures("alice")
def test_they_learn_together(pair: Rack, tmp_path: Path) -> None:
    run = train(pair, tmp_path, 30, train_follow=True)
    assert run.code == 0, run.output
    assert "distributed & accumulation) = 4" in pair.sh(2, f"cat {FOLDER}/out/log"), "two ranks with two examples each"
    lines = pair.sh(1, "cat ~alice/saves/together/trainer_log.jsonl").splitlines()
    losses = [json.loads(line)["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.7 * losses[0], losses


@pytest.mark.usefixtures("alice")
def test_when_a_rank_is_killed_the_other_ends_and_names_it(pair: Rack, tmp_path: Path) -> None:
    pair.sh(1, "rm --recursive --force ~alice/saves")  # what an earlier run wrote
    assert train(pair, tmp_path, 100_000).code == 0
    deadline = time.monotonic() + 120
    while "current_steps" not in pair.sh(1, "cat ~alice/saves/together/trainer_log.jsonl", check=False):
        assert time.monotonic() < deadline
        time.sleep(1)
    pair.sh(2, "pkill -9 -f 'llamafactory/launche[r]'", check=False)
    deadline = time.monotonic() + 60
    while any(pair.sh(number, "pgrep -f 'llamafactory/launche[r]'", check=False) for number in (1, 2)):
        assert time.monotonic() < deadline
        time.sleep(1)
    time.sleep(2)
    assert ended(pair, 1)["because"]["rank"] == 1
    assert ended(pair, 1)["at"] - ended(pair, 2)["at"] < 30
    shown = pair.playbook("train_status", "-e", "train_name=together")
    assert "ended, because rank 1 ended with code" in " ".join(shown.output.split())


@pytest.mark.usefixtures("alice")
def test_when_it_does_not_begin_on_one_node_it_goes_on_on_none(pair: Rack, tmp_path: Path) -> None:
    pair.sh(2, f"rm -r {FOLDER}; touch {FOLDER}")
    run = train(pair, tmp_path, 100_000)
    pair.sh(2, f"rm {FOLDER}")
    assert run.code == 2, run.output
    assert "File exists" in run.output
    assert ended(pair, 1)["asked"] is True
    assert not pair.sh(1, "pgrep -f 'llamafactory/launche[r]'", check=False)


@pytest.mark.usefixtures("alice")
def test_a_wrong_interface_is_told_before_anything_begins(pair: Rack, tmp_path: Path) -> None:
    run = train(pair, tmp_path, 10, train_interface="eth7")
    assert run.code == 2, run.output
    assert "eth7" in run.output
    assert not pair.sh(2, f"ls {FOLDER}", check=False)


@pytest.mark.usefixtures("alice")
def test_accelerate_launches_it_on_both(pair: Rack, tmp_path: Path) -> None:
    """As FSDP is launched; parting weights takes cards, or CUDA."""
    (tmp_path / "accelerate.yaml").write_text(ACCELERATE, encoding="utf-8")
    run = train(pair, tmp_path, 10, train_follow=True, train_accelerate=str(tmp_path / "accelerate.yaml"))
    assert run.code == 0, run.output
    for number in (1, 2):
        log = pair.sh(number, f"cat {FOLDER}/out/log")
        assert "distributed & accumulation) = 4" in log
        assert "accelerate launch" in pair.sh(number, f"tr -d '\",' < {FOLDER}/job.json")
