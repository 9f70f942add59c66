# SPDX-License-Identifier: Apache-2.0
"""Action ``depot_needs``: what the depot lacks for the inventory's nodes, each with its own variables.

No node is asked: only the inventory counts, whatever ``--limit`` says, or this host's variables if there is no node.
Arguments: ``options``, those of the module ``depot`` that are the same for all; ``served_by_others``. Without them no
depot is inspected; the result only says what is needed, and where (``folders``). Result: ``needs``, ``{"fills",
"sources", "problems"}`` as ``ascend_control.depot.needs`` says. A fill has ``parts``, those which the module ``depot``
has to take; a depot that holds all has neither fills nor sources here. Where others cannot read some of a folder, every
part of it has to be taken, which opens that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.fill import has_to_be_filled, is_closed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.needs import needs
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wishes import flag
from ansible_collections.ascend.fleet.plugins.plugin_utils.asked import checked, of_all
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words

PARTS = ("cann", "python", "uv", "wheels", "swarm")


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        nodes = task_vars["groups"].get("ascend", [])
        with failing_in_words():
            asked = [checked(each) for each in of_all(self._templar, task_vars, nodes, task_vars)]
            options = self._task.args.get("options")
            if options is not None:
                self._served = flag("depot_served_by_others", self._task.args["served_by_others"])
            needed = needs(asked)
        if options is not None and not needed["problems"]:
            rights.begin()
            self._closed = {folder for folder in needed["folders"] if is_closed(Path(folder))}
            needed["fills"] = [fill for fill in map(self._lacking, needed["fills"]) if fill["parts"]]
            needed["sources"] = [source for source in needed["sources"] if self._has_to_be_filled("source", source)]
        return {**result, "changed": False, "needs": needed}

    def _lacking(self, fill: dict[str, Any]) -> dict[str, Any]:
        without = {"python"} if fill["python"] == "system" else set()
        without |= set() if fill["swarm"] else {"swarm"}
        parts = [part for part in PARTS if part not in without]
        return {**fill, "parts": [part for part in parts if self._has_to_be_filled(part, fill)]}

    def _has_to_be_filled(self, part: str, need: dict[str, Any]) -> bool:
        arguments = self._task.args
        options = {
            **arguments["options"],
            "part": part,
            "folder": need["depot_dir"],
            "served": self._served and need["served"],
            "release": f"{need['releases_dir']}/{need['release']}",
            "architecture": need.get("architecture"),
            "lock": need.get("lock"),
            "source": need.get("source"),
        }
        # Reading every file takes long: a task of its own says what is read, and what is opened for others.
        if options["deep"] or options["folder"] in self._closed:
            return True
        return has_to_be_filled(options, bool(self._task.check_mode))
