# SPDX-License-Identifier: Apache-2.0
"""Action ``drift_report``: make the report from every node's ``node_plan``. Runs once, on the control node.

Arguments: ``folder`` (of all reports), ``templates`` (of the page), ``keep_days``, ``keep_reports``,
``accept_unchecked``, ``deep``, ``components``, ``answers`` (the name under which the nodes' results are registered);
``slices`` (a folder, in which this run leaves its slice of a check instead of a report; empty for a whole check) and
``check`` (its name).
Result: ``exit_code`` (0, 2, 3), ``whole`` (whether there is a report), ``folder`` (of this report, or the file of the
slice), ``summary`` (lines), ``counts``, ``seconds``.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.masking import masked_values
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import fleet, slices, summary
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wishes import flag
from ansible_collections.ascend.fleet.plugins.plugin_utils.drift_reports import checked, options, reported
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        begin = time.monotonic()
        arguments = self._task.args
        with failing_in_words():
            flag("drift_accept_unchecked", arguments["accept_unchecked"])
            if arguments.get("slices"):
                result.update(_sliced(checked(arguments, task_vars), arguments, task_vars))
            else:
                _require_whole(task_vars)
                result.update(reported(_report(checked(arguments, task_vars), arguments), arguments))
        return {**result, "seconds": round(time.monotonic() - begin, 2)}


def _report(found: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    run = found["run"]
    latest = f"{arguments['folder']}/latest/fleet.json"
    between = fleet.between_nodes(found["peers"], len(found["nodes"]), run["limit"], run["components"], latest)
    return fleet.fleet(found["nodes"], run, found["depot"], between)


def _require_whole(variables: Any) -> None:
    """A slice of the inventory looks like a fleet: nodes of other slices would count as gone."""
    slice_of = slices.slice_of(variables)
    if slice_of:
        raise AscendError(
            "one slice cannot make a report of the fleet",
            wanted="a folder for the slices, from which playbooks/merge.yml makes one report",
            found=f"{slice_of}, and no folder",
            where="drift_slices_dir",
            remedy="-e drift_slices_dir=/shared/slices  # docs/scale.md; a workflow, no slice: do not name it like its"
            " job template",
        )


def _sliced(found: dict[str, Any], arguments: dict[str, Any], variables: Any) -> dict[str, Any]:
    """Leave the slice for playbooks/merge.yml; it has no history or notices, and its own exit code."""
    run = found["run"]
    check = slices.check_of(arguments["check"], variables)
    kept = ("made", "seconds", "deep", "components")
    of_slice = {"form": slices.FORM, "code": slices.code(), "check": check, **{key: run[key] for key in kept}}
    of_slice |= {key: found[key] for key in ("nodes", "peers", "depot")}
    of_slice["components"] = list(run["components"])
    file = slices.write(Path(arguments["slices"]), masked_values(of_slice))
    counts = fleet.fleet(found["nodes"], run)["counts"]
    merge = (
        f"ansible-playbook playbooks/merge.yml {options(run)} -e drift_slices_dir={shlex.quote(arguments['slices'])}"
    )
    return {
        "changed": False,
        "exit_code": fleet.exit_code(
            counts, flag("drift_accept_unchecked", arguments["accept_unchecked"]), found["depot"]
        ),
        "folder": str(file),
        "whole": False,
        "counts": counts,
        "summary": [
            f"A slice of the check {check}, and no report: {summary.headline(counts, run['limit'])}",
            f"Slice: {file}",
            f"When all slices are done, over the whole inventory: {merge} -e drift_check={check}",
        ],
    }
