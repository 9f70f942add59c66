# SPDX-License-Identifier: Apache-2.0
"""A rough need of memory of a training run, per card: an estimate that is told and never refuses (docs/train.md).

Bytes a weight: 2 for the weights in half precision; where they are trained, 2 for the gradients and 12 for Adam's state
(a copy in single precision and two moments: Rajbhandari and others, ZeRO, arXiv:1910.02054, section 3.1). ZeRO-2 parts
gradients and state among the cards, ZeRO-3 and FSDP the weights as well. Activations with recomputation: the input of
each layer, what one layer keeps while it is computed again (34 bytes a token and hidden dimension: Korthikanti and
others, arXiv:2205.05198, section 4.1, without attention's scores, which fused attention does not keep), and the logits
in single precision with their gradient.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional

HALF, SINGLE, ADAM = 2, 4, 12  # bytes a weight
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
        """How many there are: attention, the gated feed-forward part, both embeddings."""
        attention = 2 * self.hidden**2 + 2 * self.hidden * self.hidden * self.kv_heads // self.heads
        each = attention + 3 * self.hidden * self.intermediate
        return self.layers * each + self.vocabulary * self.hidden * (1 if self.tied else 2)

    def adapter(self, rank: int) -> int:
        """How many weights LoRA adds where it takes every linear layer."""
        kv = self.hidden * self.kv_heads // self.heads
        attention = 2 * (self.hidden + self.hidden) + 2 * (self.hidden + kv)
        return self.layers * rank * (attention + 3 * (self.hidden + self.intermediate))


def model_of(config: Mapping[str, Any]) -> Optional[Model]:
    """Return the model of a config.json (transformers' names); None where it does not say its sizes."""
    try:
        heads = int(config["num_attention_heads"])
        return Model(
            int(config["num_hidden_layers"]),
            int(config["hidden_size"]),
            int(config["intermediate_size"]),
            int(config["vocab_size"]),
            heads,
            int(config.get("num_key_value_heads") or heads),
            bool(config.get("tie_word_embeddings", False)),
        )
    except (KeyError, TypeError, ValueError):
        return None


def estimate_mb(model: Model, config: Mapping[str, Any], cards: int, stage: int) -> Dict[str, int]:
    """Return the parts of the need of one card in MB, with ``"all"``; ``stage`` is ZeRO's, 3 for FSDP, 0 without."""
    trained = config.get("finetuning_type", "lora") in ("full", "freeze")
    weights = model.weights
    learning = weights if trained else model.adapter(int(config.get("lora_rank") or 8))
    parted = cards if stage >= 2 else 1
    tokens = int(config.get("per_device_train_batch_size") or 8) * int(config.get("cutoff_len") or 2048)
    parts = {
        "weights": HALF * weights // (cards if stage >= 3 else 1),
        "gradients": HALF * learning // parted,
        "optimizer": ADAM * learning // (cards if stage >= 1 else 1),
        "activations": tokens * model.hidden * (HALF * model.layers + LAYER),
        "logits": 2 * SINGLE * tokens * model.vocabulary,
    }
    found = {name: size // MB for name, size in parts.items()}
    found["fixed"] = FIXED_MB
    return {**found, "all": sum(found.values())}
