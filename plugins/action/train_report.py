# SPDX-License-Identifier: Apache-2.0
"""Action ``train_report``: the loss of a run as a picture, and what was fetched, as lines. Once, on the control node.

Arguments: ``folder`` (of the run, with its nodes' folders), ``name`` (of the run), ``templates`` (the folder of
loss.svg.j2), ``nodes`` (the play's). Result: ``summary`` (lines).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.train import fetched, loss

PICTURE = "loss.svg"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = self._task.args
        folder = Path(arguments["folder"]).expanduser()
        answers = {name: task_vars["hostvars"][name].get("train_fetched") or {} for name in arguments["nodes"]}
        try:
            changed, picture = self._draw(folder, answers)
        except OSError as error:
            return {**result, "failed": True, "msg": f"cannot write {folder}: {error}"}
        return {**result, "changed": changed, "summary": fetched.lines(answers, picture)}

    def _draw(self, folder: Path, answers: dict[str, Any]) -> tuple[bool, str]:
        """Draw the loss of the first rank that has one; return whether that changed anything, and where it is."""
        arguments = self._task.args
        for place in fetched.folders(answers):
            points = loss.read(Path(place))
            if points.steps:
                text = loss.draw(points, str(arguments["name"]), Path(arguments["templates"]))
                changed = not self._task.check_mode and fetched.write_text(folder / PICTURE, text)
                return changed, str(folder / PICTURE)
        return False, ""
