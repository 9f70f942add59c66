# SPDX-License-Identifier: Apache-2.0
"""Action ``node_change``: the module of that name, told who runs this playbook and whether a lock's holder is alive.

Arguments: those of the module but ``holder`` and ``dead``. Fails when another run changes the node.
"""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

# Ansible offers module_utils/ to modules only; actions are imported by the control node's own Python.
_MODULE_UTILS = str(Path(__file__).resolve().parent.parent / "module_utils")
if _MODULE_UTILS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_MODULE_UTILS)

from ansible.module_utils.ascend import files  # noqa: E402  (after the path above)
from ansible.module_utils.ascend.change import process, run_lock  # noqa: E402


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = {**self._task.args, "holder": holder()}
        answer = self._execute_module(module_args=arguments, task_vars=task_vars)
        there = answer.get("taken_by")
        if there and dead(there):
            arguments["dead"] = there["run"]
            answer = self._execute_module(module_args=arguments, task_vars=task_vars)
            there = answer.get("taken_by")
        result.update(answer)
        if there:
            error = run_lock.held_by(there)
            result.update(failed=True, msg=str(error), **error.as_dict())
        return result


def holder() -> dict[str, Any]:
    """Return this run of a playbook: its process, of which every action's is a fork, on this start of this machine."""
    pid = os.getppid()
    started, boot = process.started(pid), process.boot()
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
    """Return what names this machine, also where several have the same host name (machine-id(5))."""
    return (files.text("/etc/machine-id") or "").strip() or socket.gethostname()


def dead(there: dict[str, Any]) -> bool:
    """Whether a lock's holder was a process of this machine, and is no more; of another machine nothing is known."""
    if there.get("machine") != machine():
        return False
    return there.get("boot") != process.boot() or process.started(int(there.get("pid", 0))) != there.get("started")
