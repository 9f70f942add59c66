# SPDX-License-Identifier: Apache-2.0
"""Action ``drift_helper``: put the drift account's helper on a node, with its configuration.

Only argument: ``timeout_s``, for the node's answer; the planner's settings are the play's ``ascend_settings``. Result:
that of ``copy`` for the program, whose check mode it has; and ``config``, the text of the file beside it.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import HELPER
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import helper
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wishes import understood
from ansible_collections.ascend.fleet.plugins.plugin_utils import node_facts
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words
from ansible_collections.ascend.fleet.plugins.plugin_utils.rendered import rendered


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    TRANSFERS_FILES = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        settings = rendered(self._templar, task_vars, task_vars["ascend_settings"])
        with failing_in_words():
            # What the drift check asks, word for word: it compares the two.
            settings = understood({**settings, "check_mode": True, "deep": False})
            asked = node_facts.questions(settings, "drift")
        number, path = tempfile.mkstemp(dir=constants.DEFAULT_LOCAL_TMP)
        try:
            with open(number, "wb") as stream:
                stream.write(helper.archive())
            copied = self._copied(path, task_vars)
        finally:
            os.unlink(path)
        copied.pop("diff", None)  # of an archive
        config = {"asked": asked, "timeout_s": int(self._task.args["timeout_s"])}
        return {**result, **copied, "config": json.dumps(config, indent=1, sort_keys=True) + "\n"}

    def _copied(self, path: str, task_vars: Any) -> dict[str, Any]:
        task = self._task.copy()
        task.args = {"src": path, "dest": HELPER, "owner": "root", "group": "root", "mode": "0755"}
        copy = self._shared_loader_obj.action_loader.get(
            "ansible.legacy.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        copied: dict[str, Any] = copy.run(task_vars=task_vars)
        return copied
