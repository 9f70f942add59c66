# SPDX-License-Identifier: Apache-2.0
"""What the actions of the drift check share: what its nodes answered, how it was requested, and its report."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.context import CLIARGS

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


def checked(arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
    """Return the results of every node of the play, also one whose result was lost, and how it was run."""
    components = fleet.chosen(arguments["components"])
    nodes = []
    for name in task_vars["ansible_play_hosts_all"]:
        variables = task_vars["hostvars"][name]
        nodes.append(_node(name, variables.get(arguments["answers"]), variables, components))
    began = min((node.pop("began") for node in nodes if "began" in node), default=time.time())
    made = datetime.fromtimestamp(began, timezone.utc).strftime(UTC)
    run = run_of(made, round(max(0.0, time.time() - began), 1), flag("drift_deep", arguments["deep"]), components)
    peers = {node["name"]: node.pop("peer") for node in nodes if "peer" in node}
    depots = {node.pop("depot_dir") for node in nodes if "depot_dir" in node}
    troubles = [trouble(folder, options(run)) for folder in sorted(depots)]
    depot = fleet.of_the_depot(found for found in troubles if found)
    return {"nodes": nodes, "peers": peers, "depot": depot, "run": run}


def _node(name: str, answer: Any, variables: Any, components: tuple[str, ...]) -> dict[str, Any]:
    groups = sorted(str(group) for group in variables["group_names"])
    if answer and "node" in answer:
        return {**answer["node"], "groups": groups}
    # The action failed as a whole, or Ansible never ran it.
    reason = said_by(answer) if answer else "no result came back"
    return {**fleet.unchecked(name, reason, True, {}, components, ""), "groups": groups, "seconds": None}


def run_of(made: str, seconds: float, deep: bool, components: Iterable[str]) -> dict[str, Any]:
    """Return when and how the nodes were checked, as ``fleet.fleet`` takes it."""
    return {
        "made": made,
        "seconds": seconds,
        "inventory": [fleet.shown(path) for path in CLIARGS.get("inventory") or constants.DEFAULT_HOST_LIST],
        "limit": CLIARGS.get("subset"),
        "deep": deep,
        "components": tuple(components),
    }


def options(run: dict[str, Any]) -> str:
    """Return the inventories as options of the commands to copy."""
    return " ".join(f"-i {shlex.quote(path)}" for path in run["inventory"])


def reported(report: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Add the report to the history and write it; return the action's result. Raises AscendError.

    ``arguments`` are the task's: ``folder``, ``templates``, ``keep_days``, ``keep_reports``, ``accept_unchecked``.
    """
    folder = Path(arguments["folder"])
    accepts = flag("drift_accept_unchecked", arguments["accept_unchecked"])
    history.update(folder / "history.sqlite", report)
    # Also what earlier versions wrote into the history.
    report = masked_values(report)
    made = reports.write(folder, report, page.render(report, Path(arguments["templates"])))
    reports.prune(folder, int(arguments["keep_days"]), int(arguments["keep_reports"]), datetime.now(timezone.utc))
    # A node that is out of order may be accepted. One that nobody looked at is the check's own defect.
    accepts = accepts and not report.get("merged", {}).get("missing")
    return {
        "changed": False,
        "exit_code": fleet.exit_code(report["counts"], accepts, report["depot"] + report["between"]["findings"]),
        "folder": str(made),
        "whole": True,
        "counts": report["counts"],
        "summary": summary.lines(report, str(folder / "latest")),
    }
