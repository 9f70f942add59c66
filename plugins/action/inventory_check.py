# SPDX-License-Identifier: Apache-2.0
"""Action ``inventory_check``: refuse misspelt variables of ours, and values that they cannot have. Once; asks no node.

Looked at are the raw variables of all groups and hosts of the inventory, whatever ``--limit`` says, those beside the
inventory and the playbook (group_vars, host_vars), and those given with ``-e``. Argument: ``exit_code``, with which the
playbook ends where something is wrong (2 by itself).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible.context import CLIARGS
from ansible.plugins.action import ActionBase
from ansible.vars.plugins import get_vars_from_inventory_sources, get_vars_from_path

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.inventory.check import Given, require_right


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        hostvars = task_vars["hostvars"]
        files = [word[1:] for word in CLIARGS.get("extra_vars") or () if str(word).startswith("@")]
        beside = [f"{self._loader.get_basedir()}/{folder}" for folder in ("group_vars", "host_vars")]
        try:
            require_right(_given(hostvars), [*hostvars._inventory._sources, *beside, *files])
        except AscendError as error:
            failed = {"failed": True, "msg": str(error), "exit_code": int(self._task.args.get("exit_code", 2))}
            return {**result, **failed}
        return {**result, "changed": False}


def _given(hostvars: Any) -> Iterator[Given]:
    inventory, manager, loader = hostvars._inventory, hostvars._variable_manager, hostvars._loader
    yield Given("-e", manager.extra_vars)
    for kind, entities in (("group", inventory.groups), ("host", inventory.hosts)):
        for name, entity in entities.items():
            owner = f"{kind} {name}"
            yield Given(owner, entity.vars)
            if kind == "host":
                yield Given(owner, {"inventory_hostname": name})
            yield Given(owner, get_vars_from_inventory_sources(loader, inventory._sources, [entity], "task"))
            yield Given(owner, get_vars_from_path(loader, loader.get_basedir(), [entity], "task"))
