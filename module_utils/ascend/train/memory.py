# SPDX-License-Identifier: Apache-2.0
"""A rough estimate of a training run's memory per card, which is shown and never refuses a run (docs/train.md).

Bytes per weight: 2 for the weights in half precision; if they are trained, 2 for the gradients and 12 for Adam's state
(a copy in single precision and two moments: Rajbhandari and others, ZeRO, arXiv:1910.02054, section 3.1), 4 with
pure_bf16, which keeps two moments in half precision. ``quantization_bit`` has the layers' weights in so many bits, and
the embeddings in half precision. ZeRO-2 divides gradients and state among the cards, ZeRO-3 and FSDP the weights as
well. While DeepSpeed applies gradients, a card's part of them is there in single precision, too; with ZeRO-3 that of
10^9 weights at most (sub_group_size), and of gathered weights there are up to 10^9 (stage3_max_live_parameters).

Activations with recomputation: the input of each layer, and what one layer keeps while it is computed again (34 bytes a
token and hidden dimension: Korthikanti and others, arXiv:2205.05198, section 4.1, without attention's scores, which
fused attention does not keep); without recomputation each layer keeps that. The logits in single precision, their
softmax and its gradient: 12 bytes a token and word.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional

HALF, SINGLE, ADAM, ADAM_HALF = 2, 4, 12, 4  # bytes a weight
LOGIT = 12  # bytes a token and word of the vocabulary
LIVE = 10**9  # weights that ZeRO-3 gathers, and that it applies at a time
LAYER = 34  # bytes a token and hidden dimension, of the layer that is computed
FIXED_MB = 2500  # CANN's context, HCCL's buffers (HCCL_BUFFSIZE twice), what the allocator keeps
MB = 1024 * 1024


class Model(NamedTuple):
    """What of a model's config.json counts."""

    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    heads: int
    kv_heads: int
    tied: bool

    @property
    def weights(self) -> int:
        """How many there are."""
        return self.linear + self.embedding

    @property
    def linear(self) -> int:
        """How many the layers have: attention, and the gated feed-forward part."""
        attention = 2 * self.hidden**2 + 2 * self.hidden * self.hidden * self.kv_heads // self.heads
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def embedding(self) -> int:
        """How many both embeddings have; tied, they are one."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    def adapter(self, rank: int) -> int:
        """How many weights LoRA adds if it is applied to every linear layer."""
        kv = self.hidden * self.kv_heads // self.heads
        attention = 2 * (self.hidden + self.hidden) + 2 * (self.hidden + kv)
        return self.layers * rank * (attention + 3 * (self.hidden + self.intermediate))


def model_of(config: Mapping[str, Any]) -> Optional[Model]:
    """Return the model of a config.json (transformers' names); None if it does not say its sizes."""
    try:
        heads = int(config["num_attention_heads"])
        model = Model(
            int(config["num_hidden_layers"]),
            int(config["hidden_size"]),
            int(config["intermediate_size"]),
            int(config["vocab_size"]),
            heads,
            int(config.get("num_key_value_heads") or heads),
            bool(config.get("tie_word_embeddings", False)),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return model if min(model[:-1]) > 0 else None


def estimate_mb(model: Model, config: Mapping[str, Any], cards: int, stage: int) -> Dict[str, int]:
    """Return the parts of one card's need in MB, with ``"all"``; ``stage`` is ZeRO's, 3 for FSDP, 0 without."""
    trained = config.get("finetuning_type", "lora") in ("full", "freeze")
    learning = model.weights if trained else model.adapter(number(config, "lora_rank", 8))
    adam = ADAM_HALF if config.get("pure_bf16") else ADAM
    tokens = number(config, "per_device_train_batch_size", 8) * number(config, "cutoff_len", 2048)
    kept = LAYER * model.layers if config.get("disable_gradient_checkpointing") else HALF * model.layers + LAYER
    parts = {
        "weights": _weights(model, config) // (cards if stage >= 3 else 1),
        "gradients": HALF * learning // (cards if stage >= 2 else 1),
        "optimizer": adam * learning // (cards if stage >= 1 else 1),
        "applied": SINGLE * min(learning // cards, LIVE if stage >= 3 else learning) if stage else 0,
        "gathered": HALF * min(model.weights, LIVE) if stage >= 3 else 0,
        "activations": tokens * model.hidden * kept,
        "logits": LOGIT * tokens * model.vocabulary,
    }
    found = {name: size // MB for name, size in parts.items()}
    found["fixed"] = FIXED_MB
    return {**found, "all": sum(found.values())}


def _weights(model: Model, config: Mapping[str, Any]) -> int:
    """Return the bytes of the model's weights on a card."""
    bits = number(config, "quantization_bit", 8 * HALF)
    return model.linear * bits // 8 + HALF * model.embedding


def number(config: Mapping[str, Any], key: str, default: int) -> int:
    """Return a whole number of a config; an invalid one counts as not given: LLaMA-Factory refuses it itself."""
    value = config.get(key)
    return value if isinstance(value, int) and value > 0 else default
