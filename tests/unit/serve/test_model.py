# SPDX-License-Identifier: Apache-2.0
"""The list of models: what it may say, and what is told of the rest."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given as every, strategies

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.serve.model import models_of, require_key

PLAIN: dict[str, Any] = {"name": "llama3", "config": {"model_name_or_path": "/data/llama3", "template": "llama3"}}


def test_a_model_is_served_for_its_node_alone_and_does_not_sample() -> None:
    (model,) = models_of([PLAIN])
    assert (model.address, model.port, model.devices, model.is_open) == ("127.0.0.1", 8000, (), False)
    assert model.config["do_sample"] is False
    assert models_of([{**PLAIN, "config": {**PLAIN["config"], "do_sample": True}}])[0].config["do_sample"] is True


@pytest.mark.parametrize(
    "changed",
    [
        {"port": 8001},
        {"address": "::1"},
        {"devices": [1]},
        {"variables": {"A": "1"}},
        {"config": {"model_name_or_path": "/b"}},
    ],
)
def test_whatever_differs_is_another_sum(changed: dict[str, Any]) -> None:
    assert models_of([{**PLAIN, **changed}])[0].digest() != models_of([PLAIN])[0].digest()
    assert models_of([dict(reversed(list(PLAIN.items())))])[0].digest() == models_of([PLAIN])[0].digest()


def test_what_e_makes_text_is_understood() -> None:
    (model,) = models_of([{**PLAIN, "port": "8001", "devices": ["1", "0"]}])
    assert (model.port, model.devices) == (8001, (0, 1))
    assert model.digest() == models_of([{**PLAIN, "port": 8001, "devices": [0, 1]}])[0].digest()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("llama3", "serve_models is not a list"),
        ([PLAIN, "more"], "not a mapping"),
        ([{**PLAIN, "prot": 1}], "unknown key"),
        ([{**PLAIN, "name": "Llama 3"}], "no usable name"),
        ([{**PLAIN, "name": "../x"}], "no usable name"),
        ([{**PLAIN, "name": "-x"}], "no usable name"),
        ([{"name": "a"}], "the model a has no config"),
        ([{"name": "a", "config": {"template": "llama3"}}], "the model a has no config"),
        ([{**PLAIN, "port": 80}], "the port of llama3"),
        ([{**PLAIN, "port": "http"}], "the port of llama3"),
        ([{**PLAIN, "port": True}], "the port of llama3"),
        ([{**PLAIN, "address": "localhost; id"}], "the address of llama3"),
        ([{**PLAIN, "devices": ["a"]}], "the devices of llama3"),
        ([{**PLAIN, "variables": ["A=1"]}], "the variables of llama3"),
        ([PLAIN, {**PLAIN, "port": 8001}], "the same name"),
        ([{**PLAIN, "devices": [0]}, {**PLAIN, "name": "b", "devices": [1]}], "the same port"),
        ([{**PLAIN, "devices": [0]}, {**PLAIN, "name": "b", "port": 8001}], "b takes all cards"),
    ],
)
def test_what_can_be_no_model_is_refused_by_its_name(given: Any, words: str) -> None:
    with pytest.raises(AscendError, match=words) as error:
        models_of(given)
    assert "serve_models" in error.value.where


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.0.1", "::1"])
def test_a_node_alone_needs_no_key(address: str) -> None:
    require_key(models_of([{**PLAIN, "address": address}]), "")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "2001:db8::7"])
def test_who_is_reached_from_elsewhere_needs_a_key(address: str) -> None:
    models = models_of([{**PLAIN, "address": address}])
    require_key(models, "secret")
    with pytest.raises(AscendError, match="anyone who reaches"):
        require_key(models, "")


SCALARS = strategies.one_of(
    strategies.none(),
    strategies.booleans(),
    strategies.integers(),
    strategies.floats(allow_nan=False),
    strategies.text(
        strategies.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"], exclude_characters="\ufeff")
    ),
)
VALUES = strategies.recursive(
    SCALARS,
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.text("abc_", min_size=1), inner, max_size=3)
    ),
)


@every(VALUES)
def test_the_config_is_read_back_as_it_was(value: Any) -> None:
    (model,) = models_of([{**PLAIN, "config": {**PLAIN["config"], "more": value}}])
    assert yaml.safe_load(model.config_text()) == model.config


def test_a_small_number_stays_a_number() -> None:
    (model,) = models_of([{**PLAIN, "config": {**PLAIN["config"], "temperature": 1e-05, "top_p": float("inf")}}])
    assert yaml.safe_load(model.config_text())["temperature"] == 1e-05
