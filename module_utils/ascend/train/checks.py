# SPDX-License-Identifier: Apache-2.0
"""The checks before a training run begins: keys, files, cards, space, memory. They change nothing.

Files are checked as the account that trains, because root can read more, or on some file servers nothing.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from .. import files
from ..command import Account, as_account
from ..errors import AscendError
from ..in_time import in_time
from ..node import At
from ..text import listed
from . import checkpoints, config, memory
from .checkpoints import Checkpoint

LOOK_S = 60
MB = 1024 * 1024
ABSENT = "it does not exist"
MOST_FILES = 500  # of a folder
MOST_BYTES = 4 * MB  # of a file whose content counts


class Asked(NamedTuple):
    """``config`` is the file's content, ``folder`` the run's working folder, where relative paths start."""

    config: Mapping[str, Any]
    folder: str
    account: Account
    environment: str
    checkout: str
    devices: Sequence[int]
    cards: int
    card_memory_mb: int
    resume: bool
    fsdp: bool = False


class Named(NamedTuple):
    """What the config names: its key, its text, and the path if it is a file or a folder."""

    key: str
    value: str
    path: str

    @property
    def may_be_of_a_hub(self) -> bool:
        """Whether it is a hub's name, such as ``gpt2`` and ``Qwen/Qwen2.5-7B``, and no such folder exists."""
        is_model = self.key.endswith("_name_or_path")
        return is_model and not self.value.startswith(("/", ".", "~")) and self.value.count("/") <= 1


class Seen(NamedTuple):
    """``problems`` prevent the run; ``remarks`` are only shown. ``memory_mb`` is the estimate's parts, or None.

    ``resume_from`` is the checkpoint to resume from, or "".
    """

    problems: List[AscendError]
    remarks: List[str]
    memory_mb: Optional[Dict[str, int]]
    resume_from: str


def check(asked: Asked, npu: Mapping[str, Any]) -> Seen:
    """Run all checks. Raises AscendError if the account cannot look."""
    problems = config.problems(asked.config, asked.environment, asked.checkout, "train_config")
    problems += cards(asked.devices, npu, "-e train_devices=...")
    remarks: List[str] = []
    named = _named(asked)
    output = output_dir(asked.config, asked.folder, asked.account)
    contents = [_model_config(asked), _dataset_info(asked), _absolute(asked, asked.config.get("deepspeed"))]
    seen = _looked(asked, [each.path for each in named], output, [path for path in contents if path])
    for each in named:
        words = seen["refused"].get(each.path, "")
        if words == ABSENT and each.may_be_of_a_hub:
            remarks.append(
                "%s %s is not a folder here, so it is downloaded when the run starts" % (each.key, each.value)
            )
        elif words:
            problems.append(_path_problem(each, words, asked.account))
    problems += _datasets(asked, seen["files"].get(_dataset_info(asked)))
    model = _model(seen["files"].get(_model_config(asked)))
    parts = (
        memory.estimate_mb(model, asked.config, max(1, asked.cards), _stage(asked, seen["files"])) if model else None
    )
    remarks += _memory_words(asked, parts)
    resume_from = ""
    if output:
        problems += _room(asked, seen, output, model)
        resume_from, more, further = _resume(asked, output, [Checkpoint(*each) for each in seen["checkpoints"]])
        problems, remarks = problems + more, remarks + further
    else:
        problems.append(_wrong("the config names no output_dir", "a folder for the results", "none", "output_dir: ..."))
    return Seen(problems, remarks, parts, resume_from)


def _wrong(problem: str, wanted: str, found: str, remedy: str, where: str = "train_config") -> AscendError:
    return AscendError(problem, wanted=wanted, found=found, where=where, remedy=remedy)


