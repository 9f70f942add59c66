# SPDX-License-Identifier: Apache-2.0
"""The planner and its words, for playbooks.

``settings | ascend_release``              the release that the settings name
``settings | ascend_release_problems(a)``  what of it and its locks for the architectures ``a`` does not fit
``facts | ascend_wanted(settings)``        what this node should be
``settings | ascend_places``               where things lie on a node, held to what can be a place
``file | ascend_env_program(root)``        the program ascend-env for environments below ``root``
``facts | ascend_plan(wanted)``            what it takes: steps, refusals, warnings, remarks
``facts | ascend_rollout(wanted, policy)``   the plan, and how it is applied to a node in use
``facts | ascend_rollback(to, root)``      what to go back to, and what keeps the node from it
``processes | ascend_busy(count, unclear)``  the refusal of a node whose cards have processes, or may have; None without
``reached | ascend_rollout_stops(...)``    why a rollout has to stop after a batch, or nothing
``plan.refusals | ascend_refusal``         the message of a stopped node
``plans | ascend_fleet_plan``              a whole fleet's plans (host -> plan) as lines, alike nodes together
``plans | ascend_fleet_rollback(wanted)``  the same of a rollback; ``wanted`` are the inventory's releases
``plan.remarks | ascend_remarks``          what is no drift and worth knowing, as lines
``facts | ascend_installed``               what is installed on a node, as lines
``facts | ascend_cards_to_prove(out, spare_busy)``   the devices to prove an environment on, and the cards left out
``result | ascend_proof(left_out)``        what npu_check found on each card, what was left out, and as whom, as lines
``left_out | ascend_left_out``             the cards left out, as lines
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleFilterError

# Ansible offers module_utils/ to modules only; filters are imported by the control node's own Python.
_MODULE_UTILS = str(Path(__file__).resolve().parent.parent / "module_utils")
if _MODULE_UTILS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_MODULE_UTILS)

from ansible.module_utils.ascend.errors import AscendError  # noqa: E402  (after the path above)
from ansible.module_utils.ascend_control.plan.places import ascend_env, places  # noqa: E402
from ansible.module_utils.ascend_control.plan.plan import plan  # noqa: E402
from ansible.module_utils.ascend_control.plan.policies import batches, one_of, percent, users  # noqa: E402
from ansible.module_utils.ascend_control.plan.rollback import rollback  # noqa: E402
from ansible.module_utils.ascend_control.plan.rollout import apply_to, busy, stops  # noqa: E402
from ansible.module_utils.ascend_control.plan.to_prove import to_prove  # noqa: E402
from ansible.module_utils.ascend_control.plan.wanted import cards_out, release_of, release_problems, resolve  # noqa: E402
from ansible.module_utils.ascend_control.plan.words import (  # noqa: E402
    fleet_plan,
    installed_lines,
    left_out_lines,
    proof_lines,
    refusal_text,
    remark_lines,
    rollback_lines,
)


def _for_operator(function: Callable[..., Any]) -> Callable[..., Any]:
    """An AscendError is for the operator to read, not a defect of the filter."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except AscendError as error:
            raise AnsibleFilterError(str(error)) from error

    return call


def _apply_to(found: Any, wanted: Any, policy: Any) -> Any:
    return apply_to(found, wanted, one_of("ascend_busy_policy", policy))


def _stops(reached: Any, well: Any, most: Any) -> Any:
    return stops(reached, well, percent("rollout_max_fail_percentage", most))


class FilterModule:
    def filters(self) -> Mapping[str, Callable[..., Any]]:
        return {
            "ascend_release": _for_operator(release_of),
            "ascend_release_problems": _for_operator(release_problems),
            "ascend_wanted": _for_operator(resolve),
            "ascend_env_program": _for_operator(ascend_env),
            "ascend_places": _for_operator(places),
            "ascend_plan": _for_operator(plan),
            "ascend_rollout": _for_operator(_apply_to),
            "ascend_users": _for_operator(users),
            "ascend_batches": _for_operator(batches),
            "ascend_rollback": _for_operator(rollback),
            "ascend_busy": busy,
            "ascend_rollout_stops": _for_operator(_stops),
            "ascend_refusal": refusal_text,
            "ascend_fleet_plan": fleet_plan,
            "ascend_fleet_rollback": rollback_lines,
            "ascend_remarks": remark_lines,
            "ascend_installed": installed_lines,
            "ascend_cards_out": _for_operator(cards_out),
            "ascend_cards_to_prove": _for_operator(
                lambda facts, out, idle=False: to_prove(facts, cards_out(out), bool(idle))
            ),
            "ascend_proof": proof_lines,
            "ascend_left_out": left_out_lines,
        }
