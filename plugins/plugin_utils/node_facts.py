# SPDX-License-Identifier: Apache-2.0
"""Ask a node for its facts: the questions for each purpose, and the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible import constants

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.policies import users
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import cards_out
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import release_of

MODULE = "ascend.fleet.ascend_facts"
PYTHON = "/usr/bin/python3"
ANSWER_S = 100  # for the node's answer, where the task has no time limit

Answer = dict[str, Any]
Execute = Callable[..., Answer]  # ActionBase._execute_module


def questions(settings: dict[str, Any], purpose: str) -> dict[str, Any]:
    """Return the questions for the node. Use of the cards is not drift; only the deep form asks about it."""
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


def answer(execute: Execute, asked: dict[str, Any], task: Any, task_vars: Any) -> Answer:
    """Return the module's result: one remote call, with the Python that most systems have.

    If that does not exist, Ansible searches for one. The node reports what it hangs at, so it must give up before the
    ``task`` does.
    """
    limit = int(task.timeout * 5 / 6) if task.timeout else ANSWER_S
    asked = {**asked, "timeout_s": max(1, int(task.args.get("timeout_s", limit)))}
    configured = constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)
    guessed = str(configured).startswith("auto") and "discovered_interpreter_python" not in task_vars["ansible_facts"]
    variables = {**task_vars, "ansible_python_interpreter": PYTHON} if guessed else task_vars
    found = execute(MODULE, module_args=asked, task_vars=variables)
    if guessed and found.get("rc") == 127:
        found = execute(MODULE, module_args=asked, task_vars=task_vars)
    return found


def facts_of(found: Answer) -> dict[str, Any] | None:
    """Return a node's facts; None if the module failed."""
    facts: dict[str, Any] | None = None if found.get("failed") else found.get("ansible_facts", {}).get("ascend")
    return facts
