# SPDX-License-Identifier: Apache-2.0
"""The module: what it returns, when it fails, and that it changes nothing unless it holds the node's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock as change_lock
from ansible_collections.ascend.fleet.plugins.modules import ascend_remove
from tests.unit.remove.removal_machine import DIGEST, NEW, OLD, STATE, Machine, names


class EndError(Exception):
    def __init__(self, failed: bool, result: dict[str, Any]) -> None:
        super().__init__(result.get("msg", ""))
        self.failed = failed
        self.result = result


class FakeModule:
    """What the module needs of Ansible: its parameters, and ways to end."""

    given: dict[str, Any]
    check_mode = False

    def __init__(self, argument_spec: dict[str, dict[str, Any]], supports_check_mode: bool) -> None:
        assert supports_check_mode
        assert set(self.given) <= set(argument_spec)
        self.params = {name: self.given.get(name, option["default"]) for name, option in argument_spec.items()}

    def get_bin_path(self, name: str) -> str:
        raise AssertionError(f"nobody looks for {name}")

    def fail_json(self, **result: Any) -> None:
        raise EndError(True, result)

    def exit_json(self, **result: Any) -> None:
        raise EndError(False, result)


Call = Callable[..., EndError]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def held(machine: Machine) -> list[str]:
    """For what the lock was held."""
    return []


@pytest.fixture
def call(machine: Machine, held: list[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    @contextmanager
    def lock(state_dir: str, what: str) -> Iterator[Callable[..., Any]]:
        (machine.root / state_dir[1:]).mkdir(parents=True, exist_ok=True)
        held.append(what)
        yield machine.run
        held.append("free")

    def called(check_mode: bool = False, **options: Any) -> EndError:
        module = type("Module", (FakeModule,), {"given": options, "check_mode": check_mode})
        monkeypatch.setattr(ascend_remove, "AnsibleModule", module)
        monkeypatch.setattr(ascend_remove, "Node", lambda *_arguments: machine.node)
        monkeypatch.setattr(change_lock, "taken", lock)
        with pytest.raises(EndError) as ended:
            ascend_remove.main()
        return ended.value

    return called


def test_check_mode_tells_and_changes_nothing(machine: Machine, call: Call, held: list[str]) -> None:
    before = machine.tree()
    said = call(check_mode=True, keep=0)
    assert not said.failed
    assert said.result["changed"]
    assert ("environment", f"{OLD}-{DIGEST[OLD]}") in names(said.result["remove"])
    assert said.result["freed_mb"] > 0
    assert said.result["lines"][-1].startswith("6 to remove")
    refused = call(check_mode=True, release=NEW)
    assert not refused.failed
    assert [each["check"] for each in refused.result["refusals"]] == ["current"]
    assert machine.tree() == before
    assert held == []


def test_it_does_what_it_told_with_the_lock_held(machine: Machine, call: Call, held: list[str]) -> None:
    told = call(check_mode=True, release=OLD).result
    done = call(release=OLD).result
    assert done == told
    assert held == [f"removing release {OLD}", "free"]
    again = call(release=OLD).result
    assert (again["changed"], again["remove"], again["freed_mb"]) == (False, [], 0)
    assert len(held) == 2, "nothing to do takes no lock"
    assert (machine.root / STATE).is_dir()


def test_a_refusal_fails_with_its_words(call: Call, held: list[str]) -> None:
    said = call(release=NEW)
    assert said.failed
    assert "is not removed: it is current" in said.result["msg"]
    assert "rollback.yml" in said.result["remedy"]
    assert said.result["refusals"]
    assert held == []


def test_two_things_at_once(call: Call) -> None:
    assert "two kinds of removal" in call(release=OLD, everything=True).result["msg"]
    assert "not a number" in call(keep=-1).result["msg"]
