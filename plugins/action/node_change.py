# SPDX-License-Identifier: Apache-2.0
"""Action ``node_change``: the module of that name, with who runs this playbook and whether a lock's holder is alive.

Arguments: those of the module except ``holder`` and ``dead``. Fails if another run changes the node. The commands of a
scheduler, ``drain`` and ``resume``, are run here, between calls of the module: a node is drained before its cards are
looked at, and resumed when its change has ended, or does not begin.
"""

from __future__ import annotations

import getpass
import os
import posixpath
import socket
import time
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import process, run_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import DRAINED, SPEC
from ansible_collections.ascend.fleet.plugins.plugin_utils import scheduler
from ansible_collections.ascend.fleet.plugins.plugin_utils.playbook import has_ended, playbook

LOOK_S = 30.0  # between two looks at cards that are used

Execute = Callable[..., dict[str, Any]]  # ActionBase._execute_module


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        if has_ended():
            raise AnsibleActionFail("the run of this playbook has ended; the node is left as it is")
        try:
            drain, resume = (
                scheduler.argv_of(variable, self._task.args.get(name))
                for variable, name in ((scheduler.DRAIN, "drain"), (scheduler.RESUME, "resume"))
            )
            change = Change(self._execute_module, self._task, task_vars, drain, resume)
            result.update(change.answer(self._task.args["state"]))
            if result.get("taken_by"):
                raise run_lock.already_taken(result["taken_by"])
        except AscendError as error:
            result.update(failed=True, msg=str(error), **error.as_dict())
        return result


class Change:
    """One node's change, with the commands of its scheduler."""

    def __init__(self, execute: Execute, task: Any, task_vars: Any, drain: list[str], resume: list[str]) -> None:
        self._execute, self._task_vars = execute, task_vars
        self._drain, self._resume = drain, resume
        arguments = {name: value for name, value in task.args.items() if name not in ("drain", "resume")}
        self._arguments = {**arguments, "holder": holder()}
        self._dead: list[str] = []
        self._node = str(task_vars.get("inventory_hostname", "the node"))
        self._only_looks = bool(task.check_mode)

    def answer(self, state: str) -> dict[str, Any]:
        """Return the task's result. Raises AscendError if a command of the scheduler fails."""
        if self._only_looks:
            return {"changed": False} if state == "resumed" else self._ask(state)
        if state == "resumed":
            resumed = self._resumed({})
            return {"changed": resumed, "resumed": resumed}
        if state == "ended":
            answer = self._ask(state)
            drained = answer.get("drained")
            return {**answer, "resumed": self._resumed(drained)} if drained else answer
        return self._begun()

    def _begun(self) -> dict[str, Any]:
        if self._drain:
            answer = self._drained()
            if answer.get("failed") or answer.get("taken_by"):
                return answer
        answer = self._idle()
        drained = answer.get("drained")
        # By this very run it stays drained: the change has begun.
        if drained and not answer.get("taken_by") and (not answer["begun"] or drained["run"] != self._run):
            return {**answer, "resumed": self._resumed(drained)}
        return answer

    def _drained(self) -> dict[str, Any]:
        """Make the scheduler drain the node, after that is recorded; return the node's answer."""
        scheduler.require_both(self._drain, self._resume)
        answer = self._ask("draining")
        if answer.get("failed") or answer.get("taken_by"):
            return answer
        result = scheduler.ask(self._drain)
        if result.code != 0:
            # One that misses its time may have done it: what is written down stays, and the end of the change resumes.
            if not result.timed_out and not answer.get("drained"):
                self._ask("resumed")
            raise scheduler.refused(scheduler.DRAIN, self._drain, result, self._node, "the node was not changed")
        if has_ended():
            raise AnsibleActionFail("the run of this playbook has ended; the next one resumes the node")
        return answer

    def _idle(self) -> dict[str, Any]:
        """Begin, if wanted after waiting while the cards are used."""
        until = time.monotonic() + int(self._arguments.get("wait_s", 0))
        answer = self._ask("begun")
        while (answer.get("processes") or answer.get("unclear")) and time.monotonic() < until:
            time.sleep(min(LOOK_S, max(0.0, until - time.monotonic())))
            if has_ended():
                break  # the run was ended meanwhile
            answer = self._ask("begun")
        return answer

    def _resumed(self, drained: dict[str, Any]) -> bool:
        """Make the scheduler resume the node; return whether it was drained, by this run or by a dead one.

        ``drained`` is what the node says about it, if known.
        """
        if drained.get("run") != self._run:
            answer = self._ask("resuming")
            drained = answer.get("drained") or {}
            if answer.get("failed"):
                raise AscendError(str(answer.get("msg")))
            if answer.get("taken_by") or not drained:
                return False  # its own run resumes it
        if not self._resume:
            file = posixpath.join(str(self._arguments.get("state_dir", SPEC["state_dir"]["default"])), DRAINED)
            raise scheduler.nothing_resumes(self._node, str(drained.get("began")), file)
        result = scheduler.ask(self._resume)
        if result.code != 0:
            left = "the node gets no jobs until a run of the playbook resumes it"
            raise scheduler.refused(scheduler.RESUME, self._resume, result, self._node, left)
        answer = self._ask("resumed")
        if answer.get("failed"):
            raise AscendError(str(answer.get("msg")))
        return True

    @property
    def _run(self) -> str:
        return str(self._arguments["holder"]["run"])

    def _ask(self, state: str) -> dict[str, Any]:
        """Ask the node, and again if the run that has it is known here to be dead."""
        while True:
            dead_runs = {"dead": self._dead} if self._dead else {}
            arguments = {**self._arguments, "state": state, **dead_runs}
            answer: dict[str, Any] = self._execute(module_args=arguments, task_vars=self._task_vars)
            other = answer.get("taken_by")
            if not other or other["run"] in self._dead or not dead(other):
                return answer
            self._dead = [*self._dead, other["run"]]


def holder() -> dict[str, Any]:
    """Return this run of a playbook: its process (every action's is a fork of it) and this boot of this machine."""
    pid, boot = playbook(), process.kernel_boot()
    started = process.started(pid)
    return {
        "run": f"{socket.gethostname()}-{boot[:8]}-{pid}-{started}",
        "who": os.environ.get("SUDO_USER") or getpass.getuser(),
        "control": socket.gethostname(),
        "machine": machine(),
        "boot": boot,
        "pid": pid,
        "started": started,
    }


def machine() -> str:
    """Return an identifier of this machine: machine-id(5) and host name, as containers of an image share the first."""
    return f"{(files.text('/etc/machine-id') or '').strip()} {socket.gethostname()}"


def dead(holder: dict[str, Any]) -> bool:
    """Whether a lock's holder was a process of this machine that has ended.

    Processes of another machine, or hidden from this user, are unknown.
    """
    if holder.get("machine") != machine():
        return False
    pid = holder.get("pid")
    if not isinstance(pid, int):
        return False
    if holder.get("boot") != process.kernel_boot():
        return True
    return process.started(pid) != holder.get("started") and not process.hidden(pid)
