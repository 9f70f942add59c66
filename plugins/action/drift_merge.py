# SPDX-License-Identifier: Apache-2.0
"""Action ``drift_merge``: make one report of the slices of a drift check. Runs once, on the control node; asks no node.

Arguments: those of ``drift_report`` for the report, ``folder``, ``templates``, ``keep_days``, ``keep_reports`` and
``accept_unchecked``; ``slices`` (the folder of the slices) and ``check`` (its name; empty for that with the newest
slice). Result: that of ``drift_report``.

The nodes are those of the play. One that no slice tells of could not be checked, and the exit code is 3 then.
"""

from __future__ import annotations

import shlex
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import fleet, slices
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.merge import merged
from ansible_collections.ascend.fleet.plugins.plugin_utils.drift_reports import options, reported, run_of
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        begin = time.monotonic()
        arguments = self._task.args
        with failing_in_words():
            report = _report(arguments, task_vars)
            result.update(reported(report, arguments))
            slices.prune(Path(arguments["slices"]), int(arguments["keep_days"]), datetime.now(timezone.utc))
        return {**result, "seconds": round(time.monotonic() - begin, 2)}


def _report(arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
    _require_inventory(arguments, task_vars)
    directory = Path(arguments["slices"])
    folder = slices.folder_of(directory, str(arguments["check"] or ""))
    now = datetime.now(timezone.utc)
    again = (
        f"ansible-playbook playbooks/drift.yml {options(run_of('', 0, False, ()))}"
        f" -e drift_slices_dir={shlex.quote(str(directory))} -e drift_check={folder.name}"
    )
    names = task_vars["ansible_play_hosts_all"]
    groups = {name: sorted(map(str, task_vars["hostvars"][name]["group_names"])) for name in names}
    others = set(task_vars["groups"]["ascend"]) - groups.keys()
    check = merged(folder.name, slices.read(folder), groups, others, slices.code(), now, again)
    run = run_of(check.made, check.seconds, check.deep, check.components)
    peers = {name: peer for name, peer in check.peers.items() if name in groups}
    latest = f"{arguments['folder']}/latest/fleet.json"
    between = fleet.between_nodes(peers, len(groups), run["limit"], check.components, latest)
    return fleet.fleet(check.nodes, run, check.depot, between, check.merge)


def _require_inventory(arguments: dict[str, Any], task_vars: Any) -> None:
    if not arguments["slices"]:
        raise AscendError(
            "nothing to merge",
            wanted="the folder with the slices of a drift check",
            found="none",
            where="drift_slices_dir",
            remedy="-e drift_slices_dir=/shared/slices  # docs/scale.md",
        )
    words = "the merge is not sliced: it makes one report of the whole inventory"
    slices.require_whole(task_vars, words, "one job")
