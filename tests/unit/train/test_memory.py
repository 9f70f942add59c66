# SPDX-License-Identifier: Apache-2.0
"""The estimate beside what runs took that others published, and what LLaMA-Factory's README says."""

from __future__ import annotations

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train import memory

GB = 1024
LLAMA_7B = memory.Model(32, 4096, 11008, 32000, 32, 32, False)
QWEN_14B = memory.Model(48, 5120, 13824, 152064, 40, 8, False)
LLAMA_70B = memory.Model(80, 8192, 28672, 128256, 64, 8, False)
SHORT = {"per_device_train_batch_size": 1, "cutoff_len": 1024}


@pytest.mark.parametrize(("model", "billions"), [(LLAMA_7B, 6.74), (QWEN_14B, 14.77), (LLAMA_70B, 70.55)])
def test_the_weights_are_those_of_the_published_models(model: memory.Model, billions: float) -> None:
    assert model.weights / 1e9 == pytest.approx(billions, rel=0.01)


# README of LLaMA-Factory, "Hardware Requirement": 16-bit LoRA and full tuning in mixed precision.
@pytest.mark.parametrize(
    ("model", "method", "published_gb"),
    [
        (LLAMA_7B, "lora", 16),
        (QWEN_14B, "lora", 32),
        (LLAMA_70B, "lora", 160),
        (LLAMA_7B, "full", 120),
        (QWEN_14B, "full", 240),
        (LLAMA_70B, "full", 1200),
    ],
)
def test_it_is_within_30_percent(model: memory.Model, method: str, published_gb: int) -> None:
    found = memory.estimate_mb(model, {**SHORT, "finetuning_type": method}, 1, 0)
    assert found["all"] / GB == pytest.approx(published_gb, rel=0.3)
    assert found["all"] == sum(size for name, size in found.items() if name != "all")


# Measured, in GB a card. QwenLM/Qwen, README.md, "Profiling of Memory and Speed": A100 80 GB, flash attention, gradient
# checkpointing, batch size 1, LoRA of rank 64 in every linear layer (finetune.py), sequences of 256 to 8192 tokens. Of
# several cards the README has the sum.
LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
QWEN_1_8B = memory.Model(24, 2048, 5504, 151936, 16, 16, False)
QWEN_7B = memory.Model(32, 4096, 11008, 151936, 32, 32, False)
QWEN1_14B = memory.Model(40, 5120, 13696, 152064, 40, 40, False)
QWEN_72B = memory.Model(80, 8192, 24576, 152064, 64, 64, False)
LORA: dict[str, object] = {"finetuning_type": "lora", "lora_rank": 64}
QLORA = {**LORA, "quantization_bit": 4}
FULL: dict[str, object] = {"finetuning_type": "full"}
QWEN = [
    # model, how, cards, ZeRO's stage, GB of all cards for each length
    (QWEN_1_8B, LORA, 1, 0, (6.7, 7.4, 8.4, 11.0, 16.2, 21.8)),
    (QWEN_7B, LORA, 1, 0, (20.1, 20.4, 21.5, 23.8, 29.7, 36.6)),
    (QWEN1_14B, LORA, 1, 0, (34.6, 35.1, 35.3, 37.4, 42.5, 55.2)),
    (QWEN_72B, LORA, 4, 3, (215.4, 217.7, 222.6, 228.8, 249.0, 289.2)),
    (QWEN_1_8B, QLORA, 1, 0, (5.8, 6.0, 6.6, 7.8, 10.2, 15.8)),
    (QWEN_7B, QLORA, 1, 0, (11.5, 11.5, 12.3, 13.9, 16.9, 23.5)),
    (QWEN1_14B, QLORA, 1, 0, (18.7, 18.4, 18.9, 19.9, 23.0, 27.9)),
    (QWEN_72B, QLORA, 1, 0, (61.4, 61.4, 62.9, 64.1, 68.0, 75.6)),
    # The README says ZeRO-3; some versions of its script have ZeRO-2.
    *((QWEN_1_8B, FULL, 1, stage, (43.5, 43.5, 43.5, 43.5, 47.1, 48.3)) for stage in (2, 3)),
    *((QWEN_7B, FULL, 2, stage, (139.2, 148.0, 162.0)) for stage in (2, 3)),
]
QWEN2_7B = memory.Model(28, 3584, 18944, 152064, 28, 4, False)
PUBLISHED = [
    *(
        (model, {**how, "per_device_train_batch_size": 1, "cutoff_len": length}, cards, stage, total / cards)
        for model, how, cards, stage, totals in QWEN
        for length, total in zip(LENGTHS, totals, strict=False)
    ),
    # LLaMA-Factory itself: hiyouga/LlamaFactory, issue 7409, LoRA of rank 8.
    (QWEN2_7B, {"per_device_train_batch_size": 1, "cutoff_len": 1024}, 1, 0, 17.9),
    (QWEN2_7B, {"per_device_train_batch_size": 1, "cutoff_len": 2048}, 1, 0, 26.1),
    (QWEN2_7B, {"per_device_train_batch_size": 2, "cutoff_len": 2048}, 1, 0, 32.0),
    # pytorch/torchtune, README.md, "Memory and training speed": FSDP on eight A100, LoRA of rank 16.
    (LLAMA_70B, {"lora_rank": 16, "per_device_train_batch_size": 2, "cutoff_len": 2048}, 8, 3, 27.6),
]


@pytest.mark.parametrize(("model", "config", "cards", "stage", "measured_gb"), PUBLISHED)
def test_it_is_within_30_percent_of_runs_that_were_published(
    model: memory.Model, config: dict[str, object], cards: int, stage: int, measured_gb: float
) -> None:
    assert memory.estimate_mb(model, config, cards, stage)["all"] / GB == pytest.approx(measured_gb, rel=0.3)


@pytest.mark.parametrize(
    ("config", "part", "times"),
    [
        ({"finetuning_type": "full", "pure_bf16": True}, "optimizer", 1 / 3),
        ({"disable_gradient_checkpointing": True}, "activations", 34 * 32 / (2 * 32 + 34)),
        ({"per_device_train_batch_size": 2}, "logits", 2),
        ({"cutoff_len": "long", "lora_rank": None}, "logits", 2),  # as if they were not given
    ],
)
def test_a_key_counts_as_it_should(config: dict[str, object], part: str, times: float) -> None:
    usual = {**SHORT, "finetuning_type": config.get("finetuning_type", "lora")}
    before, after = (memory.estimate_mb(LLAMA_7B, given, 1, 0) for given in (usual, {**usual, **config}))
    assert after[part] == pytest.approx(before[part] * times, rel=0.01)


def test_zero_parts_what_it_says() -> None:
    config = {**SHORT, "finetuning_type": "full"}
    alone, two, three = (memory.estimate_mb(LLAMA_7B, config, 8, stage) for stage in (0, 2, 3))
    assert (two["weights"], three["weights"]) == (alone["weights"], alone["weights"] // 8)
    assert (two["optimizer"], two["gradients"]) == (alone["optimizer"] // 8, alone["gradients"] // 8)


def test_a_model_that_does_not_say_its_sizes_is_not_known() -> None:
    assert memory.model_of({"hidden_size": 64}) is None
    assert memory.model_of({"num_attention_heads": "many"}) is None
    sizes = ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size")
    whole = {**dict.fromkeys(sizes, 8), "num_attention_heads": 2}
    assert memory.model_of(whole) == memory.Model(8, 8, 8, 8, 2, 2, False)
    assert memory.model_of({**whole, "num_attention_heads": 0}) is None
