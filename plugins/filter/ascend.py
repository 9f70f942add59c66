# SPDX-License-Identifier: Apache-2.0
"""What the planner says about a plan, for the roles that apply it (the action node_plan makes the plan).

``places | ascend_places``                 where things are on a node, as modules name them; refuses anything else
``file | ascend_env_program(ascend_root)`` the program ascend-env for environments below it
``folder | ascend_examples(ascend_root)``  the examples in a folder, by name, for environments below it
``lock | ascend_environment_name(release, source)``   the name of the environment that is made of a lock, by its text
``processes | ascend_busy(count, unclear)``  the refusal of a node whose cards have processes, or may have; None without
``reached | ascend_rollout_stops(...)``    why a rollout has to stop after a batch, or nothing
``plan.refusals | ascend_refusal``         the message of a stopped node
``plan.remarks | ascend_remarks``          what is no drift and worth knowing, as lines
``facts | ascend_installed``               what is installed on a node, as lines
``facts | ascend_cards_to_prove(out, spare_busy)``   the devices to prove an environment on, and the cards left out
``result | ascend_proof(left_out)``        what npu_check found on each card, what was left out, and as whom, as lines
``left_out | ascend_left_out``             the cards left out, as lines
``devices | ascend_devices``               a list of devices, which with -e is text
``run | ascend_training``                  what a training run does, as lines
``models | ascend_served``                 what a node serves, as lines
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment.lock import digest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.places import (
    ascend_env,
    examples_of,
    places,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.policies import percent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollout import busy, stops
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.to_prove import to_prove
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import cards_out, environment_name
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.words import (
    installed_lines,
    left_out_lines,
    proof_lines,
    refusal_text,
    remark_lines,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.serve.words import served_text
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.train.words import devices, training_text


def _for_operator(function: Callable[..., Any]) -> Callable[..., Any]:
    """An AscendError is for the operator to read, not a defect of the filter."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except AscendError as error:
            raise AnsibleFilterError(str(error)) from None

    return call


def _stops(reached: Any, well: Any, most: Any) -> Any:
    return stops(reached, well, percent("rollout_max_fail_percentage", most))


def _module_places(given: Any) -> Any:
    places(given)
    return given


class FilterModule:
    def filters(self) -> Mapping[str, Callable[..., Any]]:
        return {
            "ascend_env_program": _for_operator(ascend_env),
            "ascend_examples": _for_operator(examples_of),
            "ascend_environment_name": lambda lock, release, source: environment_name(release, digest(lock), source),
            "ascend_places": _for_operator(_module_places),
            "ascend_busy": busy,
            "ascend_rollout_stops": _for_operator(_stops),
            "ascend_refusal": refusal_text,
            "ascend_remarks": remark_lines,
            "ascend_installed": installed_lines,
            "ascend_cards_out": _for_operator(cards_out),
            "ascend_cards_to_prove": _for_operator(
                lambda facts, out, idle=False: to_prove(facts, cards_out(out), bool(idle))
            ),
            "ascend_proof": proof_lines,
            "ascend_left_out": left_out_lines,
            "ascend_devices": _for_operator(devices),
            "ascend_training": training_text,
            "ascend_served": served_text,
        }
