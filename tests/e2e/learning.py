# SPDX-License-Identifier: Apache-2.0
"""The real LLaMA-Factory learns on the CPU of a node: the switch that shows a training process no card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.conftest import ROOT, Fleet
from tests.playbook_run import Run

EXAMPLE = ROOT / "roles/torch_npu/files/share/llamafactory/examples/tiny/tiny_lora_sft.yaml"
NO_CARD = {"ASCEND_RT_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}  # the process sees no card: it computes on the CPU
# From torch 2.5 on torch loads torch-npu by itself. Its optimizer, and with torch 2.7 gradients, too, ask for a card
# even where none is to be seen. Python takes a module that is None for one that is not installed.
FOLDER = "/srv/no-torch-npu"
NO_TORCH_NPU = {**NO_CARD, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0", "PYTHONPATH": FOLDER}
HIDE = f"""mkdir -p {FOLDER} && echo 'import sys; sys.modules["torch_npu"] = None' >{FOLDER}/sitecustomize.py"""


ACCOUNT = "alice"
OUTPUT = f"/home/{ACCOUNT}/saves/tiny/lora/sft"


def alice(node: Any) -> str:
    """An account that trains, with the examples and a tiny model in its home, made by what the examples bring."""
    made = node.run("id %s || useradd --create-home --groups HwHiAiUser %s", ACCOUNT, ACCOUNT)
    assert made.rc == 0, made.stderr
    script = (
        'rm -rf examples saves tiny-model && cp --recursive "$(ascend-env --examples)" . && '
        "ASCEND_RT_VISIBLE_DEVICES= OMP_NUM_THREADS=1 ascend-env python examples/tiny/make_model.py tiny-model"
    )
    done = node.run("runuser -l %s -c %s", ACCOUNT, script)
    assert "random weights" in done.stdout, done.stderr
    return ACCOUNT


def train(fleet: Fleet, folder: Path, steps: int, variables: dict[str, str], **more: Any) -> Run:
    text = EXAMPLE.read_text(encoding="utf-8").replace("max_steps: 80", f"max_steps: {steps}")
    (folder / "tiny.yaml").write_text(text, encoding="utf-8")
    config = str(folder / "tiny.yaml")
    given = {"train_config": config, "train_user": ACCOUNT, "train_variables": variables, **more}
    return fleet.playbook("playbooks/train.yml", "-i", "inventory/sim", "-e", json.dumps(given))


def losses(node: Any) -> list[float]:
    """What a run of the tiny example lost, from its log, first to last."""
    lines = node.file(f"{OUTPUT}/trainer_log.jsonl").content_string.splitlines()
    return [row["loss"] for row in map(json.loads, lines) if row.get("loss") is not None]


def learns(fleet: Fleet, node: Any, folder: Path, release: str) -> None:
    """Forty steps of the tiny example in a release from 8.0.0 on: the loss falls and the adapter is written."""
    alice(node)
    assert node.run(HIDE).rc == 0
    run = train(fleet, folder, 40, NO_TORCH_NPU, train_follow=True, ascend_release=release)
    assert run.code == 0, run.output
    lost = losses(node)
    assert lost[-1] < 0.7 * lost[0], lost
    assert node.file(f"{OUTPUT}/adapter_model.safetensors").size > 100_000
