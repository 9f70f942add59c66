# SPDX-License-Identifier: Apache-2.0
"""Action ``node_plan``: ask a node for its facts, in one remote call, and plan what it needs. Changes nothing.

The planner's settings are the play's ``ascend_settings`` (roles/ascend/vars). Arguments: ``timeout_s`` for the node's
answer, five sixths of the task's time limit if it is not said; and ``purpose``, which says what is planned:

``provision``  to become what the inventory says; with ``busy_policy``; ``deep``, in place of that of the settings; and
               ``begun``: the result from which a change of the node began
``rollback``   to go back to ``rollback_to``
``drift``      nothing, but what differs; with ``components`` (a list, or names with commas between them; empty for all)
               and ``deep``, the check's own; with ``by_helper`` the node's helper is asked, and no module

Result of the first two: ``plan``; ``wanted``, ``components``, the names of the steps, and before a change ``peer``, by
what the node is compared with others, or for a rollback ``release``, the inventory's; ``facts``, with ``facts: true``
all of them, else of a node not in step those of its cards (``npu``). A node that must not be changed fails, with the
plan's ``refusals`` in words; after a change began it does not, but has them, and without ``facts: true`` its ``plan``
alone.

Result of the check for drift: ``node``, as docs/fleet.schema.json says, without its groups but with ``began``, when its
check began (seconds of the epoch), and ``peer``. It never fails: a node that cannot be checked has a finding that says
why.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.between import peer_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.found import OtherVersionError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.policies import one_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollback import rollback
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollout import CONVERGED, apply_to
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import resolve
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wishes import understood
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.words import stopped_text
from ansible_collections.ascend.fleet.plugins.plugin_utils import node_facts
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words
from ansible_collections.ascend.fleet.plugins.plugin_utils.mirrors import mirror_url
from ansible_collections.ascend.fleet.plugins.plugin_utils.node_drift import Check
from ansible_collections.ascend.fleet.plugins.plugin_utils.rendered import rendered


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = self._task.args
        settings = rendered(self._templar, task_vars, task_vars["ascend_settings"])
        if arguments["purpose"] == "drift":
            check = Check(self._task, task_vars, self._execute_module, self._low_level_execute_command)
            return {**result, "changed": False, **check.node(settings)}
        settings["deep"] = arguments.get("deep", settings["deep"])
        settings["depot_mirror_url"] = mirror_url(settings["depot_mirror"], task_vars)
        with failing_in_words():
            return {**result, "changed": False, **self._planned(arguments, understood(settings), task_vars)}

    def _planned(self, arguments: Any, settings: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        asked = node_facts.questions(settings, arguments["purpose"])
        answer = node_facts.answer(self._execute_module, asked, self._task, task_vars)
        facts = node_facts.facts_of(answer)
        if facts is None:
            if not answer.get("failed"):
                raise OtherVersionError("no facts")
            return answer
        if arguments["purpose"] == "rollback":
            plan = rollback(facts, arguments["rollback_to"], settings["ascend_root"])
            planned = {"plan": plan, "release": settings["release"]}
        else:
            planned = _provision(facts, settings, arguments)
        if planned["plan"]["refusals"] and not arguments.get("begun"):
            return {**planned, "failed": True, "msg": stopped_text(planned["plan"], task_vars["inventory_hostname"])}
        keeps = boolean(arguments.get("facts", False))
        if arguments.get("begun") and not keeps:
            # A play keeps every node's result to its end, and each worker that it forks costs by what it keeps.
            return {"plan": planned["plan"]}
        if keeps:
            planned["facts"] = facts
        elif planned["plan"]["group"] != CONVERGED:
            planned["facts"] = {"npu": facts["npu"]}  # on which cards an environment is proven
        return planned


def _provision(facts: dict[str, Any], settings: dict[str, Any], arguments: Any) -> dict[str, Any]:
    begun = arguments.get("begun")
    # What a change began to make, it ends with, whatever became of the depot meanwhile.
    wanted = {**begun["wanted"], "deep": settings["deep"]} if begun else resolve(facts, settings)
    plan = apply_to(facts, wanted, one_of("ascend_busy_policy", arguments["busy_policy"]))
    if begun:
        # What was taken away already comes back when it is verified.
        sets_aside = begun["plan"]["sets_aside"] or plan["sets_aside"]
        plan.update({"from": begun["plan"]["from"], "sets_aside": sets_aside})
    planned = {"plan": plan, "wanted": wanted, "components": [step["component"] for step in plan["steps"]]}
    return planned if begun else {**planned, "peer": peer_of(facts, wanted)}
