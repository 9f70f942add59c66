# SPDX-License-Identifier: Apache-2.0
"""What keeps a training run from beginning, each by itself, with real files that another account looks at."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train import checks
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train.checks import Asked, Seen, check
from tests.unit.train.accounts import ACCOUNT, DAEMON, open_folder, own
from tests.unit.train.test_checkpoints import checkpoint

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the account that trains is another one")

KNOWN = """model_name_or_path adapter_name_or_path deepspeed dataset dataset_dir output_dir finetuning_type lora_rank
save_only_model resume_from_checkpoint learning_rate fsdp"""
MODEL = {
    "num_hidden_layers": 20,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "vocab_size": 32000,
    "num_attention_heads": 4,
}
USER = {"name": "python3", "pid": 7, "user": "bob"}


class Node:
    """A node on which the run may begin; tests break one thing of it."""

    def __init__(self, top: Path) -> None:
        self.home = own(self._made(top / "home"))
        self.environment = top / "env"
        self.npu: dict[str, Any] = {
            "devices": [{"npu_id": card, "chip_id": 0} for card in range(4)],
            "processes": [],
            "unclear": [],
        }
        self.config: dict[str, Any] = {
            "model_name_or_path": "model",
            "deepspeed": "ds.json",
            "dataset_dir": "data",
            "dataset": "mine",
            "output_dir": "out",
        }
        self.changes: dict[str, Any] = {}
        for place in ("llamafactory/hparams", "transformers"):
            self._made(self.environment / "lib/python3.10/site-packages" / place)
        self.know(KNOWN.split() + [f"more_{number}" for number in range(100)])
        (self._made(self.home / "model") / "config.json").write_text(json.dumps(MODEL))
        (self.home / "ds.json").write_text(json.dumps({"zero_optimization": {"stage": 3}}))
        (self._made(self.home / "data") / "dataset_info.json").write_text(json.dumps({"mine": {}}))
        own(self._made(self.home / "out"))

    @staticmethod
    def _made(path: Path) -> Path:
        path.mkdir(parents=True)
        return path

    def know(self, keys: list[str]) -> None:
        site = self.environment / "lib/python3.10/site-packages"
        text = "class A:\n" + "".join(f"    {key}: int = 0\n" for key in keys)
        for name in (
            "llamafactory/hparams/a.py",
            "transformers/training_args.py",
            "transformers/training_args_seq2seq.py",
        ):
            (site / name).write_text(text)

    def seen(self) -> Seen:
        asked = Asked(self.config, str(self.home), ACCOUNT, str(self.environment), "", [0, 1], 2, 65536, False)
        return check(asked._replace(**self.changes), self.npu)


@pytest.fixture
def node() -> Iterator[Node]:
    with open_folder() as folder:
        yield Node(folder)


def test_where_nothing_is_wrong_nothing_is_said(node: Node) -> None:
    seen = node.seen()
    assert [str(problem) for problem in seen.problems] == []
    assert [words.split(":")[0] for words in seen.remarks] == ["estimate"]
    assert seen.memory_mb is not None
    assert seen.memory_mb["gathered"] > 0, "the DeepSpeed config says stage 3"


def unknown_key(node: Node) -> None:
    node.config["learning_rat"] = 1


def no_such_card(node: Node) -> None:
    node.changes["devices"] = [0, 4]


def no_card_at_all(node: Node) -> None:
    node.npu["devices"] = []
    node.changes["devices"] = []


def used_card(node: Node) -> None:
    node.npu["processes"] = [{**USER, "chips": [[1, 0, None]]}]


def used_card_of_unknown_chip(node: Node) -> None:
    node.npu["processes"] = [{**USER, "chips": [[1, None, None]]}]


def unclear_card(node: Node) -> None:
    node.npu["unclear"] = [0]


def no_folder(node: Node) -> None:
    node.changes["folder"] = "/gone"
    node.config = {"output_dir": str(node.home / "out"), "model_name_or_path": "gpt2"}


def no_model(node: Node) -> None:
    node.config["model_name_or_path"] = "./gone"


def no_model_below_folders(node: Node) -> None:
    node.config["model_name_or_path"] = "models/of/mine"


def no_model_at_home(node: Node) -> None:
    # LLaMA-Factory takes the character for a name.
    node.config["model_name_or_path"] = "~/model"


def second_adapter(node: Node) -> None:
    node.config["adapter_name_or_path"] = "model, ./second"


def no_deepspeed(node: Node) -> None:
    (node.home / "ds.json").unlink()


def closed_model(node: Node) -> None:
    (node.home / "model").chmod(0o700)


def closed_way(node: Node) -> None:
    (node.home / "closed").mkdir(mode=0o700)
    node.config["model_name_or_path"] = "./closed/model"


def no_json(node: Node) -> None:
    (node.home / "data/dataset_info.json").write_text("{")


def no_data_set(node: Node) -> None:
    node.config["dataset"] = "mine, yours"


def no_output(node: Node) -> None:
    del node.config["output_dir"]


def closed_output(node: Node) -> None:
    os.chown(node.home / "out", 0, 0)


def closed_output_to_be_made(node: Node) -> None:
    node.config["output_dir"] = "data/new/folder"


def no_room(node: Node) -> None:
    large = {**MODEL, "num_hidden_layers": 10**9, "hidden_size": 8192}
    (node.home / "model/config.json").write_text(json.dumps(large))


def checkpoint_twice(node: Node) -> None:
    node.changes["resume"] = True
    node.config["resume_from_checkpoint"] = "out/checkpoint-1"


def no_checkpoint(node: Node) -> None:
    node.changes["resume"] = True


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (unknown_key, "does not know the key learning_rat; .*next: write learning_rate"),
        (no_such_card, "cards do not exist; wanted: cards 0, 4; found: 4 cards"),
        (no_card_at_all, "cards do not exist; .*found: 0 cards"),
        (used_card, "card 1 is in use; .*found: python3 7 of bob"),
        (used_card_of_unknown_chip, "card 1 is in use"),
        (unclear_card, "cannot tell whether card 0 is in use"),
        (no_folder, "cannot read train_folder: it does not exist"),
        (no_model, "cannot read model_name_or_path: it does not exist; wanted: a path that daemon can read"),
        (no_model_below_folders, "cannot read model_name_or_path: it does not exist"),
        (no_model_at_home, "cannot read model_name_or_path: it does not exist"),
        (second_adapter, r"cannot read adapter_name_or_path: it does not exist; .*found: \./second"),
        (no_deepspeed, r"cannot read deepspeed: it does not exist; .*found: ds\.json"),
        (closed_model, "cannot read model_name_or_path: the account has no read permission"),
        (closed_way, "cannot read model_name_or_path: the account cannot reach it"),
        (no_json, r"dataset_info\.json is not JSON"),
        (no_data_set, "unknown data set: yours; wanted: one of mine"),
        (no_output, "the config names no output_dir"),
        (closed_output, "daemon cannot write to the output_dir; .*where: .*/home/out;"),
        (closed_output_to_be_made, "daemon cannot write to the output_dir; .*where: .*/home/data;"),
        (no_room, "not enough room for one checkpoint"),
        (checkpoint_twice, "the config already names a checkpoint"),
        (no_checkpoint, "no complete checkpoint to resume from; .*found: none"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_else(node: Node, broken: Callable[[Node], None], words: str) -> None:
    broken(node)
    problems = [str(problem) for problem in node.seen().problems]
    assert len(problems) == 1, problems
    assert re.search(words, problems[0]), problems


def test_all_of_it_is_told_at_once(node: Node) -> None:
    for broken in (unknown_key, used_card, no_model, no_data_set):
        broken(node)
    assert len(node.seen().problems) == 4


@pytest.mark.parametrize("name", ["gpt2", "Qwen/Qwen2.5-7B"])
def test_a_name_that_is_no_folder_is_a_hubs(node: Node, name: str) -> None:
    node.config["model_name_or_path"] = name
    seen = node.seen()
    assert seen.problems == []
    assert seen.remarks[0] == f"model_name_or_path {name} is not a folder here, so it is downloaded when the run starts"
    assert "cannot estimate the memory that the run needs" in seen.remarks[1]


def test_a_folder_that_only_root_sees_is_told(node: Node) -> None:
    """On a file server that knows no root it is the other way round: then only the account sees it."""
    node.home.chmod(0o700)
    assert node.seen().problems == []
    os.chown(node.home, 0, 0)
    problems = [problem.problem for problem in node.seen().problems]
    assert "cannot read train_folder: the account has no read permission" in problems
    assert "cannot read model_name_or_path: the account cannot reach it" in problems


def test_a_need_beyond_the_card_is_a_remark(node: Node) -> None:
    node.changes["card_memory_mb"] = 1000
    seen = node.seen()
    assert seen.problems == []
    assert "it may not fit" in seen.remarks[-1]


def test_the_home_of_the_account_is_meant(node: Node) -> None:
    assert checks.output_dir({"output_dir": "~/out"}, "/elsewhere", ACCOUNT) == f"{DAEMON.pw_dir}/out"
    assert checks.output_dir({"output_dir": "out"}, "/elsewhere", ACCOUNT) == "/elsewhere/out"
    assert checks.output_dir({"output_dir": 1}, "/elsewhere", ACCOUNT) == ""


@pytest.mark.parametrize(
    "config", [{"fsdp": "full_shard auto_wrap"}, {"deepspeed": {"zero_optimization": {"stage": 3}}}]
)
def test_who_parts_the_weights_is_known(node: Node, config: dict[str, Any]) -> None:
    del node.config["deepspeed"]
    alone = node.seen().memory_mb
    node.config.update(config)
    parted = node.seen().memory_mb
    assert alone is not None
    assert parted is not None
    assert parted["gathered"] > alone["gathered"] == 0


def test_it_goes_on_from_the_newest_checkpoint_that_is_whole(node: Node) -> None:
    node.changes["resume"] = True
    whole, broken = checkpoint(node.home / "out", 40), checkpoint(node.home / "out", 80)
    (broken / "trainer_state.json").unlink()
    seen = node.seen()
    assert (seen.problems, seen.resume_from) == ([], str(whole))
    assert seen.remarks[1:] == [
        f"{broken} is skipped: trainer_state.json is incomplete",
        f"resumes from {whole}",
    ]
    (whole / "trainer_state.json").unlink()
    assert [problem.found for problem in node.seen().problems] == [seen.remarks[1]]
