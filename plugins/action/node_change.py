# SPDX-License-Identifier: Apache-2.0
"""Action ``node_change``: the module of that name, told who runs this playbook and whether a lock's holder is alive.

Arguments: those of the module but ``holder`` and ``dead``. Fails when another run changes the node.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import process, run_lock
from ansible_collections.ascend.fleet.plugins.plugin_utils.playbook import has_ended, playbook

LOOK_S = 30.0  # between two looks at cards that are used


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        if has_ended():
            raise AnsibleActionFail("the run of this playbook has ended; the node is left as it is")
        arguments = {**self._task.args, "holder": holder()}
        until = time.monotonic() + int(arguments.get("wait_s", 0))
        answer = self._execute_module(module_args=arguments, task_vars=task_vars)
        while (answer.get("processes") or answer.get("unclear")) and time.monotonic() < until:
            time.sleep(min(LOOK_S, max(0.0, until - time.monotonic())))
            if has_ended():
                break  # the run was ended meanwhile
            answer = self._execute_module(module_args=arguments, task_vars=task_vars)
        other = answer.get("taken_by")
        if other and dead(other):
            arguments["dead"] = other["run"]
            answer = self._execute_module(module_args=arguments, task_vars=task_vars)
            other = answer.get("taken_by")
        result.update(answer)
        if other:
            error = run_lock.already_taken(other)
            result.update(failed=True, msg=str(error), **error.as_dict())
        return result


def holder() -> dict[str, Any]:
    """Return this run of a playbook: its process, of which every action's is a fork, on this start of this machine."""
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
    """Return what names this machine: machine-id(5) tells host names apart, a host name containers of one image."""
    return f"{(files.text('/etc/machine-id') or '').strip()} {socket.gethostname()}"


def dead(holder: dict[str, Any]) -> bool:
    """Whether a lock's holder was a process of this machine, and is no more.

    Of another machine nothing is known, nor of a process that is hidden from this user.
    """
    if holder.get("machine") != machine():
        return False
    pid = holder.get("pid")
    if not isinstance(pid, int):
        return False
    if holder.get("boot") != process.kernel_boot():
        return True
    return process.started(pid) != holder.get("started") and not process.hidden(pid)
