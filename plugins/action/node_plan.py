# SPDX-License-Identifier: Apache-2.0
"""Action ``node_plan``: ask a node for its facts, in one remote call, and plan what it needs. Changes nothing.

Arguments: ``settings`` (the planner's, roles/ascend/vars), ``deep``, ``timeout_s`` (for the node's answer; five sixths
of the task's time limit if it is not said), and ``purpose``, which says what is planned:

``provision``  to become what the inventory says; with ``busy_policy``, and ``begun``: the result from which a change of
               the node began
``rollback``   to go back to ``rollback_to``
``drift``      nothing, but what differs; with ``components`` (a list, or names with commas between them; empty for all)

Result of the first two: ``plan``; ``wanted`` and ``components``, the names of the steps, or for a rollback ``release``,
the inventory's; ``facts``, where they may be needed: of a node that is not in step, or with ``facts: true``. With
``stop: true`` a node that must not be changed fails here; without it the plan's ``refusals`` say so.

Result of the check for drift: ``node``, as docs/fleet.schema.json says, without its groups but with ``began``, when its
check began (seconds of the epoch). It never fails: a node that cannot be checked has a finding that says why.
"""

from __future__ import annotations

import shlex
import time
from typing import Any

from ansible import constants
from ansible.context import CLIARGS
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import Refusal
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import fleet
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.silence import said_by
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan as plan_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.policies import one_of, users
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollback import rollback
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollout import CONVERGED, apply_to
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.to_prove import to_prove
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import cards_out, resolve
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.words import refusal_text
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import release_of

