# SPDX-License-Identifier: Apache-2.0
"""The planner and its words, for playbooks.

``settings | ascend_release``              the release that the settings name
``facts | ascend_wanted(settings)``        what this node should be
``facts | ascend_plan(wanted)``            what it takes: steps, refusals, warnings
``plan.refusals | ascend_refusal``         the message of a stopped node
``plans | ascend_fleet_plan``              a whole fleet's plans (host -> plan) as lines, alike nodes together
``facts | ascend_installed``               what is installed on a node, as lines
``result.cards | ascend_cards``            what npu_check found on each card, as lines
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
from ansible.module_utils.ascend.plan.plan import plan  # noqa: E402
from ansible.module_utils.ascend_control.report import cards, fleet_plan, installed_lines, refusal_text  # noqa: E402
from ansible.module_utils.ascend_control.wanted import release_of, resolve  # noqa: E402


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """An AscendError is for the operator to read, not a defect of the filter."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except AscendError as error:
            raise AnsibleFilterError(str(error)) from error

    return call


class FilterModule:
    def filters(self) -> Mapping[str, Callable[..., Any]]:
        return {
            "ascend_release": _told(release_of),
            "ascend_wanted": _told(resolve),
            "ascend_plan": _told(plan),
            "ascend_refusal": refusal_text,
            "ascend_fleet_plan": fleet_plan,
            "ascend_installed": installed_lines,
            "ascend_cards": cards,
        }
