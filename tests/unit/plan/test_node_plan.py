# SPDX-License-Identifier: Apache-2.0
"""The action ``node_plan``: what the inventory cannot mean, and what no node of ours tells, is said in our own form."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.action import node_plan
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.facts import SCHEMA
from tests.unit.plan.planner_nodes import bare, converged
from tests.unit.plan.test_wanted import settings

PURPOSES = ("provision", "rollback", "drift")
VARIABLES = {"inventory_hostname": "npu-001", "ansible_facts": {"discovered_interpreter_python": "/usr/bin/python3"}}


class Asked:
    """One call of the action for a node that answers this; ``questions`` are what the node was asked."""

    def __init__(
        self, answer: Any, purpose: str, wishes: dict[str, Any], monkeypatch: pytest.MonkeyPatch, deep: Any = "no"
    ) -> None:
        self.questions: list[dict[str, Any]] = []
        monkeypatch.setattr(ActionBase, "run", lambda *_: {})
        self.plugin = node_plan.ActionModule.__new__(node_plan.ActionModule)
        self.variables = {**VARIABLES, "ascend_settings": {**wishes, "users": []}}
        self.plugin._templar = SimpleNamespace(template=lambda value: value)
        arguments = {
            "purpose": purpose,
            "components": [],
            "rollback_to": "",
            **({"deep": deep} if purpose == "drift" else {}),
        }
        self.plugin._task = SimpleNamespace(args={**arguments, "busy_policy": "skip"}, timeout=60)

        def execute(_name: str, module_args: dict[str, Any], task_vars: Any) -> Any:
            self.questions.append(module_args)
            return copy.deepcopy(answer)

        self.plugin._execute_module = execute

    def run(self) -> dict[str, Any]:
        result: dict[str, Any] = self.plugin.run(None, self.variables)
        return result

    def told(self, purpose: str, name: str) -> str:
        """Return what is said: why the action fails, or the one finding of a check for drift."""
        if purpose == "drift":
            node = self.run()["node"]
            (finding,) = node["findings"]
            assert (node["state"], finding["component"], finding["name"]) == ("unchecked", "access", name)
            keys = (("problem", ""), ("wanted", "; wanted: "), ("found", "; found: "), ("where", "; where: "))
            return "".join(title + str(finding[key]) for key, title in (*keys, ("remedy", "; next: ")))
        with pytest.raises(AnsibleActionFail) as raised:
            self.run()
        return str(raised.value)


def facts(**changes: Any) -> dict[str, Any]:
    return {"ansible_facts": {"ascend": {**converged(), "schema": SCHEMA, **changes}}}


def whole(words: str) -> bool:
    """Whether it is said in our form: what was wanted, found, where, and the next command."""
    return all(f"; {title}: " in words for title in ("wanted", "found", "where", "next"))


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize(
    ("name", "value", "variable"),
    [
        ("deep", "maybe", "ascend_deep"),
        ("deep", None, "ascend_deep"),
        ("deep", [True], "ascend_deep"),
        ("accept_eula", "I do", "cann_accept_eula"),
        ("allow_downgrade", {}, "cann_allow_downgrade"),
        ("release", 8.2, "ascend_release"),
        ("depot_url", None, "ascend_depot_url"),
        ("depot_dir", ["/srv"], "ascend_depot_dir"),
        ("depot_dir", "", "ascend_depot_dir"),
        ("locks", "/path/of/a/lock.txt", "ascend_locks"),
        ("locks", None, "ascend_locks"),
        ("llamafactory_source", "v0.9.1", "llamafactory_source"),
    ],
)
def test_a_value_that_cannot_be_is_told_before_the_node_is_asked(
    purpose: str, name: str, value: Any, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(facts(), purpose, settings(tmp_path, **{name: value}), monkeypatch)
    words = asked.told(purpose, "inventory")
    assert words.startswith(f"{variable} is ")
    assert whole(words)
    assert f"found: {value!r}; " in words
    assert asked.questions == []


@pytest.mark.parametrize(("deep", "meant"), [("yes", True), (True, True), ("false", False)])
def test_the_check_has_a_deep_form_of_its_own(
    deep: Any, meant: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(facts(), "drift", settings(tmp_path), monkeypatch, deep)
    asked.run()
    assert asked.questions[0]["deep"] is meant


@pytest.mark.parametrize("deep", ["maybe", None, [True]])
def test_a_nonsense_drift_deep_is_told(deep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(facts(), "drift", settings(tmp_path), monkeypatch, deep)
    assert asked.told("drift", "inventory").startswith("drift_deep is neither true nor false")
    assert asked.questions == []


@pytest.mark.parametrize(("given", "meant"), [("yes", True), ("1", True), (False, False), ("off", False)])
def test_what_is_given_as_text_is_understood(
    given: Any, meant: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes = settings(tmp_path, deep=given, accept_eula=given, allow_downgrade=given)
    asked = Asked(facts(), "provision", wishes, monkeypatch)
    wanted = asked.run()["wanted"]
    assert (wanted["deep"], wanted["accept_eula"], wanted["allow_downgrade"]) == (meant, meant, meant)
    assert [question["deep"] for question in asked.questions] == [meant]


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda told: told.update(schema=SCHEMA - 1), f"facts of schema {SCHEMA - 1}"),
        (lambda told: told.pop("npu"), "npu"),
        (lambda told: told["environments"].pop("all"), "all"),
        (lambda told: told.update(environments=["8.0.RC1"]), "Environments"),
    ],
)
def test_facts_of_another_version_are_told_as_such(
    purpose: str, change: Any, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = facts()
    change(answer["ansible_facts"]["ascend"])
    words = Asked(answer, purpose, settings(tmp_path), monkeypatch).told(purpose, "version")
    assert words.startswith("the node's facts come from another version of ascend-fleet; wanted: ")
    assert found in words.partition("; found: ")[2].partition("; where: ")[0]
    assert whole(words)


@pytest.mark.parametrize("purpose", ["provision", "rollback"])
def test_a_module_that_tells_no_facts(purpose: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = Asked({"changed": False}, purpose, settings(tmp_path), monkeypatch).told(purpose, "")
    assert "found: no facts; " in words


@pytest.mark.parametrize("purpose", ["provision", "rollback"])
def test_a_module_that_fails_is_shown_as_it_is(purpose: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"failed": True, "msg": "the node's own words"}
    assert Asked(failed, purpose, settings(tmp_path), monkeypatch).run() == {"changed": False, **failed}


def test_each_purpose_gives_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {purpose: Asked(facts(), purpose, settings(tmp_path), monkeypatch).run() for purpose in PURPOSES}
    assert set(told["provision"]) >= {"plan", "wanted", "components"}
    assert set(told["rollback"]) >= {"plan", "release"}
    assert set(told["drift"]) == {"changed", "node"}
    json.dumps(told)
    new = Asked({"ansible_facts": {"ascend": bare()}}, "drift", settings(tmp_path), monkeypatch).run()["node"]
    assert (new["state"], new["depot_dir"]) == ("drifted", str(tmp_path))
    bare_node = {"ansible_facts": {"ascend": {**bare(), "schema": SCHEMA}}}
    to_be_filled = settings(tmp_path, check_mode=True)
    to_install = Asked(bare_node, "provision", to_be_filled, monkeypatch).run()
    assert set(to_install["facts"]) == {"npu"}, "every worker pays for what is kept"


def test_a_node_that_must_not_be_changed_fails_with_what_is_left_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes = settings(tmp_path, accept_eula=False)
    node = {**bare(), "schema": SCHEMA}
    node["system"] = {**node["system"], "time_synchronised": False}
    stopped = Asked({"ansible_facts": {"ascend": node}}, "provision", wishes, monkeypatch).run()
    assert stopped["failed"]
    assert stopped["plan"]["refusals"]
    (warning, *_) = stopped["plan"]["warnings"]
    assert f"warning: {warning['problem']}" in stopped["msg"]
    assert stopped["msg"].endswith(f"steps that remain once this is fixed: {', '.join(stopped['components'])}")
    assert "facts" not in stopped


def test_what_a_change_leaves_to_do_is_told_without_what_every_worker_would_pay_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(facts(), "provision", settings(tmp_path), monkeypatch)
    begun = asked.run()
    told = {}
    for keeps in ("no", "yes"):
        asked.plugin._task.args.update(begun=begun, facts=keeps)
        told[keeps] = asked.run()
    assert set(told["no"]) == {"changed", "plan"}
    assert told["no"]["plan"] == told["yes"]["plan"]
    assert set(told["yes"]) == {"changed", "plan", "wanted", "components", "facts"}