PYTHON = "/usr/bin/python3"
ANSWER_S = 100  # for the node's answer, where the task has no time limit


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = self._task.args
        settings = {**arguments["settings"], "deep": boolean(arguments.get("deep", arguments["settings"]["deep"]))}
        if arguments["purpose"] == "drift":
            return {**result, "changed": False, **self._checked(settings, task_vars)}
        try:
            return {**result, "changed": False, **self._planned(arguments, settings, task_vars)}
        except AscendError as error:
            raise AnsibleActionFail(str(error)) from error

    def _planned(self, arguments: Any, settings: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        answer = self._answer(_questions(settings, arguments["purpose"]), task_vars)
        facts = _facts(answer)
        if facts is None:
            return answer
        if arguments["purpose"] == "rollback":
            plan = rollback(facts, arguments["rollback_to"], settings["ascend_root"])
            planned = {"plan": plan, "release": settings["release"]}
        else:
            planned = _provision(facts, settings, arguments)
        if planned["plan"]["group"] != CONVERGED or boolean(arguments.get("facts", False)):
            planned["facts"] = facts
        if boolean(arguments.get("stop", False)) and planned["plan"]["refusals"]:
            planned.update(failed=True, msg=refusal_text(planned["plan"]["refusals"], task_vars["inventory_hostname"]))
        return planned

    # --- drift ---------------------------------------------------------------------------------------------------

    def _checked(self, settings: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        began, begin = time.time(), time.monotonic()
        name = task_vars["inventory_hostname"]
        inventory = fleet.inventory_options(CLIARGS.get("inventory"))
        settings = {**settings, "check_mode": True}
        try:
            components = fleet.chosen(self._task.args["components"])
        except AscendError:
            # Told once, by the report.
            return {}
        try:
            questions = _questions(settings, "drift")
        except AscendError as error:
            return {"node": fleet.unchecked(name, error, True, settings, components, inventory)}
        facts, reason, reached = self._facts_or_reason(questions, task_vars)
        if facts is None:
            node = fleet.unchecked(name, reason, reached, settings, components, inventory)
        else:
            repair = f"ansible-playbook site.yml {inventory} --limit {shlex.quote(name)}"
            node = self._compared(name, facts, settings, components, repair, inventory, task_vars)
        node.update(depot_dir=str(settings["depot_dir"]), began=began, seconds=round(time.monotonic() - begin, 2))
        return {"node": node}

    def _facts_or_reason(self, questions: dict[str, Any], task_vars: Any) -> tuple[dict[str, Any] | None, str, bool]:
        """Return (facts or None, what came instead, whether the node was reached)."""
        try:
            answer = self._answer(questions, task_vars)
        except AnsibleConnectionFailure as error:
            return None, str(error), False
        except BaseException as error:
            # The task's time limit is none of Exception's kin, and its class has moved between versions of Ansible.
            if type(error).__name__ == "TaskTimeoutError":
                return None, f"nothing within {self._task.timeout} s, the time limit of the check", True
            if not isinstance(error, Exception):
                raise
            return None, str(error), True
        facts = _facts(answer)
        return facts, "" if facts else said_by(answer), True

    def _compared(
        self,
        name: str,
        facts: dict[str, Any],
        settings: dict[str, Any],
        components: tuple[str, ...],
        repair: str,
        inventory: str,
        task_vars: Any,
    ) -> dict[str, Any]:
        """Facts of another version, or a defect of the planner, cost this node's result and no other's."""
        try:
            wanted = resolve(facts, settings)
            plan = plan_of(facts, wanted)
            if settings["deep"] and "env" in components:
                plan["refusals"] += self._proven(facts, wanted, plan, users(settings["users"]), task_vars)
            return fleet.checked(name, facts, wanted, plan, components, repair)
        except (AscendError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            reason = error if isinstance(error, AscendError) else f"{type(error).__name__}: {error}"
            return fleet.unchecked(name, reason, True, settings, components, inventory)

    def _proven(self, facts: Any, wanted: Any, plan: Any, accounts: Any, task_vars: Any) -> list[Refusal]:
        """Prove the environment on every card where nobody trains; return what fails.

        site.yml does the same before it makes an environment current. What is to be repaired first is not run.
        """
        if plan["steps"] or plan["refusals"]:
            return []
        questions = {
            "environment": wanted["environment"]["path"],
            "ascend_env": wanted["ascend_env"]["path"],
            "expected_devices": len(facts["npu"]["devices"]),
            "devices": to_prove(facts, wanted["cards"]["out"], spare_busy=True)["devices"],
            "expected_versions": wanted["environment"]["versions"],
            "users": accounts,
            "tmp_dir": wanted["places"]["tmp"],
        }
        answer = self._execute_module("ascend.fleet.npu_check", module_args=questions, task_vars=task_vars)
        return [fleet.unproven(answer)] if answer.get("failed") else []

    # --- the node ------------------------------------------------------------------------------------------------

    def _answer(self, questions: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """One remote call, with the Python that systems have; where it is not there, Ansible looks for one."""
        # The node tells what it hangs at, so it has to give up before this task does.
        limit = int(self._task.timeout * 5 / 6) if self._task.timeout else ANSWER_S
        questions["timeout_s"] = max(1, int(self._task.args.get("timeout_s", limit)))
        configured = constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)
        guessed = (
            str(configured).startswith("auto") and "discovered_interpreter_python" not in task_vars["ansible_facts"]
        )
        variables = {**task_vars, "ansible_python_interpreter": PYTHON} if guessed else task_vars
        answer: dict[str, Any] = self._execute_module(
            "ascend.fleet.ascend_facts", module_args=questions, task_vars=variables
        )
        if guessed and answer.get("rc") == 127:
            answer = self._execute_module("ascend.fleet.ascend_facts", module_args=questions, task_vars=task_vars)
        return answer


def _facts(answer: dict[str, Any]) -> dict[str, Any] | None:
    """Return the facts of a node that told them; None for a module that failed."""
    facts: dict[str, Any] | None = None if answer.get("failed") else answer.get("ansible_facts", {}).get("ascend")
    return facts


def _provision(facts: dict[str, Any], settings: dict[str, Any], arguments: Any) -> dict[str, Any]:
    begun = arguments.get("begun")
    # What a change began to make, it ends with, whatever became of the depot meanwhile.
    wanted = {**begun["wanted"], "deep": settings["deep"]} if begun else resolve(facts, settings)
    plan = apply_to(facts, wanted, one_of("ascend_busy_policy", arguments["busy_policy"]))
    if begun:
        # What was taken away already comes back when it is verified.
        sets_aside = begun["plan"]["sets_aside"] or plan["sets_aside"]
        plan.update({"from": begun["plan"]["from"], "sets_aside": sets_aside})
    return {"plan": plan, "wanted": wanted, "components": [step["component"] for step in plan["steps"]]}


def _questions(settings: dict[str, Any], purpose: str) -> dict[str, Any]:
    """Return what is asked of the node. Who uses the cards is no drift; its deep form proves them, and asks."""
    places = {name: settings[name] for name in ("cann_root", "cache_dir", "state_dir", "tmp_dir")}
    if purpose == "rollback":
        return {"gather_subset": ["cann", "npu", "python"], **places, "ascend_root": settings["ascend_root"]}
    cards = "cards" if purpose == "drift" and not settings["deep"] else "npu"
    return {
        "gather_subset": ["cann", "python", "system", cards, "network" if settings["deep"] else "links"],
        "kernel_settings": sorted(release_of(settings)["system"]["kernel_settings"]),
        "cards_out": cards_out(settings["cards"]["out"]),
        "users": users(settings["users"]),
        "deep": settings["deep"],
        **places,
        "ascend_root": settings["ascend_root"],
    }
