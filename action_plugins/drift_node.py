# SPDX-License-Identifier: Apache-2.0
"""Action ``drift_node``: ask a node for its facts and hold them against its plan. Changes nothing, never fails.

Arguments: ``settings`` (the planner's, roles/ascend/vars), ``deep``, ``components`` (a list, or names with commas
between them; empty for all). The result's ``node`` is the node as docs/fleet.schema.json says, without its groups but
with ``began``, when its check began (seconds of the epoch).
A node that cannot be checked has a finding that says why: it stops nobody else, and is in the report.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import constants
from ansible.context import CLIARGS
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

# Ansible offers module_utils/ to modules only; actions are imported by the control node's own Python.
_MODULE_UTILS = str(Path(__file__).resolve().parent.parent / "module_utils")
if _MODULE_UTILS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_MODULE_UTILS)

from ansible.module_utils.ascend.errors import AscendError  # noqa: E402  (after the path above)
from ansible.module_utils.ascend.finding import Refusal  # noqa: E402
from ansible.module_utils.ascend_control.drift import fleet  # noqa: E402
from ansible.module_utils.ascend_control.drift.silence import said_by  # noqa: E402
from ansible.module_utils.ascend_control.plan.plan import plan as plan_of  # noqa: E402
from ansible.module_utils.ascend_control.plan.policies import users  # noqa: E402
from ansible.module_utils.ascend_control.plan.to_prove import to_prove  # noqa: E402
from ansible.module_utils.ascend_control.plan.wanted import cards_out, release_of, resolve  # noqa: E402

PYTHON = "/usr/bin/python3"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        began, begin = time.time(), time.monotonic()
        arguments = self._task.args
        settings = {**arguments["settings"], "deep": boolean(arguments["deep"]), "check_mode": True}
        name = task_vars["inventory_hostname"]
        inventory = fleet.inventory_options(CLIARGS.get("inventory"))
        try:
            components = fleet.chosen(arguments["components"])
        except AscendError:
            # Told once, by the report.
            return result
        try:
            questions = _questions(settings)
        except AscendError as error:
            result["node"] = fleet.unchecked(name, error, True, settings, components, inventory)
            return result
        # The node tells what it hangs at, so it has to give up before this task does.
        questions["timeout_s"] = max(1, int(self._task.timeout * 5 / 6)) if self._task.timeout else 100
        answer, said, reached = self._ask(questions, task_vars)
        if answer is None:
            node = fleet.unchecked(name, said, reached, settings, components, inventory)
        else:
            repair = f"ansible-playbook site.yml {inventory} --limit {shlex.quote(name)}"
            node = self._held(name, answer, settings, components, repair, inventory, task_vars)
        node.update(depot_dir=str(settings["depot_dir"]), began=began, seconds=round(time.monotonic() - begin, 2))
        result.update(changed=False, node=node)
        return result

    def _ask(self, questions: dict[str, Any], task_vars: Any) -> tuple[dict[str, Any] | None, str, bool]:
        """Return (facts or None, what came instead, whether the node was reached)."""
        try:
            answer = self._facts(questions, task_vars)
        except AnsibleConnectionFailure as error:
            return None, str(error), False
        except BaseException as error:
            # The task's time limit is none of Exception's kin, and its class has moved between versions of Ansible.
            if type(error).__name__ == "TaskTimeoutError":
                return None, f"nothing within {self._task.timeout} s, the time limit of the check", True
            if not isinstance(error, Exception):
                raise
            return None, str(error), True
        facts = answer.get("ansible_facts", {}).get("ascend")
        if answer.get("failed") or facts is None:
            return None, said_by(answer), True
        return facts, "", True

    def _facts(self, questions: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """One remote call, with the Python that systems have; where it is not there, Ansible looks for one."""
        configured = constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)
        guessed = (
            str(configured).startswith("auto") and "discovered_interpreter_python" not in task_vars["ansible_facts"]
        )
        variables = {**task_vars, "ansible_python_interpreter": PYTHON} if guessed else task_vars
        answer: dict[str, Any] = self._execute_module("ascend_facts", module_args=questions, task_vars=variables)
        if guessed and answer.get("rc") == 127:
            answer = self._execute_module("ascend_facts", module_args=questions, task_vars=task_vars)
        return answer

    def _held(
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
            said = error if isinstance(error, AscendError) else f"{type(error).__name__}: {error}"
            return fleet.unchecked(name, said, True, settings, components, inventory)

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
        answer = self._execute_module("npu_check", module_args=questions, task_vars=task_vars)
        return [fleet.unproven(answer)] if answer.get("failed") else []


def _questions(settings: dict[str, Any]) -> dict[str, Any]:
    # Who uses the cards is no drift; the deep form proves them, and leaves those in use alone.
    forms = ["npu", "network"] if settings["deep"] else ["cards", "links"]
    subsets = ["cann", "python", "system", *forms]
    return {
        "gather_subset": subsets,
        "kernel_settings": sorted(release_of(settings)["system"]["kernel_settings"]),
        "cards_out": cards_out(settings["cards"]["out"]),
        "users": users(settings["users"]),
        "deep": settings["deep"],
        **{name: settings[name] for name in ("cann_root", "cache_dir", "state_dir", "tmp_dir")},
        "ascend_root": settings["root"],
    }
