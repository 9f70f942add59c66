# SPDX-License-Identifier: Apache-2.0
"""The checkpoints of a training run, and which of them are complete, because a rank may have been killed while saving.

Forms: transformers' Trainer writes ``checkpoint-<step>`` with trainer_state.json last, apart from rotation; weights are
safetensors (a header with its length and the place of each tensor, huggingface/safetensors README) or torch.save's (a
zip archive); DeepSpeed writes ``global_step<n>`` with one file per rank, and ``latest``, which names it.
"""

from __future__ import annotations

import glob
import json
import os
import re
import zipfile
from typing import Dict, List, NamedTuple, Optional, Tuple

from .. import files

NAME = re.compile(r"checkpoint-(\d+)")
MOST_HEADER = 100 * 1024 * 1024  # bytes, as safetensors itself allows
WEIGHTS = ("model.safetensors", "adapter_model.safetensors", "pytorch_model.bin", "adapter_model.bin")
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_RANK = re.compile(r"_rank_(\d+)_")


class Checkpoint(NamedTuple):
    """``problem`` says what a checkpoint lacks; "" if it is complete."""

    path: str
    step: int
    problem: str


def read(output_dir: str) -> List[Checkpoint]:
    """Return the checkpoints in a folder, newest first; in some versions one that is being written has another name."""
    found = []
    for name in files.names(output_dir):
        match = NAME.fullmatch(name)
        if match and os.path.isdir(os.path.join(output_dir, name)):
            path = os.path.join(output_dir, name)
            found.append(Checkpoint(path, int(match.group(1)), _problem(path, int(match.group(1)))))
    return sorted(found, key=lambda each: -each.step)


def newest(found: List[Checkpoint]) -> Tuple[Optional[Checkpoint], List[Checkpoint]]:
    """Return (the newest checkpoint that is whole or None, the newer ones that are not)."""
    skipped: List[Checkpoint] = []
    for each in found:
        if not each.problem:
            return each, skipped
        skipped.append(each)
    return None, skipped


def _problem(path: str, step: int) -> str:
    saved_step = files.mapping(os.path.join(path, "trainer_state.json")).get("global_step")
    if saved_step != step:
        return (
            "trainer_state.json is incomplete"
            if saved_step is None
            else "trainer_state.json is from step %s" % saved_step
        )
    for problem in (_weights(path), _deepspeed(path), _ranks(path)):
        if problem:
            return problem
    for name in ("optimizer.pt", "scheduler.pt"):
        if os.path.exists(os.path.join(path, name)) and not _is_whole(os.path.join(path, name)):
            return "%s is truncated" % name
    return ""


def _weights(path: str) -> str:
    shards: List[str] = []
    for index in INDEXES:
        if os.path.exists(os.path.join(path, index)):
            places = files.mapping(os.path.join(path, index)).get("weight_map")
            if not isinstance(places, dict) or not places:
                return "%s is incomplete" % index
            shards += sorted({str(name) for name in places.values()})
    shards = shards or [name for name in WEIGHTS if os.path.exists(os.path.join(path, name))]
    if not shards:
        # DeepSpeed's own files hold the weights where they are not gathered.
        return "" if os.path.exists(os.path.join(path, "latest")) else "it has no weights"
    return next(("%s is truncated" % name for name in shards if not _is_whole(os.path.join(path, name))), "")


def _deepspeed(path: str) -> str:
    latest = files.text(os.path.join(path, "latest"))
    if latest is None:
        return "latest is missing" if glob.glob(os.path.join(glob.escape(path), "global_step*")) else ""
    folder = os.path.join(path, latest.strip())
    states = sorted(glob.glob(os.path.join(glob.escape(folder), "*optim_states.pt")))
    if not states:
        return "%s has no optimizer state" % latest.strip()
    for each in glob.glob(os.path.join(glob.escape(folder), "*.pt")):
        if not _is_whole(each):
            return "%s is truncated" % os.path.basename(each)
    return _gap("the optimizer state", [match.group(1) for match in map(_RANK.search, states) if match])


def _ranks(path: str) -> str:
    """Each rank writes the state of its random numbers; one without a file was killed before that."""
    names = [os.path.basename(each) for each in glob.glob(os.path.join(glob.escape(path), "rng_state_*.pth"))]
    return _gap("the random state", [re.sub(r"\D", "", name) for name in names])


def _gap(what: str, ranks: List[str]) -> str:
    numbers = {int(rank) for rank in ranks}
    missing = sorted(set(range(max(numbers) + 1)) - numbers) if numbers else []
    return "%s of rank %d is missing" % (what, missing[0]) if missing else ""


def _is_whole(path: str) -> bool:
    """Whether a file of weights or of a state has its full length; anything else counts as complete."""
    if path.endswith(".safetensors"):
        return _safetensors_bytes(path) == _size(path)
    try:
        return zipfile.is_zipfile(path) if os.path.getsize(path) else False
    except OSError:
        return False


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return -1


def _safetensors_bytes(path: str) -> Optional[int]:
    """Return the file's length according to its header; None if it has none."""
    try:
        with open(path, "rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header: Dict[str, Dict[str, List[int]]] = json.loads(stream.read(min(length, MOST_HEADER)))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None
    return 8 + length + max(ends, default=0)
