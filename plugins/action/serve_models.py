# SPDX-License-Identifier: Apache-2.0
"""Action ``serve_models``: the module of that name; with ``wait_s`` it waits until each model answers.

The node is asked again each time, because a model of 70B loads for many minutes, longer than many connections last.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.serve.words import loading_text, stopped_text
from ansible_collections.ascend.fleet.plugins.plugin_utils.playbook import has_ended

LOOK_S = 2.0
TELL_S = 30.0
DOWN, SILENT = "down", "silent"
display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = dict(self._task.args)
        wait_s = float(arguments.pop("wait_s", 0))
        answer = self._execute_module(module_args=arguments, task_vars=task_vars)
        if answer.get("failed") or self._task.check_mode or not wait_s:
            return {**result, **answer}
        question = {"state": "read", "state_dir": arguments.get("state_dir")}
        models = self._waited(answer["models"], question, wait_s, task_vars)
        late = [model for model in models if model["state"] in (DOWN, SILENT)]
        if late:
            answer |= {"failed": True, "msg": "\n".join(stopped_text(model, wait_s) for model in late)}
        return {**result, **answer, "models": models}

    def _waited(self, models: Any, question: Any, wait_s: float, task_vars: Any) -> Any:
        """Ask until every model answers or has ended, or the time is over; return the last answer."""
        began = shown = time.monotonic()
        while any(model["state"] == SILENT for model in models) and time.monotonic() - began < wait_s:
            if has_ended():
                break
            time.sleep(LOOK_S)
            answer = self._execute_module(module_args=question, task_vars=task_vars)
            models = answer.get("models", models)  # a connection that breaks for once is no answer
            if time.monotonic() - shown > TELL_S:
                shown = time.monotonic()
                for model in models:
                    if model["state"] == SILENT:
                        words = loading_text(model, shown - began)
                        display.display(f"{task_vars['inventory_hostname']}: {words}")
        return models
