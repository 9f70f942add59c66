# SPDX-License-Identifier: Apache-2.0
"""The action ``node_change`` with a scheduler: real programs are run, and a folder is the node, by the module."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import drained
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import DRAINED
from ansible_collections.ascend.fleet.plugins.modules import node_change
from ansible_collections.ascend.fleet.plugins.plugin_utils import scheduler

PROCESS = {"pid": 7, "name": "python", "user": "ml", "command": "train", "container": None, "chips": [[0, 0, 1]]}
DEAD = {"run": "dead", "who": "ops", "control": "c", "machine": "m", "boot": "b", "pid": 1, "started": 1}


class Node:
    """A node that is drained as the module writes it down, and whose cards are as a test says, look by look."""

    def __init__(self, action: ModuleType, folder: Path, *busy: bool, taken: bool = False) -> None:
        self.action, self.folder, self.busy, self.taken = action, folder, list(busy), taken
        self.state = str(folder / "state")
        self.words = folder / "words"
        self.script("drain")
        self.script("resume")

    def script(self, name: str, then: str = "") -> None:
        program = self.folder / name
        written = f"[ -e {self.state}/{DRAINED} ] && echo written >>{self.words}"
        program.write_text(f'#!/bin/sh\n{written}\necho "{name} $*" >>{self.words}\n{then}\n')
        program.chmod(0o755)

    def drained(self) -> str:
        found = drained.read(self.state)
        return found["run"] if found else ""

    def dead_run(self) -> None:
        drained.claim(self.state, DEAD, "provision")
        path = Path(self.state, DRAINED)
        path.write_text(path.read_text().replace('"node_boot": "', '"node_boot": "another '))

    def asked(self) -> list[str]:
        """What was asked of the node and of the scheduler, in order."""
        found = self.words.read_text().splitlines() if self.words.exists() else []
        self.words.unlink(missing_ok=True)
        return found

    def module(self, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        del task_vars
        assert not {"drain", "resume"} & set(module_args), "a node is not told what the control node runs"
        options = {"action": "provision", "dead": [], "state_dir": self.state, **module_args}
        state = options["state"]
        with self.words.open("a") as words:
            words.write(state + "\n")
        if state in ("draining", "resuming"):
            return node_change.claim(options, drains=state == "draining")
        if state == "resumed":
            return node_change.resumed(options)
        mark = {"drained": drained.read(self.state) or {}}
        if state == "ended":
            return mark
        busy = self.busy.pop(0) if self.busy else False
        taken = {"action": "remove", "run": "x", "machine": "y"} if self.taken else {}
        begun = not busy and not taken
        return {"begun": begun, "processes": [PROCESS] if busy else [], "unclear": [], "taken_by": taken, **mark}

    def change(self, state: str, drain: Any = None, resume: Any = None, **more: Any) -> dict[str, Any]:
        given = {"drain": f"{self.folder}/drain npu-1" if drain is None else drain}
        given["resume"] = [str(self.folder / "resume"), "npu-1", "a b; true"] if resume is None else resume
        check = more.pop("check", False)
        plugin = self.action.ActionModule.__new__(self.action.ActionModule)
        plugin._task = SimpleNamespace(
            args={"state": state, "state_dir": self.state, **given, **more}, async_val=0, check_mode=check
        )
        plugin._connection = SimpleNamespace(has_pipelining=True, _shell=None)
        plugin._supports_check_mode = plugin._supports_async = True
        plugin._execute_module = self.module
        result: dict[str, Any] = plugin.run(None, {"inventory_hostname": "npu-1"})
        return result


@pytest.fixture(autouse=True)
def quiet(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action.ActionBase, "run", lambda *_: {})
    monkeypatch.setattr(action, "LOOK_S", 0.01)


@pytest.fixture
def node(action: ModuleType, tmp_path: Path) -> Node:
    return Node(action, tmp_path)


DRAINED_FIRST = ["draining", "written", "drain npu-1"]
RESUMED = ["written", "resume npu-1 a b; true", "resumed"]


def test_the_order_is_drain_change_resume(node: Node) -> None:
    assert node.change("begun")["begun"]
    assert node.asked() == [*DRAINED_FIRST, "begun"]
    # A look deeper begins once more, within the change.
    assert node.change("begun", drain="")["begun"]
    assert node.asked() == ["begun"]
    assert node.change("ended", drain="")["resumed"] is True
    assert node.asked() == ["ended", *RESUMED]
    assert node.drained() == ""


def test_without_commands_nothing_is_added(node: Node) -> None:
    node.change("begun", drain="", resume="")
    node.change("ended", drain="", resume="")
    assert node.asked() == ["begun", "ended"]


def test_a_busy_node_is_resumed(node: Node) -> None:
    node.busy = [True]
    result = node.change("begun")
    assert (result["begun"], result["resumed"], result["processes"]) == (False, True, [PROCESS])
    assert node.asked() == [*DRAINED_FIRST, "begun", *RESUMED]


def test_one_that_is_waited_for_stays_drained_meanwhile(node: Node) -> None:
    node.busy = [True, True]
    assert node.change("begun", wait_s=60)["begun"]
    assert node.asked() == [*DRAINED_FIRST, "begun", "begun", "begun"]
    assert node.drained()


@pytest.mark.parametrize("then", ["echo Invalid node name; exit 3", "exit 3"])
def test_a_drain_command_that_fails(node: Node, then: str) -> None:
    node.script("drain", then)
    result = node.change("begun")
    assert result["failed"] is True
    assert "rollout_drain_command failed for npu-1: the node was not changed" in result["problem"]
    assert result["found"] == "exit code 3: " + ("Invalid node name" if "echo" in then else "no output")
    assert f"{node.folder}/drain npu-1 (control node " in result["where"]
    # It was not drained, so that it must not be resumed: perhaps it was drained for somebody else.
    assert node.asked() == [*DRAINED_FIRST, "resumed"]
    assert node.drained() == ""


def test_one_that_is_no_program(node: Node) -> None:
    result = node.change("begun", drain="/nowhere/scontrol")
    assert "exit code 127" in result["found"]
    assert node.drained() == ""


def test_a_drain_command_that_does_not_end_may_have_drained(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "LIMIT_S", 0.3)
    node.script("drain", "sleep 60")
    assert "not finished within 0.3 s" in node.change("begun")["found"]
    assert node.drained()
    node.asked()
    assert node.change("ended", drain="")["resumed"]
    assert node.asked() == ["ended", *RESUMED]


def test_a_resume_command_that_fails_is_tried_again(node: Node) -> None:
    node.change("begun")
    node.script("resume", "echo slurmctld is down; exit 1")
    result = node.change("ended", drain="")
    assert result["failed"] is True
    assert result["found"] == "exit code 1: slurmctld is down"
    assert "gets no jobs" in result["problem"]
    assert node.drained()
    node.script("resume")
    node.asked()
    assert node.change("resumed", drain="") == {"changed": True, "resumed": True}
    assert node.asked() == ["resuming", *RESUMED]
    assert node.change("resumed", drain="") == {"changed": False, "resumed": False}


@pytest.mark.parametrize("state", ["begun", "ended", "resumed"])
def test_what_a_dead_run_drained_is_resumed(node: Node, state: str) -> None:
    """Also by one that drains nothing itself: staging, removing."""
    node.dead_run()
    assert node.change(state, drain="")["resumed"] is True
    first = [] if state == "resumed" else [state]
    assert node.asked() == [*first, "resuming", *RESUMED]
    assert node.drained() == ""


def test_a_run_that_drains_takes_it_over_and_resumes_at_its_end(node: Node) -> None:
    node.dead_run()
    assert node.change("begun")["begun"]
    assert node.asked() == [*DRAINED_FIRST[:1], "written", "drain npu-1", "begun"]
    node.script("drain", "exit 1")
    node.dead_run()
    assert node.change("begun")["failed"]
    assert node.drained(), "an earlier run did drain it"


def test_what_a_living_run_drained_is_its_own(node: Node) -> None:
    drained.claim(node.state, DEAD, "provision")
    assert node.change("resumed", drain="") == {"changed": False, "resumed": False}
    result = node.change("begun")
    assert result["failed"] is True
    assert "another run is changing this node" in result["msg"]
    assert node.change("ended", drain="")["resumed"] is False
    assert node.asked() == ["resuming", "draining", "ended", "resuming"]
    assert node.drained() == "dead"


def test_a_node_that_another_run_took_meanwhile_is_resumed_by_the_end(node: Node) -> None:
    node.taken = True
    assert node.change("begun")["failed"]
    node.taken = False
    assert node.change("ended", drain="")["resumed"]


def test_a_command_that_nobody_has_any_more(node: Node) -> None:
    node.dead_run()
    result = node.change("resumed", drain="", resume="")
    assert result["failed"] is True
    assert f"rm {node.state}/{DRAINED}" in result["remedy"]
    assert node.drained()


def test_one_command_without_the_other_is_refused(node: Node) -> None:
    result = node.change("begun", resume="")
    assert "rollout_resume_command is not, so the node would never get jobs again" in result["msg"]
    assert node.asked() == []


@pytest.mark.parametrize("state", ["begun", "ended", "resumed"])
def test_a_check_runs_neither(node: Node, state: str) -> None:
    node.dead_run()
    node.change(state, check=True)
    assert node.asked() == ([] if state == "resumed" else [state])


@pytest.mark.parametrize(
    ("given", "argv"),
    [
        ("", []),
        (None, []),
        ([], []),
        ("scontrol update NodeName=a 'Reason=b c'", ["scontrol", "update", "NodeName=a", "Reason=b c"]),
        (["scontrol", 1, "$(reboot)"], ["scontrol", "1", "$(reboot)"]),
        ("a; b | c", ["a;", "b", "|", "c"]),
    ],
)
def test_a_command_is_a_list_or_text(given: Any, argv: list[str]) -> None:
    assert scheduler.argv_of(scheduler.DRAIN, given) == argv


@pytest.mark.parametrize("given", ["scontrol 'x", {"a": 1}, [["a"]], 7, [""], True])
def test_what_is_no_command_is_refused(given: Any) -> None:
    with pytest.raises(AscendError, match="rollout_drain_command is not a command"):
        scheduler.argv_of(scheduler.DRAIN, given)


def test_text_is_split_as_it_is_joined() -> None:
    assert scheduler.argv_of(scheduler.DRAIN, shlex.join(["a b", "c"])) == ["a b", "c"]
