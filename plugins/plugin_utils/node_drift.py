# SPDX-License-Identifier: Apache-2.0
"""The drift check of one node: its facts compared with its plan. It never fails: the report has every node."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import Any

from ansible.context import CLIARGS
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import Refusal
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import fleet, helper
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.silence import said_by
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.between import peer_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan as plan_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.policies import users
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.to_prove import to_prove
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import resolve
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wishes import flag, understood

from . import node_facts
from .node_facts import Execute
from .playbook import is_time_limit


@dataclass(frozen=True)
class Check:
    """What one node's check needs of Ansible: its task, the variables, and how to run a module and a command there."""

    task: Any
    task_vars: Any
    execute: Execute
    command: Execute

    def node(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return ``{"node": ...}``, as the action documents; nothing if there are no such components to inspect."""
        began, begin = time.time(), time.monotonic()
        try:
            components = fleet.chosen(self.task.args["components"])
        except AscendError:
            # Told once, by the report.
            return {}
        name = self.task_vars["inventory_hostname"]
        inventory = fleet.inventory_options(CLIARGS.get("inventory"))
        try:
            settings = understood({**settings, "check_mode": True})
            settings["deep"] |= flag("drift_deep", self.task.args["deep"])
            by_helper = flag("drift_by_helper", self.task.args.get("by_helper", False))
            asked = node_facts.questions(settings, "drift")
            if by_helper:
                helper.refuse_deep(asked)
        except AscendError as error:
            return {"node": fleet.unchecked(name, error, True, settings, components, inventory)}
        facts, reason, reached = self._facts(asked, by_helper)
        if facts is None:
            node = fleet.unchecked(name, reason, reached, settings, components, inventory)
        else:
            node = self._compared(name, facts, settings, components, inventory)
        node.update(depot_dir=str(settings["depot_dir"]), began=began, seconds=round(time.monotonic() - begin, 2))
        return {"node": node}

    def _facts(self, asked: dict[str, Any], by_helper: bool) -> tuple[dict[str, Any] | None, str | AscendError, bool]:
        """Return (facts or None, what came instead, whether the node was reached)."""
        try:
            if by_helper:
                return helper.facts(self.command(helper.COMMAND, sudoable=False), asked), "", True
            answer = node_facts.answer(self.execute, asked, self.task, self.task_vars)
        except helper.HelperError as error:
            return None, error, True
        except AnsibleConnectionFailure as error:
            return None, str(error), False
        except BaseException as error:
            if is_time_limit(error):
                return None, f"nothing within {self.task.timeout} s, the time limit of the check", True
            if not isinstance(error, Exception):
                raise
            return None, str(error), True
        facts = node_facts.facts_of(answer)
        return facts, "" if facts else said_by(answer), True

    def _compared(
        self, name: str, facts: dict[str, Any], settings: dict[str, Any], components: tuple[str, ...], inventory: str
    ) -> dict[str, Any]:
        """Facts of another version, or a defect of the planner, cost only this node's result."""
        repair = f"ansible-playbook site.yml {inventory} --limit {shlex.quote(name)}"
        try:
            wanted = resolve(facts, settings)
            plan = plan_of(facts, wanted)
            if settings["deep"] and "env" in components:
                plan["refusals"] += self._unproven(facts, wanted, plan, users(settings["users"]))
            node = fleet.checked(name, facts, wanted, plan, components, repair)
            return {**node, "peer": peer_of(facts, wanted)}
        except (AscendError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            reason = error if isinstance(error, AscendError) else f"{type(error).__name__}: {error}"
            return fleet.unchecked(name, reason, True, settings, components, inventory)

    def _unproven(self, facts: Any, wanted: Any, plan: Any, accounts: Any) -> list[Refusal]:
        """Prove the environment on every idle card; return what fails.

        site.yml does the same before it makes an environment current. An environment that must be repaired first is not
        run.
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
        answer = self.execute("ascend.fleet.npu_check", module_args=questions, task_vars=self.task_vars)
        return [fleet.unproven(answer)] if answer.get("failed") else []
