# SPDX-License-Identifier: Apache-2.0
"""Action ``fleet_plan``: the plans of a play's nodes as text, and the group that changes each. Once, not per node.

Arguments: ``answers`` (the variable in which ``node_plan`` was registered), ``purpose`` (its own) and ``batches``.

Result: ``lines`` to show, the last of them ``notes``: who is busy, warnings, what differs between the nodes; ``nodes``,
``[{"name", "groups"}]``, with something to do; ``groups``, all possible ones; ``batches``, those of the rollout. Fails
if the nodes do not agree on one way of rollout, or if the run is a slice of AWX.
"""

from __future__ import annotations

from typing import Any

from ansible.context import CLIARGS
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import slices
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.fleet import inventory_options
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.between import (
    between,
    between_lines,
    compared_words,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.policies import batches, require_one_way
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollout import (
    BUSY,
    DRAINED,
    TO_CHANGE,
    WAITING,
    groups_of,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.words import (
    fleet_plan,
    plan_notes,
    rollback_lines,
)
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words
from ansible_collections.ascend.fleet.plugins.plugin_utils.mirrors import GROUP as MIRRORS

WAYS = ("rollout_batches", "rollout_max_fail_percentage")


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = self._task.args
        hostvars = task_vars["hostvars"]
        # Those that were stopped, too: what is to be done once that is cured. An unreachable node has no plan.
        answers = {name: hostvars[name].get(arguments["answers"], {}) for name in task_vars["ansible_play_hosts_all"]}
        plans = {name: answer["plan"] for name, answer in answers.items() if "plan" in answer}
        with failing_in_words():
            _require_whole(task_vars)
            for way in WAYS:
                require_one_way(way, [hostvars[name].get(way) for name in task_vars["ansible_play_hosts"]])
            serial = batches(arguments["batches"])
        if arguments["purpose"] == "rollback":
            lines, notes = rollback_lines(plans, {name: answers[name]["release"] for name in plans}), []
        else:
            differs = _between(answers)
            lines, notes = fleet_plan(plans) + differs, plan_notes(plans) + differs
        groups = {name: groups_of(plan) for name, plan in plans.items()}
        chosen = [{"name": name, "groups": groups[name]} for name in plans if groups[name]]
        return {
            **result,
            "changed": False,
            "lines": lines,
            "notes": notes,
            "nodes": chosen,
            "groups": [TO_CHANGE, WAITING, BUSY, DRAINED, MIRRORS],
            "batches": serial,
        }


def _require_whole(variables: Any) -> None:
    """Each slice of a rollout would have its own canary, and continue if that of another fails."""
    slices.require_whole(
        variables,
        "a rollout cannot be sliced: each slice would start with its own canary, and none would know that"
        " another's failed",
        "one job over the whole inventory; nothing was changed on a node",
    )


def _between(answers: dict[str, Any]) -> list[str]:
    """Return what differs between the nodes that answered, also those that must not be changed."""
    limit = CLIARGS.get("subset")
    peers = {name: answer["peer"] for name, answer in answers.items() if "peer" in answer}
    options = inventory_options(CLIARGS.get("inventory"))
    look = f"ansible-playbook playbooks/drift.yml{options and ' ' + options}"
    found = between(peers, len(answers), limit, look)
    scope = [] if limit is None else [f"--limit {limit}: {compared_words(found['compared'])}"]
    return between_lines(found) + scope
