# SPDX-License-Identifier: Apache-2.0
"""Action ``train_job``: the module of that name; ``follow`` shows the run's log, line by line, until it ends."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.ascend.fleet.plugins.plugin_utils.playbook import has_ended

LOOK_S = 5.0
display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = dict(self._task.args)
        follow = boolean(arguments.pop("follow", False))
        answer = self._execute_module(module_args=arguments, task_vars=task_vars)
        seen: list[str] = []
        while follow and "run" in answer and not has_ended():
            for line in new_lines(answer["run"]["last"], seen):
                display.display(f"{task_vars['inventory_hostname']}: {line}")
            seen = answer["run"]["last"]
            if answer["run"]["state"] != "running":
                break
            time.sleep(LOOK_S)
            answer = self._execute_module(module_args=arguments, task_vars=task_vars)
        return {**result, **answer}


def new_lines(last: list[str], seen: list[str]) -> list[str]:
    """Return the lines of ``last`` after those ``seen``; all if none of these are left."""
    for start in range(len(seen)):
        if last[: len(seen) - start] == seen[start:]:
            return last[len(seen) - start :]
    return last
