# SPDX-License-Identifier: Apache-2.0
"""Action ``doctor_report``: one verdict per node, from every node's drift check, an earlier verify and an earlier
preflight. Runs once, on the control node.

Arguments: ``answers`` (the name under which the nodes' results are registered), ``deep`` and ``components`` (of the
check), ``folder`` (of the report), ``verify`` and ``preflight`` (their reports), ``old_days`` (from when on those are
too old to count).
Result: ``exit_code`` (0 all healthy, 1 something to do, 2 broken or not checked), ``summary`` (lines), ``folder``,
``counts``.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.context import CLIARGS
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.masking import masked_values
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.doctor import earlier, files, screen, verdicts
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import fleet, slices
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.report_folder import failing_as
from ansible_collections.ascend.fleet.plugins.plugin_utils.drift_reports import checked
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = self._task.args
        folder = Path(arguments["folder"])
        with failing_in_words():
            _require_whole(task_vars)
            report = masked_values(_report(arguments, task_vars))
            with failing_as(folder, "cannot write the report"):
                files.write(report, folder)
        return {
            **result,
            "changed": False,
            "exit_code": report["exit_code"],
            "summary": screen.lines(report, fleet.shown(folder)),
            "folder": str(folder),
            "counts": report["counts"],
        }


def _report(arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
    found = checked(arguments, task_vars)
    run, nodes = found["run"], found["nodes"]
    folder, inventory = fleet.shown(arguments["folder"]), fleet.inventory_options(CLIARGS.get("inventory"))
    between = fleet.between_nodes(found["peers"], len(nodes), run["limit"], run["components"], f"{folder}/report.json")
    now, old_days = datetime.now(timezone.utc), float(arguments["old_days"])
    tests = [earlier.read(kind, str(arguments[kind]), inventory, old_days, now) for kind in earlier.KINDS]
    return verdicts.document(fleet.fleet(nodes, run, found["depot"], between), tests, inventory, folder)


def _require_whole(variables: Any) -> None:
    """A slice of the inventory looks like a fleet, and would overwrite the others' verdicts."""
    slices.require_whole(
        variables,
        "one slice is not enough for a verdict on the fleet",
        "one job over the whole inventory, or over what --limit names",
    )
