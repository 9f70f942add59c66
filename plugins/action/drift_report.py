# SPDX-License-Identifier: Apache-2.0
"""Action ``drift_report``: make the report of what every node's ``node_plan`` gave. Runs once, on the control node.

Arguments: ``folder`` (of all reports), ``templates`` (of the page), ``keep_days``, ``keep_reports``,
``accept_unchecked``, ``deep``, ``components``, ``answers`` (the name under which the nodes' results are registered).
Result: ``exit_code`` (0, 2, 3), ``folder`` (of this report), ``summary`` (lines), ``counts``, ``seconds``.
"""

from __future__ import annotations

import shlex
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.context import CLIARGS
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.masking import masked_values
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.times import UTC
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.trouble import trouble
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import (
    fleet,
    history,
    page,
    report_folder as reports,
    summary,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.silence import said_by
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wishes import flag


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        begin = time.monotonic()
        arguments = self._task.args
        try:
            accepts = flag("drift_accept_unchecked", arguments["accept_unchecked"])
            report = self._report(arguments, task_vars)
            folder = Path(arguments["folder"])
            history.update(folder / "history.sqlite", report)
            # Also what earlier versions wrote into the history.
            report = masked_values(report)
            made = _written(report, folder, arguments)
        except AscendError as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(
            changed=False,
            exit_code=fleet.exit_code(report["counts"], accepts, report["depot"] + report["between"]["findings"]),
            folder=str(made),
            counts=report["counts"],
            summary=summary.lines(report, str(folder / "latest")),
            seconds=round(time.monotonic() - begin, 2),
        )
        return result

    def _report(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """Return the fleet's report: every node of the play, also one whose result was lost."""
        components = fleet.chosen(arguments["components"])
        nodes = []
        for name in task_vars["ansible_play_hosts_all"]:
            variables = task_vars["hostvars"][name]
            nodes.append(_node(name, variables.get(arguments["answers"]), variables, components))
        began = min((node.pop("began") for node in nodes if "began" in node), default=time.time())
        run = {
            "made": datetime.fromtimestamp(began, timezone.utc).strftime(UTC),
            "seconds": round(max(0.0, time.time() - began), 1),
            "inventory": [fleet.shown(path) for path in CLIARGS.get("inventory") or constants.DEFAULT_HOST_LIST],
            "limit": CLIARGS.get("subset"),
            "deep": flag("drift_deep", arguments["deep"]),
            "components": components,
        }
        peers = {node["name"]: node.pop("peer") for node in nodes if "peer" in node}
        between = fleet.between_nodes(peers, len(nodes), run["limit"], components, str(arguments["folder"]))
        depots = {node.pop("depot_dir") for node in nodes if "depot_dir" in node}
        options = " ".join(f"-i {shlex.quote(path)}" for path in run["inventory"])
        troubles = [trouble(folder, options) for folder in sorted(depots)]
        return fleet.fleet(nodes, run, fleet.of_the_depot(found for found in troubles if found), between)


def _node(name: str, answer: Any, variables: Any, components: tuple[str, ...]) -> dict[str, Any]:
    groups = sorted(str(group) for group in variables["group_names"])
    if answer and "node" in answer:
        return {**answer["node"], "groups": groups}
    # The action failed as a whole, or Ansible never ran it.
    reason = said_by(answer) if answer else "no result came back"
    return {**fleet.unchecked(name, reason, True, {}, components, ""), "groups": groups, "seconds": None}


def _written(report: dict[str, Any], folder: Path, arguments: dict[str, Any]) -> Path:
    made = reports.write(folder, report, page.render(report, Path(arguments["templates"])))
    reports.prune(folder, int(arguments["keep_days"]), int(arguments["keep_reports"]), datetime.now(timezone.utc))
    return made
