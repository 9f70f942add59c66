# SPDX-License-Identifier: Apache-2.0
"""What a rollout does when the proof fails: the real roles on this machine, with modules that answer as a test says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import finding
from tests.unit.plan.planner_nodes import converged, damage, wanted
from tests.unit.plan.role_run import Run

pytestmark = pytest.mark.slow

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: ascend.fleet.ascend}
    - name: Look at the node
      ascend.fleet.ascend_facts:
      register: looked
    - name: Set the plan of a node whose link is to be switched
      ansible.builtin.set_fact:
        preflight_node:
          wanted: "{{ wanted }}"
          plan: {steps: [], refusals: [], from: old, sets_aside: false, replaces: []}
          components: [current]
          facts: "{{ looked.ansible_facts.ascend }}"
    - ansible.builtin.include_role:
        name: ascend.fleet.rollout
        tasks_from: apply
"""
GOOD: dict[str, Any] = {"changed": False, "cards": [{"ok": True}], "account": {}, "llamafactory": "0.9.1"}
BAD = {"failed": True, "msg": "the environment fails at: import torch, torch_npu"}
BEGUN = {"changed": False, "begun": True, "processes": [], "unclear": []}


def whole() -> dict[str, Any]:
    """A converged node, with what the plan of a rollout asks of its environment."""
    found = converged()
    (environment,) = found["environments"]["all"].values()
    environment.update(python="3.10.13", path="/x", previous=None)
    return {**found, "npu": {**found["npu"], "processes": [], "process_count": 0}}


def altered() -> dict[str, Any]:
    """What the deep form sees: an altered file of torch_npu."""
    found = whole()
    (environment,) = found["environments"]["all"].values()
    environment.update(damage("torch_npu/__init__.py is altered"))
    return found


class Rollout(Run):
    """Runs roles/rollout/tasks/apply.yml on this machine."""

    def __init__(
        self, folder: Path, deep: Any, proofs: list[dict[str, Any]], first: Any = None, begun: Any = BEGUN
    ) -> None:
        looks = deep if isinstance(deep, list) else [deep]
        facts = [
            {"changed": False, "ansible_facts": {"ascend": found}} for found in (first or whole(), *looks, whole())
        ]
        (folder / "lock.txt").write_text("torch==2.1.0\n")
        environment = {**wanted()["environment"], "path": "/x", "versions": {}, "wheelhouse": "w"}
        environment["lock_file"] = str(folder / "lock.txt")
        python = {**wanted()["python"], "program": "/python3", "bin": "/", "path": "/python", "replaces": ""}
        uv = {"url": "u", "sha256": "s", "size_bytes": 1}
        of_roles = {"environment": environment, "python": python, "uv": uv, "deep": False, "depot_proxy": ""}
        answers = {"ascend_facts": facts, "npu_check": proofs, "node_change": [begun]}
        super().__init__(folder, PLAY, {"wanted": {**wanted(), **of_roles}}, answers)

    def names(self) -> list[str]:
        """The modules after the first look, in order; of python_env, whether it made something current."""
        told = [
            name if name != "python_env" else "current" if "current" in given else "build" for name, given in self.calls
        ]
        return told[1:]


def test_a_proof_that_succeeds_looks_no_deeper(tmp_path: Path) -> None:
    run = Rollout(tmp_path, whole(), [GOOD])
    assert run.code == 0, run.output
    assert run.names() == ["npu_check", "cann_package", "current", "ascend_facts"]
    assert [given["deep"] for given in run.given("ascend_facts")[1:]] == [False]


def test_what_only_the_deep_form_sees_is_repaired_and_proven_in_the_same_run(tmp_path: Path) -> None:
    run = Rollout(tmp_path, altered(), [BAD, GOOD])
    assert run.code == 0, run.output
    repaired = ["npu_check", "ascend_facts", "node_change", "build"]
    assert run.names() == [*repaired, "npu_check", "cann_package", "current", "ascend_facts"]
    assert run.given("ascend_facts")[1]["deep"] is True
    assert run.given("python_env")[0]["deep"] is True
    # The environment that is repaired in place is current: nothing leads to it meanwhile.
    assert run.given("node_change")[0]["set_aside"] is True
    assert "torch_npu/__init__.py is altered" in run.output


def test_what_cann_changed_itself_is_held_to_its_manifest_when_the_proof_fails(tmp_path: Path) -> None:
    """Else nothing would cure a library that somebody replaced twice."""
    changes = whole()
    changes["findings"] = [finding("cann", "cann-changes-itself", "p", "w", "f", "/x", "r")]
    run = Rollout(tmp_path, [changes, altered()], [BAD, GOOD])
    assert run.code == 0, run.output
    doubted = ["npu_check", "ascend_facts", "cann_package", "ascend_facts", "node_change", "build", "npu_check"]
    assert run.names() == [*doubted, "cann_package", "current", "ascend_facts"]
    assert [given["state"] for given in run.given("cann_package")] == ["doubted", "proven"]


def test_a_second_failure_is_the_last(tmp_path: Path) -> None:
    run = Rollout(tmp_path, altered(), [BAD, BAD])
    assert run.code == 2
    assert run.names() == ["npu_check", "ascend_facts", "node_change", "build", "npu_check"]


def test_where_every_file_is_right_the_first_reason_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    run = Rollout(tmp_path, whole(), [BAD])
    assert run.code == 2
    assert run.names() == ["npu_check", "ascend_facts"]
    said = " ".join(run.output.split())
    assert "import torch, torch_npu. Every file of CANN, the Python and the environment was read" in said


def test_a_job_that_began_meanwhile_is_not_disturbed(tmp_path: Path) -> None:
    job = {"pid": 7, "name": "python", "user": "ml", "command": "train", "container": None, "chips": [[0, 0, 1]]}
    busy = {"changed": False, "begun": False, "processes": [job], "unclear": []}
    run = Rollout(tmp_path, altered(), [BAD, GOOD], begun=busy)
    assert run.code == 2
    assert "build" not in run.names()
    assert "a job has started on the cards" in " ".join(run.output.split())


def test_no_card_left_is_no_proof(tmp_path: Path) -> None:
    sick = whole()
    for device in sick["npu"]["devices"]:
        device["health"] = "Warning"
    run = Rollout(tmp_path, whole(), [{**GOOD, "cards": []}], first=sick)
    assert run.code == 2
    assert run.given("npu_check")[0]["devices"] == []
    assert "current" not in run.names()
    assert "left out: card 7, its health is Warning" in " ".join(run.output.split())
