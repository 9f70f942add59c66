# SPDX-License-Identifier: Apache-2.0
"""Which checkpoints are whole: with files cut off at any place, ranks that are missing, and what was never begun."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train import checkpoints


def safetensors(path: Path) -> None:
    header = json.dumps(
        {"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}
    )
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(16))


def archive(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data.pkl", "x" * 100)


def checkpoint(output: Path, step: int, ranks: int = 2) -> Path:
    place = output / f"checkpoint-{step}"
    place.mkdir(parents=True)
    safetensors(place / "adapter_model.safetensors")
    for name in ("optimizer.pt", "scheduler.pt", *(f"rng_state_{rank}.pth" for rank in range(ranks))):
        archive(place / name)
    (place / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return place


def deepspeed(place: Path, ranks: int = 2) -> Path:
    (place / "optimizer.pt").unlink()
    folder = place / "global_step40"
    for rank in range(ranks):
        archive(folder / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    (place / "latest").write_text("global_step40")
    return folder


def problem(output: Path) -> str:
    return checkpoints.read(str(output))[0].problem


def test_the_newest_that_is_whole_is_chosen(tmp_path: Path) -> None:
    checkpoint(tmp_path, 9)
    whole, broken = checkpoint(tmp_path, 40), checkpoint(tmp_path, 100)
    (broken / "trainer_state.json").unlink()
    (tmp_path / "tmp-checkpoint-120").mkdir()
    chosen, skipped = checkpoints.newest(checkpoints.read(str(tmp_path)))
    assert chosen is not None
    assert (chosen.path, chosen.step) == (str(whole), 40)
    assert [(each.step, each.problem) for each in skipped] == [(100, "trainer_state.json is incomplete")]


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "optimizer.pt", "trainer_state.json", "scheduler.pt"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.97])
def test_a_file_that_is_cut_off_is_seen(tmp_path: Path, name: str, part: float) -> None:
    path = checkpoint(tmp_path, 40) / name
    assert problem(tmp_path) == ""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    assert name in problem(tmp_path)


def test_a_rank_that_did_not_come_to_it_is_seen(tmp_path: Path) -> None:
    (checkpoint(tmp_path, 40, ranks=4) / "rng_state_1.pth").unlink()
    assert problem(tmp_path) == "the random state of rank 1 is missing"


def test_a_shard_that_is_missing_is_seen(tmp_path: Path) -> None:
    place = checkpoint(tmp_path, 40)
    (place / "adapter_model.safetensors").unlink()
    assert problem(tmp_path) == "it has no weights"
    safetensors(place / "model-1.safetensors")
    places = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (place / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert problem(tmp_path) == "model-2.safetensors is truncated"
    safetensors(place / "model-2.safetensors")
    assert problem(tmp_path) == ""


def test_deepspeed_has_a_state_of_each_rank(tmp_path: Path) -> None:
    place = checkpoint(tmp_path, 40)
    folder = deepspeed(place)
    assert problem(tmp_path) == ""
    first, second = sorted(folder.iterdir())
    second.write_bytes(second.read_bytes()[:50])
    assert problem(tmp_path) == f"{second.name} is truncated"
    second.unlink()
    first.rename(second)
    assert problem(tmp_path) == "the optimizer state of rank 0 is missing"
    second.unlink()
    assert problem(tmp_path) == "global_step40 has no optimizer state"
    (place / "latest").unlink()
    assert problem(tmp_path) == "latest is missing"


def test_where_there_are_none(tmp_path: Path) -> None:
    assert checkpoints.newest(checkpoints.read(str(tmp_path / "gone"))) == (None, [])
