# SPDX-License-Identifier: Apache-2.0
"""Make a model of a few hundred thousand random weights with a tokenizer of its own: nothing is fetched.

    ascend-env python make_model.py tiny-model

It knows nothing. It is for trying out: whether training starts, learns and saves, and whether a server answers.
"""

import glob
import json
import os
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

SPECIAL = ["<unk>", "<s>", "</s>", "<pad>"]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: make_model.py FOLDER")
    folder = sys.argv[1]
    set_seed(1)
    tokenizer = tokenizer_of(texts())
    size = len(tokenizer)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=3,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weights = sum(each.numel() for each in model.parameters())
    sys.stdout.write(f"{folder}: {weights:,} random weights, {size} tokens\n")


def texts() -> list:
    """Return the words of the examples' data sets, for the tokenizer."""
    data = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data")
    found = []
    for path in sorted(glob.glob(os.path.join(data, "*.json"))):
        with open(path, encoding="utf-8") as stream:
            rows = json.load(stream)
        found += [text for row in rows if isinstance(row, dict) for text in row.values()]
    return found


def tokenizer_of(lines: list) -> PreTrainedTokenizerFast:
    """Return a tokenizer that takes any text: its smallest tokens are bytes."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(lines, trainer)
    unk, bos, eos, pad = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token=unk,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        clean_up_tokenization_spaces=False,
    )


if __name__ == "__main__":
    main()
