# SPDX-License-Identifier: Apache-2.0
"""Action ``rack_plan``: who does what next in a preflight. Once for all nodes, on the control node.

Argument ``step``: ``reach``, who pings and connects to whom, among the nodes without a fault of their own; or ``run``,
which of them then do all_reduce together. Result: ``nodes``, node -> arguments of ``rack_reach`` or ``rack_run``; other
nodes do nothing.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.policies import users
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack import rates, reach
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack.report import Found
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words
from ansible_collections.ascend.fleet.plugins.plugin_utils.rack import answers, reached, wishes_in
from ansible_collections.ascend.fleet.plugins.plugin_utils.rendered import rendered


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        settings = rendered(self._templar, task_vars, task_vars["ascend_settings"])
        rack = rendered(self._templar, task_vars, task_vars["rack_settings"])
        with failing_in_words():
            wishes = wishes_in(rack, settings)
            found = Found(answers(task_vars), wishes)
            if self._task.args["step"] == "reach":
                nodes = _reach(found)
            else:
                found.add(reach.failures(reached(task_vars)))
                nodes = _run(found, settings, int(rack["timeout_s"])) if wishes.network else {}
        return {**result, "changed": False, "nodes": nodes}


def _reach(found: Found) -> dict[str, Any]:
    looks = {name: found.answers[name]["look"] for name in found.passing()}
    if len(looks) < 2:
        return {}
    asked = reach.questions(looks, found.wishes)
    return {
        name: {**each, "source": looks[name]["interface"]["address"], "interface": looks[name]["interface"]["name"]}
        for name, each in asked.items()
    }


def _run(found: Found, settings: Any, timeout_s: int) -> dict[str, Any]:
    names = [name for name in found.passing() if found.answers[name]["ranks"]]
    if len(names) < 2:
        return {}
    sizes, repeats = found.wishes.sizes
    common = {
        "environment": f"{settings['ascend_root']}/env/current",
        "ascend_env": settings["ascend_env"],
        "device": found.wishes.device,
        "counts": [len(found.answers[name]["ranks"]) for name in names],
        "master_address": found.answers[names[0]]["look"]["interface"]["address"],
        "master_port": found.wishes.master_port,
        "sizes": sizes,
        "repeats": repeats,
        "rounds": rates.rounds(len(names)),
        "users": users(settings["users"]),
        "tmp_dir": settings["tmp_dir"],
        "timeout_s": timeout_s,
    }
    return {
        name: {
            **common,
            "node": number,
            "devices": found.answers[name]["ranks"],
            "interface": found.answers[name]["look"]["interface"]["name"],
        }
        for number, name in enumerate(names)
    }
