# SPDX-License-Identifier: Apache-2.0
"""Action ``rack_report``: the report of a preflight, from all nodes' answers. Runs once, on the control node.

Arguments: ``folder`` (of the report and the files for ``--limit``), ``baseline`` (a file that rates, links and ports
are compared with, or ""), ``write_baseline`` (a file to write, or "").
Result: ``exit_code`` (0, 2), ``summary`` (lines), ``folder``, ``counts``.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.context import CLIARGS
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.masking import masked_values
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.times import UTC
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.fleet import inventory_options
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.report_folder import failing_as
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack import baseline, report as reports
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words
from ansible_collections.ascend.fleet.plugins.plugin_utils.rack import answers, ran, reached, wishes_in
from ansible_collections.ascend.fleet.plugins.plugin_utils.rendered import rendered


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = self._task.args
        settings = rendered(self._templar, task_vars, task_vars["ascend_settings"])
        rack = rendered(self._templar, task_vars, task_vars["rack_settings"])
        with failing_in_words():
            before = baseline.read(arguments["baseline"]) if arguments["baseline"] else None
            found = reports.Found(answers(task_vars), wishes_in(rack, settings))
            began = min((each["began_s"] for each in found.answers.values()), default=time.time())
            run = {
                "made": datetime.fromtimestamp(began, timezone.utc).strftime(UTC),
                "seconds": round(time.time() - began, 1),
                "inventory": inventory_options(CLIARGS.get("inventory")),
                "limit": CLIARGS.get("subset"),
            }
            report = masked_values(reports.document(found, run, reached(task_vars), ran(task_vars), before))
            folder = Path(arguments["folder"])
            with failing_as(folder, "cannot write the report"):
                reports.write(report, folder, str(arguments["write_baseline"]))
        return {
            **result,
            "changed": False,
            "exit_code": reports.exit_code(report),
            "summary": reports.lines(report, str(folder)),
            "folder": str(folder),
            "counts": report["counts"],
        }
