# SPDX-License-Identifier: Apache-2.0
"""Action ``rack_node``: a node's answers before it trains with others, and its smoke test. Changes nothing.

The smoke test uses only this node, without a rendezvous: the proof on every card (``npu_check``), then a matmul and an
all_reduce within the node (``rack_run``). Nothing runs on cards in use, or while the node is being changed.

The settings are the play's ``ascend_settings`` and ``rack_settings``; they need no argument.
Result: ``node``: ``look`` (of ``rack_look``), ``clock`` (between how many seconds this node's is ahead of the control
node's), ``ranks`` (the devices that a job uses), ``left_out``, ``proof``, ``smoke`` (null where they were not done),
``began_s``; or ``silent``, the finding of a node that did not answer. It never fails: the report has every node.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.context import CLIARGS
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.fleet import inventory_options
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.silence import said_by, silence
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.policies import users
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.to_prove import to_prove
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import cards_out
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack.alone import before_smoke
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack.wishes import (
    CPU,
    RANKS_ON_CPU,
    SMOKE_SIZES,
    Wishes,
)
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words
from ansible_collections.ascend.fleet.plugins.plugin_utils.playbook import is_time_limit
from ansible_collections.ascend.fleet.plugins.plugin_utils.rack import paths_of, wishes_in
from ansible_collections.ascend.fleet.plugins.plugin_utils.rendered import rendered

_PLACES = ("cann_root", "ascend_root", "cache_dir", "state_dir", "tmp_dir")


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        settings = rendered(self._templar, task_vars, task_vars["ascend_settings"])
        rack = rendered(self._templar, task_vars, task_vars["rack_settings"])
        began = time.time()
        with failing_in_words():
            node = self._looked(settings, rack, wishes_in(rack, settings), task_vars)
        return {**result, "changed": False, "node": {**node, "began_s": began}}

    def _looked(self, settings: Mapping[str, Any], rack: Mapping[str, Any], wishes: Wishes, task_vars: Any) -> Any:
        places = {name: settings[name] for name in _PLACES}
        out = cards_out(settings["cards"]["out"])
        accounts = users(settings["users"])
        asked = {
            "network": wishes.network,
            "interface": str(rack["interface"]),
            "ports": wishes.ports,
            "paths": paths_of(rack["paths"]),
            "users": accounts,
            "kernel_settings": sorted(wishes.kernel_settings),
            "cards_out": out,
            "timeout_s": int(rack["look_timeout_s"]),
            **places,
        }
        before = time.time()
        answer, reason, reached = self._asked("rack_look", asked, task_vars)
        after = time.time()
        if answer is None or "look" not in answer:
            name = task_vars["inventory_hostname"]
            finding = silence(name, reason, reached, inventory_options(CLIARGS.get("inventory")))
            return {"silent": {**finding, "subset": "rack"}, "ranks": []}
        look = {**answer["look"], "facts": _kept(answer["look"]["facts"])}
        # The node's two times lie between the control node's.
        spent = look["ended_s"] - look["began_s"]
        clock = [look["began_s"] - (after - spent), look["began_s"] - before]
        for device in look["facts"]["npu"]["devices"]:
            device["out"] = device["npu_id"] in out
        chosen = to_prove(look["facts"], out, spare_busy=True)
        ranks = chosen["devices"][:RANKS_ON_CPU] if wishes.device == CPU else chosen["devices"]
        node = {
            "look": look,
            "clock": clock,
            "ranks": ranks,
            "left_out": chosen["left_out"],
            "proof": None,
            "smoke": None,
        }
        if not before_smoke(node) and ranks:
            self._smoke(node, chosen["devices"], settings, rack, wishes, accounts, task_vars)
        return node

    def _smoke(
        self,
        node: dict[str, Any],
        devices: list[int],
        settings: Mapping[str, Any],
        rack: Mapping[str, Any],
        wishes: Wishes,
        accounts: list[str],
        task_vars: Any,
    ) -> None:
        common = {
            "environment": f"{settings['ascend_root']}/env/current",
            "ascend_env": settings["ascend_env"],
            "users": accounts,
            "tmp_dir": settings["tmp_dir"],
            "timeout_s": int(rack["smoke_timeout_s"]),
        }
        npu = node["look"]["facts"]["npu"]
        proof = {**common, "expected_devices": len(npu["devices"]), "devices": devices}
        answer, reason, _ = self._asked("npu_check", proof, task_vars)
        node["proof"] = answer if answer is not None else {"failed": True, "msg": reason}
        if node["proof"].get("failed"):
            return
        job = {
            **common,
            "device": wishes.device,
            "devices": node["ranks"],
            "sizes": SMOKE_SIZES,
            "interface": node["look"]["interface"]["name"] or "",
        }
        answer, reason, _ = self._asked("rack_run", job, task_vars)
        node["smoke"] = (answer or {}).get("ranks") or {"ok": False, "error": reason or said_by(answer or {})}

    def _asked(self, module: str, arguments: dict[str, Any], task_vars: Any) -> tuple[Any, str, bool]:
        """Return (the module's answer or None, why there is none, whether the node was reached)."""
        try:
            answer = self._execute_module(f"ascend.fleet.{module}", module_args=arguments, task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            return None, str(error), False
        except BaseException as error:
            if is_time_limit(error):
                return None, f"nothing within {self._task.timeout} s, the time limit of the check", True
            if not isinstance(error, Exception):
                raise
            return None, str(error), True
        return answer, said_by(answer) if answer.get("failed") else "", True


def _kept(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the facts that is judged, because a play keeps every node's result to its end."""
    environments = facts["environments"]
    current = environments["current"]
    of_current = {current: environments["all"][current]} if current in environments["all"] else {}
    homes = {name: {"cann_home": each["cann_home"]} for name, each in of_current.items()}
    kept = {key: facts[key] for key in ("changes", "npu", "network", "findings") if key in facts}
    system = {key: facts["system"][key] for key in ("kernel_settings", "limits")}
    firmware = {"firmware_version": facts["driver"]["firmware_version"]}
    return {**kept, "system": system, "driver": firmware, "environments": {"current": current, "all": homes}}
