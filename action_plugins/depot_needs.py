# SPDX-License-Identifier: Apache-2.0
"""Action ``depot_needs``: what the depot has to hold for the nodes of the inventory, each with its own variables.

No node is asked: it goes by the inventory alone, ``--limit`` or not; by this host's variables where there is no node.
Result: ``needs``, ``{"fills", "sources", "problems"}`` as ``ascend_control.depot.needs`` says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible offers module_utils/ to modules only; actions are imported by the control node's own Python.
_MODULE_UTILS = str(Path(__file__).resolve().parent.parent / "module_utils")
if _MODULE_UTILS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_MODULE_UTILS)

from ansible.module_utils.ascend.errors import AscendError  # noqa: E402  (after the path above)
from ansible.module_utils.ascend_control.depot.needs import needs  # noqa: E402

ASKED = ("ascend_settings", "depot_architectures")


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        nodes = task_vars["groups"].get("ascend", [])
        try:
            told = [self._variables(task_vars, name) for name in nodes] or [self._variables(task_vars, None)]
            result.update(changed=False, needs=needs(told))
        except AscendError as error:
            raise AnsibleActionFail(str(error)) from error
        return result

    def _variables(self, task_vars: Any, node: str | None) -> dict[str, Any]:
        """Return what is asked of a node's variables; the roles' defaults are those of this task, which has the roles.

        ``hostvars`` knows no defaults of roles, and the inventory's variables may be made of these.
        """
        own = task_vars["hostvars"].raw_get(node) if node else {}
        templar = self._templar.copy_with_new_env(available_variables={**task_vars, **own})
        return {name: templar.template({**task_vars, **own}.get(name)) for name in ASKED}
