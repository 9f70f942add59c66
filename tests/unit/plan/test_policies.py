# SPDX-License-Identifier: Apache-2.0
"""What the inventory says and nobody can do is refused by its variable: what is wanted, what was found, what to do."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ascend.fleet.plugins.filter import ascend as filters
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan import policies

FILTERS = filters.FilterModule().filters()


@pytest.mark.parametrize(
    ("given", "accounts"),
    [
        ([], []),
        ("", []),
        ("alice", ["alice"]),
        ("alice,bob", ["alice", "bob"]),
        ("[alice, bob]", ["alice", "bob"]),
        (
            ["alice", "alice", "CORP\\\\bob", "carol@corp.test", "svc$"],
            ["alice", "CORP\\\\bob", "carol@corp.test", "svc$"],
        ),
        (["root"], ["root"]),
    ],
)
def test_accounts(given: Any, accounts: list[str]) -> None:
    assert policies.users(given) == accounts


@pytest.mark.parametrize(
    "given", [[1000], 1000, "1000", ["name;rm"], ["-x"], [["alice"]], [{"name": "a"}], True, ["a b"], "[a,", "a,"]
)
def test_what_can_be_no_account_is_told(given: Any) -> None:
    with pytest.raises(AscendError) as told:
        policies.users(given)
    assert told.value.problem == "ascend_users has an entry that is not an account name"
    assert all((told.value.wanted, told.value.found, told.value.where, told.value.remedy))


@pytest.mark.parametrize(
    ("given", "architectures"),
    [
        (["x86_64"], ["x86_64"]),
        ("[x86_64]", ["x86_64"]),
        ("['x86_64','aarch64']", ["x86_64", "aarch64"]),
        ('["x86_64", "aarch64"]', ["x86_64", "aarch64"]),
        ("aarch64,x86_64,aarch64", ["aarch64", "x86_64"]),
        ("", []),
        ([], []),
        (None, []),
    ],
)
def test_architectures(given: Any, architectures: list[str]) -> None:
    assert policies.architectures(given) == architectures


@pytest.mark.parametrize("given", ["[x86_64,", "arm64", "x", ["x86"], [1], 1, True, {"x86_64": 1}, [["x86_64"]]])
def test_what_is_no_list_of_architectures_is_told(given: Any) -> None:
    with pytest.raises(AscendError) as told:
        policies.architectures(given)
    assert told.value.problem == "depot_architectures is not a list of known architectures"
    assert told.value.found == repr(given)
    assert """-e '{"depot_architectures": ["x86_64"]}'""" in told.value.remedy


@pytest.mark.parametrize(
    ("given", "batches"),
    [
        ([1, "10%", "100%"], [1, "10%", "100%"]),
        (5, [5]),
        ("30%", ["30%"]),
        ("1,10%,100%", [1, "10%", "100%"]),
        ('[1, "10%"]', [1, "10%"]),
        (["2"], [2]),
    ],
)
def test_batches(given: Any, batches: list[int | str]) -> None:
    assert policies.batches(given) == batches


@pytest.mark.parametrize("given", [[], "", 0, -1, ["0%"], ["101%"], ["ten"], [[1]], [1.5], None, True, {"a": 1}, "[1,"])
def test_what_can_be_no_batches_is_told(given: Any) -> None:
    with pytest.raises(AscendError, match="rollout_batches is not a list of batch sizes"):
        policies.batches(given)


@pytest.mark.parametrize(("given", "part"), [(0, 0), ("30%", 30), ("30 %", 30), (12.5, 12.5), ("100", 100)])
def test_parts_in_percent(given: Any, part: float) -> None:
    assert policies.percent("x", given) == part


@pytest.mark.parametrize("given", ["a third", -1, 101, None, True, [1], "nan"])
def test_what_is_no_part_is_told(given: Any) -> None:
    with pytest.raises(AscendError, match="rollout_max_fail_percentage is not a percentage"):
        policies.percent("rollout_max_fail_percentage", given)


@pytest.mark.parametrize(
    ("name", "arguments", "variable"),
    [
        ("ascend_cards_out", ([-4],), "ascend_cards_out"),
        ("ascend_rollout_stops", ([], [], "x"), "rollout_max_fail_percentage"),
    ],
)
def test_playbooks_are_told_in_the_same_form(name: str, arguments: tuple[Any, ...], variable: str) -> None:
    with pytest.raises(AnsibleFilterError) as told:
        FILTERS[name](*arguments)
    assert variable in str(told.value)
    assert "; wanted: " in str(told.value)
    assert "; next: " in str(told.value)
