# SPDX-License-Identifier: Apache-2.0
"""Action ``mirror_prune``: the module of that name, with what the nodes need that name this host in ``depot_mirror``.

No node is asked, and ``--limit`` excludes none: the variables of all nodes of the inventory count. Fails if none names
this host, or if the depot cannot be read.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.mirrored import sums_needed
from ansible_collections.ascend.fleet.plugins.plugin_utils.asked import checked, of_all
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        with failing_in_words():
            needed = sorted(self._needed(task_vars))
        arguments = {**self._task.args, "needed": needed}
        return {**result, **self._execute_module(module_args=arguments, task_vars=task_vars)}

    def _needed(self, task_vars: Any) -> set[str]:
        mirror, nodes = task_vars["inventory_hostname"], task_vars["groups"].get("ascend", [])
        # What is this host's own is no node's: without it the role's default counts.
        defaults = self._task._role.get_default_vars()
        own = set(task_vars["hostvars"].raw_get(mirror)) - set(defaults)
        common = {name: value for name, value in {**task_vars, **defaults}.items() if name not in own}
        asked = [checked(each) for each in of_all(self._templar, task_vars, nodes, common)] if nodes else []
        its_nodes = [each for each in asked if each["ascend_settings"]["depot_mirror"] == mirror]
        needed = sums_needed(its_nodes)
        if not needed:
            raise AscendError(
                "nothing was pruned: no node needs a file of this mirror",
                wanted=f"nodes with depot_mirror: {mirror}, and their files in the depot",
                found=f"{len(nodes)} nodes of the group ascend, none of them with both",
                where="the inventory",
                remedy=f"grep -rn depot_mirror inventory/  # or take {mirror} out of the group depot_mirrors",
            )
        return needed
