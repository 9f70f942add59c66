# SPDX-License-Identifier: Apache-2.0
"""Action ``depot``: fill one part of the depot on the control node, with progress on the terminal or in the log.

The module of this name has its documentation and its options. It is an action because a module's output reaches nobody
until it has ended.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.fill import outcome
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import Progress
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.region import can_draw
from ansible_collections.ascend.fleet.plugins.modules.depot import ARGUMENT_SPEC, REQUIRED_IF

# Looked at when Ansible's main process finds this action: a worker, which runs it, has no terminal.
TERMINAL = can_draw(sys.stdout, os.environ)


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        _, options = self.validate_argument_spec(ARGUMENT_SPEC, required_if=REQUIRED_IF)
        rights.begin()
        return {**result, **outcome(options, bool(self._task.check_mode), Progress(_show, TERMINAL))}


def _show(text: str, end: bool) -> None:
    # What is drawn over is for the screen alone, not for log_path.
    Display().display(text, newline=end, screen_only=not end)
