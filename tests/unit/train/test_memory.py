# SPDX-License-Identifier: Apache-2.0
"""The estimate beside what LLaMA-Factory's README says of models of 7, 14 and 70 billion weights."""

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


def test_zero_parts_what_it_says() -> None:
    config = {**SHORT, "finetuning_type": "full"}
    alone, two, three = (memory.estimate_mb(LLAMA_7B, config, 8, stage) for stage in (0, 2, 3))
    assert (two["weights"], three["weights"]) == (alone["weights"], alone["weights"] // 8)
    assert (two["optimizer"], two["gradients"]) == (alone["optimizer"] // 8, alone["gradients"] // 8)


def test_a_model_that_does_not_say_its_sizes_is_not_known() -> None:
    assert memory.model_of({"hidden_size": 64}) is None
    assert memory.model_of({"num_attention_heads": "many"}) is None
