# SPDX-License-Identifier: Apache-2.0
"""Action ``train_fetch``: the module of that name; writes what a node sent below ``folder``, and drops it.

This happens in the process that Ansible forked for the node, so the files go no further, and the main process, which
keeps every result, gets only a summary.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train.fetch import unpacked
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.train import fetched


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = dict(self._task.args)
        answer = self._execute_module(module_args=arguments, task_vars=task_vars)
        packed = answer.pop("files", None)
        if packed is None:
            return {**result, **answer}
        run = answer["run"]
        node = fetched.node_folder(run.get("rank") or 0, task_vars["inventory_hostname"])
        folder = Path(arguments["folder"]).expanduser() / node
        texts = {name: unpacked(text) for name, text in packed.items()}
        try:
            changed = False if self._task.check_mode else fetched.write(folder, run, texts)
        except OSError as error:
            return {**result, "failed": True, "msg": f"cannot write {folder}: {error}"}
        return {**result, **answer, "changed": changed, "folder": str(folder)}
