# SPDX-License-Identifier: Apache-2.0
"""playbooks/train_fetch.yml on this machine: each node's files by its rank, the loss, the first error of all ranks."""

from __future__ import annotations

import getpass
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.tree import run


def ended_run(state_dir: Path, output: Path, rank: int, error: str, at: float) -> None:
    """What a run leaves on a node."""
    folder = state_dir / "train" / "my"
    (folder / "out").mkdir(parents=True)
    output.mkdir()
    about: dict[str, Any] = {
        "account": getpass.getuser(),
        "devices": [],
        "environment": "/env",
        "output_dir": str(output),
    }
    about.update(name="my", folder="/", rank=rank, nodes=2, schema=1)
    (folder / "train.json").write_text(json.dumps(about))
    (folder / "began.json").write_text(json.dumps({"began": "2026-01-31T23:59:59Z", "name": "x", "systemd": False}))
    (folder / "config.yaml").write_text("hub_token: secret-1\n")
    (folder / "job.json").write_text('{"env": {"HF_TOKEN": "secret-1"}}')
    (folder / "out/log").write_text(f"with --hf_token secret-1\n{error}\n")
    (folder / "out/ended.json").write_text(json.dumps({"code": 1, "at": at, "asked": False, "because": None}))


@pytest.mark.slow
def test_the_files_of_two_ranks(tmp_path: Path) -> None:
    here = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
    hosts: dict[str, Any] = {}
    for rank, (name, error) in enumerate({"npu-a": "HcclError: later", "npu-b": "ValueError: first"}.items()):
        hosts[name] = {**here, "ascend_state_dir": str(tmp_path / name)}
        ended_run(tmp_path / name, tmp_path / f"output-{rank}", rank, error, time.time() - rank)
    hosts["npu-gone"] = {**here, "ascend_state_dir": str(tmp_path / "gone")}
    entries = [{"step": step, "loss": 3.0 / step} for step in range(1, 9)]
    (tmp_path / "output-0/trainer_state.json").write_text(json.dumps({"log_history": entries, "global_step": 8}))
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"ascend": {"hosts": hosts}}))
    folder = tmp_path / "got"
    words: list[str | Path] = ["ansible-playbook", "-i", tmp_path / "hosts.yml", "playbooks/train_fetch.yml"]
    words += ["-e", "train_name=my", "-e", f"train_fetch_dir={folder}"]
    done = run(words, env={"ANSIBLE_NOCOLOR": "1"})
    shown = " ".join(done.stdout.split())
    assert done.returncode == 2, "one node gave nothing"
    assert "npu-gone: not fetched: no training run has that name" in shown, done.stdout
    assert f"the loss: {folder}/loss.svg" in shown
    assert "the first error: rank 1 (npu-b): ValueError: first" in shown
    assert "secret-1" not in done.stdout
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert set(files) == {
        "loss.svg",
        "rank-0-npu-a/log",
        "rank-0-npu-a/train.json",
        "rank-0-npu-a/trainer_state.json",
        "rank-1-npu-b/log",
        "rank-1-npu-b/train.json",
    }
    assert "secret-1" not in "".join(files.values())
    assert "training loss 0.375 at step 8" in files["loss.svg"]
