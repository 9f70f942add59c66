# SPDX-License-Identifier: Apache-2.0
"""Action ``verify_report``: keep what every node of ``playbooks/verify.yml`` proved. Runs once, on the control node.

Arguments: ``folder`` (of report.json). It takes the nodes' ``preflight_node``, ``verify_cards`` and ``verify_result``.
Result: ``folder``, ``counts``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.context import CLIARGS
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.masking import masked_values
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.times import now
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.doctor import proofs
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.fleet import inventory_options
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.report_folder import failing_as
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words

_RESULTS = ("preflight_node", "verify_cards", "verify_result")


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        folder = Path(self._task.args["folder"])
        nodes = []
        for name in task_vars["ansible_play_hosts_all"]:
            variables = task_vars["hostvars"][name]
            nodes.append(proofs.node(name, *(variables.get(key) or {} for key in _RESULTS)))
        inventory = inventory_options(CLIARGS.get("inventory"))
        run = {"made": now(), "inventory": inventory, "limit": CLIARGS.get("subset")}
        report = masked_values(proofs.document(nodes, run))
        with failing_in_words(), failing_as(folder, "cannot write the report"):
            proofs.write(report, folder)
        return {**result, "changed": False, "folder": str(folder), "counts": report["counts"]}