def cards(indexes: Sequence[int], npu: Mapping[str, Any], others: str) -> List[AscendError]:
    """Every card (as torch counts them; none given means all) must exist and be free; unknown is not free.

    ``others`` says how to choose other cards.
    """
    devices = npu["devices"]
    wanted = list(indexes) or list(range(len(devices)))
    absent = [index for index in wanted if index >= len(devices)]
    if absent or not wanted:
        found = "%d cards" % len(devices)
        return [
            _wrong(
                "cards do not exist",
                "cards %s" % listed([str(index) for index in wanted]),
                found,
                "npu-smi info",
                "npu-smi",
            )
        ]
    problems = []
    for index in wanted:
        card = devices[index]["npu_id"]
        chip = devices[index]["chip_id"]
        users = [
            each
            for each in npu["processes"]
            if any(used[0] == card and used[1] in (None, chip) for used in each["chips"])
        ]
        if users:
            who = "%s %s of %s" % (users[0]["name"], users[0]["pid"], users[0]["user"])
            problems.append(_wrong("card %d is in use" % index, "an idle card", who, others, "npu-smi"))
        elif card in npu["unclear"]:
            words = "cannot tell whether card %d is in use" % index
            problems.append(_wrong(words, "an answer from npu-smi", "none", "npu-smi info", "npu-smi"))
    return problems


def output_dir(config: Mapping[str, Any], folder: str, account: Account) -> str:
    """Return where a run writes, "" if the config does not say; transformers takes ~ as the account's home."""
    value = config.get("output_dir")
    if not isinstance(value, str) or not value:
        return ""
    if value == "~" or value.startswith("~/"):
        value = os.path.expanduser("~%s%s" % (account.name, value[1:]))
    return os.path.join(folder, value)


def _absolute(asked: Asked, value: Any) -> str:
    return os.path.join(asked.folder, value) if isinstance(value, str) and value else ""


def _named(asked: Asked) -> List[Named]:
    """Return the files and folders that the run reads, relative to the folder in which it starts."""
    found = [Named("train_folder", asked.folder, asked.folder)]
    for key in ("model_name_or_path", "adapter_name_or_path", "deepspeed", "dataset_dir"):
        value = asked.config.get(key)
        if not isinstance(value, str) or (key == "dataset_dir" and value.startswith(("ONLINE", "REMOTE:"))):
            continue  # data sets of a hub
        # Several adapters are one text.
        values = value.split(",") if key == "adapter_name_or_path" else [value]
        found += [Named(key, each.strip(), _absolute(asked, each.strip())) for each in values if each.strip()]
    return found


def _model_config(asked: Asked) -> str:
    model = _absolute(asked, asked.config.get("model_name_or_path"))
    return os.path.join(model, "config.json") if model else ""


def _dataset_info(asked: Asked) -> str:
    return os.path.join(_absolute(asked, asked.config.get("dataset_dir") or "data"), "dataset_info.json")


def _looked(asked: Asked, read: List[str], output: str, names: List[str]) -> Dict[str, Any]:
    """Look as the account, in a separate process: ``{"refused", "free_mb", "place", "files", "checkpoints"}``."""

    def look(at: At) -> Dict[str, Any]:
        as_account(asked.account)()
        at(asked.folder)
        place = _nearest(output) if output else ""
        usable = bool(place) and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)
        return {
            "refused": {path: refused(path) for path in read},
            "place": place,
            "free_mb": shutil.disk_usage(place).free // MB if usable else None,
            "files": {path: files.text(path, MOST_BYTES) for path in names},
            "checkpoints": checkpoints.read(output) if output and asked.resume else [],
        }

    found: Dict[str, Any] = in_time(LOOK_S, look)
    return found


def refused(path: str) -> str:
    """Return why the calling account cannot read a path, "" if it can."""
    try:
        os.stat(path)
    except PermissionError:
        return "the account cannot reach it"
    except OSError:
        return ABSENT
    is_folder = os.path.isdir(path)
    if not os.access(path, os.R_OK | (os.X_OK if is_folder else 0)):
        return "the account has no read permission"
    # safetensors writes files of mode 0600, whatever the umask says: another account sees the folder, and no weights.
    closed = (
        [name for name in files.names(path)[:MOST_FILES] if not _is_open(os.path.join(path, name))] if is_folder else []
    )
    return "the account has no permission to read %s in it" % listed(closed) if closed else ""


def _is_open(path: str) -> bool:
    """Whether a file can be read; folders and dangling links are skipped."""
    return not os.path.isfile(path) or os.access(path, os.R_OK)


def _nearest(path: str) -> str:
    """Return the path, or the nearest folder above that exists."""
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _path_problem(named: Named, words: str, account: Account) -> AscendError:
    return AscendError(
        "cannot read %s: %s" % (named.key, words),
        wanted="a path that %s can read" % account.name,
        found=named.value,
        where=named.path,
        remedy="runuser -u %s -- ls -ld %s" % (account.name, shlex.quote(named.path)),
    )


