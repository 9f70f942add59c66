# SPDX-License-Identifier: Apache-2.0
"""The action ``node_change``: who changes a node, whether that run is alive, and how long one waits for it."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import process

HOLDER = {"run": "one", "who": "ops", "control": "ctl", "machine": "m", "boot": "b", "pid": 4711, "started": 1}


def lives(action: ModuleType, pid: int) -> dict[str, Any]:
    there = {"machine": action.machine(), "boot": process.kernel_boot(), "pid": pid, "started": process.started(pid)}
    return {**HOLDER, **there}


def test_a_process_that_ended_is_dead(action: ModuleType) -> None:
    child = subprocess.Popen(["sleep", "600"])
    there = lives(action, child.pid)
    assert not action.dead(there)
    child.kill()
    child.wait()
    assert action.dead(there)


def test_its_number_may_be_anothers_by_now(action: ModuleType) -> None:
    there = lives(action, os.getpid())
    assert not action.dead(there)
    assert action.dead({**there, "started": there["started"] - 1})
    assert action.dead({**there, "boot": "another"})


def test_of_another_machine_nothing_is_known(action: ModuleType) -> None:
    there = lives(action, os.getpid())
    assert not action.dead({**there, "machine": "another", "boot": "another", "pid": 2**22 + 1})
    assert not action.dead({})
    for pid in (None, "4711", 1.5):
        assert not action.dead({**there, "pid": pid, "boot": "another"})


def test_a_process_that_is_hidden_may_be_alive(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    there = lives(action, os.getpid())
    monkeypatch.setattr(process, "started", lambda _pid: None)
    assert action.dead(there)
    monkeypatch.setattr(process, "hidden", lambda _pid: True)
    assert not action.dead(there)


def test_a_machine_has_a_name_of_its_own(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers of one image have one machine-id, clones of one machine one host name."""
    one = action.machine()
    monkeypatch.setattr(action.socket, "gethostname", lambda: "another")
    two = action.machine()
    monkeypatch.setattr(action.files, "text", lambda _path: "0123\n")
    three = action.machine()
    monkeypatch.setattr(action.files, "text", lambda _path: None)
    assert len({one, two, three, action.machine()}) == 4
    assert action.machine().strip()


def test_the_holder_is_the_playbooks_process(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ops")
    queue: multiprocessing.Queue[tuple[str, dict[str, Any]]] = multiprocessing.get_context("fork").Queue()
    workers = [
        multiprocessing.get_context("fork").Process(target=lambda: queue.put(("", action.holder()))) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    one, two = (queue.get()[1] for _ in workers)
    for worker in workers:
        worker.join()
    assert one == two, "all actions of a run are of one run"
    assert (one["pid"], one["started"], one["who"]) == (os.getpid(), process.started(os.getpid()), "ops")
    assert not action.dead(one)
    assert set(one) == set(HOLDER)
    here = action.holder()
    monkeypatch.setattr(process, "started", lambda _pid: 1)
    assert action.holder()["run"] != here["run"]


class Action:
    """An action whose module answers what the test says; ``given`` are the arguments of its calls."""

    def __init__(self, action: ModuleType, answers: list[dict[str, Any]]) -> None:
        self.given: list[dict[str, Any]] = []
        self.plugin = action.ActionModule.__new__(action.ActionModule)
        self.plugin._task = SimpleNamespace(args={"state": "begun"}, async_val=0, check_mode=False)
        self.plugin._connection = SimpleNamespace(has_pipelining=True, _shell=None)
        self.plugin._supports_check_mode = self.plugin._supports_async = True

        def execute(module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
            self.given.append(dict(module_args))
            return answers.pop(0)

        self.plugin._execute_module = execute

    def run(self, action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setattr(action.ActionBase, "run", lambda *_: {})
        result: dict[str, Any] = self.plugin.run(None, {})
        return result


BEGUN = {"changed": False, "begun": True, "processes": [], "unclear": [], "taken_by": {}}


def test_a_free_node_is_asked_once(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Action(action, [BEGUN])
    assert asked.run(action, monkeypatch) == BEGUN
    assert asked.given == [{"state": "begun", "holder": action.holder()}]


def test_the_lock_of_a_dead_run_is_asked_for_again(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {**lives(action, os.getpid()), "started": 1, "run": "old"}
    asked = Action(action, [{**BEGUN, "begun": False, "taken_by": there}, BEGUN])
    assert asked.run(action, monkeypatch) == BEGUN
    assert [given.get("dead") for given in asked.given] == [None, ["old"]]


def test_an_alive_run_is_said(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {**lives(action, os.getpid()), "action": "provision", "began": "2026-01-31T23:59:59Z"}
    asked = Action(action, [{**BEGUN, "begun": False, "taken_by": there}])
    result = asked.run(action, monkeypatch)
    assert (result["failed"], result["begun"], len(asked.given)) == (True, False, 1)
    assert "provision, started by ops, since 2026-01-31T23:59:59Z" in result["msg"]
    assert f"kill {os.getpid()}" in result["remedy"]


def test_a_failed_module_stays_one(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Action(action, [{"failed": True, "msg": "why"}])
    assert asked.run(action, monkeypatch) == {"failed": True, "msg": "why"}


def test_an_action_whose_playbook_was_killed_changes_nothing(
    action: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Action(action, [])
    monkeypatch.setattr(os, "getppid", lambda: 1)
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(pid=4711))
    with pytest.raises(AnsibleActionFail, match="has ended"):
        asked.run(action, monkeypatch)
    assert asked.given == []


class Clock:
    """Time that passes while it is slept."""

    def __init__(self, action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept: list[float] = []
        monkeypatch.setattr(action, "time", SimpleNamespace(monotonic=lambda: sum(self.slept), sleep=self.slept.append))


IN_USE = {**BEGUN, "begun": False, "processes": [{"pid": 4711}]}
UNCLEAR = {**BEGUN, "begun": False, "unclear": [3]}


@pytest.mark.parametrize("left", [IN_USE, UNCLEAR])
@pytest.mark.parametrize(("looks", "begun"), [(0, True), (2, True), (9, False)])
def test_a_node_may_be_waited_for(
    action: ModuleType, monkeypatch: pytest.MonkeyPatch, looks: int, begun: bool, left: dict[str, Any]
) -> None:
    clock = Clock(action, monkeypatch)
    asked = Action(action, [left] * looks + [BEGUN])
    asked.plugin._task.args["wait_s"] = 70
    assert asked.run(action, monkeypatch)["begun"] is begun
    assert clock.slept == ([action.LOOK_S] * looks if begun else [30.0, 30.0, 10.0])
    assert len(asked.given) == len(clock.slept) + 1


def test_a_run_that_dies_while_it_waits_begins_nothing(action: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(action, monkeypatch)
    asked = Action(action, [IN_USE, BEGUN])
    asked.plugin._task.args["wait_s"] = 70
    ended = iter([False, True])
    monkeypatch.setattr(action, "has_ended", lambda: next(ended))
    monkeypatch.setattr(action, "holder", lambda: dict(HOLDER))
    assert asked.run(action, monkeypatch)["begun"] is False
    assert len(asked.given) == 1
