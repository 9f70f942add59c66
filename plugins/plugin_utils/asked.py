# SPDX-License-Identifier: Apache-2.0
"""What the inventory asks of the depot: the variables of its nodes, rendered without asking a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.policies import architectures
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wishes import understood
from ansible_collections.ascend.fleet.plugins.plugin_utils.alike import signature
from ansible_collections.ascend.fleet.plugins.plugin_utils.rendered import rendered

ASKED = ("ascend_settings", "depot_architectures")


def of_all(templar: Any, task_vars: Any, nodes: Iterable[str], common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each node's variables ask for, once for all nodes with the same result.

    ``common`` are the variables that all share: the roles' defaults, which the task has and ``hostvars`` lacks, and of
    which the inventory's variables may be made. Without a node, they alone decide.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in nodes:
        variables = {**common, **task_vars["hostvars"].raw_get(name)}
        key = signature(variables, ASKED) or name
        if key not in found:
            found[key] = _asked(templar, variables)
    return list(found.values()) or [_asked(templar, common)]


def _asked(templar: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
    templar = templar.copy_with_new_env(available_variables=variables)
    return {name: rendered(templar, variables, variables.get(name)) for name in ASKED}


def checked(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked, as code expects it. Raises AscendError for a value of another kind."""
    return {
        "ascend_settings": understood(node["ascend_settings"]),
        "depot_architectures": architectures(node["depot_architectures"]),
    }