def _datasets(asked: Asked, text: Optional[str]) -> List[AscendError]:
    """The data sets must be listed in dataset_info.json, if there is one to read."""
    try:
        known = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return [
            _wrong(
                "dataset_info.json is not JSON",
                "a list of data sets",
                "unreadable",
                "correct the file",
                _dataset_info(asked),
            )
        ]
    value = asked.config.get("dataset")
    if not isinstance(known, dict) or not isinstance(value, str):
        return []
    missing = [name.strip() for name in value.split(",") if name.strip() and name.strip() not in known]
    if not missing:
        return []
    remedy = "name it in dataset_info.json, or correct dataset:"
    words = "unknown data set: %s" % missing[0]
    return [_wrong(words, "one of %s" % listed(sorted(known)), missing[0], remedy, _dataset_info(asked))]


def _model(text: Optional[str]) -> Optional[memory.Model]:
    try:
        config = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return memory.model_of(config) if isinstance(config, dict) else None


def _stage(asked: Asked, contents: Mapping[str, str]) -> int:
    """Return ZeRO's stage in the run's DeepSpeed config, 0 if it has none; FSDP shards like stage 3."""
    given = asked.config.get("deepspeed")
    if not given and (asked.fsdp or "full_shard" in str(asked.config.get("fsdp"))):
        return 3
    try:
        config = given if isinstance(given, dict) else json.loads(contents.get(_absolute(asked, given)) or "{}")
        return int(config["zero_optimization"]["stage"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0


def _memory_words(asked: Asked, parts: Optional[Mapping[str, int]]) -> List[str]:
    if parts is None:
        return ["cannot estimate the memory that the run needs: the model's config.json was not read"]
    words = "estimate: about %.0f GB of %.0f GB per card" % (parts["all"] / 1024, asked.card_memory_mb / 1024)
    if asked.card_memory_mb and parts["all"] > asked.card_memory_mb:
        words += ": it may not fit; a smaller batch, DeepSpeed ZeRO-3 or LoRA need less (docs/train.md)"
    return [words]


def _room(asked: Asked, seen: Mapping[str, Any], output: str, model: Optional[memory.Model]) -> List[AscendError]:
    if seen["free_mb"] is None:
        words = "%s cannot write to the output_dir" % asked.account.name
        return [
            _wrong(
                words,
                "a folder that it can write to",
                "no write permission",
                "ls -ld %s" % seen["place"],
                seen["place"],
            )
        ]
    if model is None:
        return []
    full = asked.config.get("finetuning_type", "lora") == "full"
    # A checkpoint has the weights and, unless save_only_model says otherwise, the optimizer's state.
    state = 0 if asked.config.get("save_only_model") else memory.ADAM
    need = (memory.HALF + state) * (
        model.weights if full else model.adapter(memory.number(asked.config, "lora_rank", 8))
    )
    if seen["free_mb"] * MB >= need:
        return []
    words = "not enough room for one checkpoint"
    found = "%d MB" % seen["free_mb"]
    return [
        _wrong(words, "about %d MB" % (need // MB), found, "df -h %s; or choose another output_dir" % output, output)
    ]


def _resume(asked: Asked, output: str, found: List[Checkpoint]) -> "tuple[str, List[AscendError], List[str]]":
    """Return (the checkpoint to resume from, problems, remarks)."""
    if not asked.resume:
        return "", [], []
    if asked.config.get("resume_from_checkpoint"):
        words = "the config already names a checkpoint"
        given = str(asked.config["resume_from_checkpoint"])
        return (
            "",
            [_wrong(words, "train_resume, or that key", given, "remove resume_from_checkpoint from the config")],
            [],
        )
    chosen, skipped = checkpoints.newest(found)
    remarks = ["%s is skipped: %s" % (each.path, each.problem) for each in skipped]
    if chosen is None:
        words = "no complete checkpoint to resume from"
        why = remarks[0] if remarks else "none"
        return (
            "",
            [_wrong(words, "checkpoint-<step> in the output_dir", why, "run train.yml without train_resume", output)],
            [],
        )
    return chosen.path, [], [*remarks, "resumes from %s" % chosen.path]
