# SPDX-License-Identifier: Apache-2.0
"""Values of the inventory against the argument specs, with -e (text) and from files."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.inventory.values import specs, wrong

SPECS = specs()
RIGHT: list[tuple[str, Any]] = [
    ("ascend_release", "8.0.RC1"),
    ("ascend_deep", True),
    ("ascend_deep", "yes"),
    ("ascend_deep", "0"),
    ("ascend_card_count", 8),
    ("ascend_card_count", "8"),
    ("ascend_cards_out", [4, 6]),
    ("ascend_cards_out", "[4, 6]"),
    ("ascend_cards_out", "4,6"),
    ("ascend_cards_out", 4),
    ("ascend_users", "alice, bob"),
    ("ascend_users", []),
    ("ascend_busy_policy", "wait"),
    ("ascend_busy_policy", "{{ 'wa' ~ 'it' }}"),
    ("ascend_card_count", "{% if big %}16{% else %}8{% endif %}"),
    ("ascend_locks", {"aarch64": "/a"}),
    ("ascend_locks", None),
    ("rollout_batches", [1, "10%", "100%"]),
    ("rollout_drain_command", ["scontrol", "update"]),
    ("cann_toolkit", {"version": "8.0", "layout": "cann", "size_bytes": "9", "sha256": None}),
    ("drift_check", 20240501),
]
WRONG: list[tuple[str, Any, str]] = [
    ("ascend_release", 8.0, "expected text, found 8.0 without quotes"),
    ("ascend_release", ["8.0"], "expected text, found a list"),
    ("ascend_depot_proxy", False, "expected text, found False"),
    ("ascend_depot_dir", {"a": "secret"}, "expected a path, found a mapping"),
    ("ascend_deep", "ture", "expected true or false, found 'ture'"),
    ("ascend_deep", 2, "expected true or false, found 2"),
    ("ascend_card_count", "eight", "expected a whole number, found 'eight'"),
    ("ascend_card_count", 8.5, "expected a whole number, found 8.5 without quotes"),
    ("ascend_card_count", True, "expected a whole number, found True"),
    ("ascend_cards_out", ["four"], "expected a list of a whole number, found 'four'"),
    ("ascend_cards_out", "[4, x]", "expected a list of a whole number, found 'x'"),
    ("ascend_users", {"alice": 1}, "expected a list, found a mapping"),
    ("ascend_users", [["alice"]], "expected a list of text, found a list"),
    ("ascend_locks", "aarch64", "expected a mapping, found 'aarch64'"),
    ("ascend_busy_policy", "wiat", "expected skip or wait or ignore, found 'wiat'; did you mean wait?"),
    ("ascend_busy_policy", "never", "expected skip or wait or ignore, found 'never'"),
    ("depot_transport", "ssh ", "expected ssh or path or http or swarm, found 'ssh '; did you mean ssh?"),
    ("cann_toolkit", {"verson": "8.0"}, "no such key: verson; did you mean version?"),
    ("cann_toolkit", {"layout": "flat"}, "layout: expected ascend-toolkit or cann, found 'flat'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), RIGHT, ids=str)
def test_a_value_that_can_be(name: str, value: Any) -> None:
    assert wrong(value, SPECS[name]) is None


@pytest.mark.parametrize(("name", "value", "words"), WRONG, ids=str)
def test_a_value_that_cannot_be(name: str, value: Any, words: str) -> None:
    assert wrong(value, SPECS[name]) == words


def test_every_default_can_be() -> None:
    assert [name for name, option in SPECS.items() if wrong(option.get("default"), option)] == []


@pytest.mark.parametrize(("name", "value", "words"), WRONG, ids=str)
def test_ansible_refuses_it_too(name: str, value: Any, words: str) -> None:
    """But for text, of which Ansible makes what it can, and for a flag, which it takes for 1."""
    option = {key: part for key, part in SPECS[name].items() if key not in ("default", "description")}
    refused = ArgumentSpecValidator({name: option}).validate({name: value}).error_messages
    assert refused or value is True or option.get("type", "str") in ("str", "path") or option.get("elements") == "str"


def test_what_is_in_a_vault_is_left_to_the_node() -> None:
    class Encrypted:
        pass

    assert wrong(Encrypted(), SPECS["ascend_release"]) is None


def test_a_secret_of_the_wrong_kind_is_not_shown() -> None:
    """An unquoted password may be a number."""
    words = wrong(123456.5, {"type": "str", "no_log": True})
    assert words == "expected text, found float, which is not shown"
    assert wrong(123456.5, {"type": "str"}) == "expected text, found 123456.5 without quotes"
