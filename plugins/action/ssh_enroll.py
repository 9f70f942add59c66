# SPDX-License-Identifier: Apache-2.0
"""Action ``ssh_enroll``: enroll the nodes of the play, all in one call, on the control node.

The module of this name has its documentation and its options. It is an action because passwords come from the nodes'
variables, so no option, temporary file or process ever contains one; because only a look at all nodes shows a key that
two of them share; and because only a worker of Ansible's can ask at the terminal, and only if a password is needed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.context import CLIARGS
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.text import listed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.times import UTC
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.fleet import inventory_options
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll import connection, report as reports
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.password import Password, password_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.run import FAILED, WOULD, Enrolment
from ansible_collections.ascend.fleet.plugins.modules.ssh_enroll import ARGUMENT_SPEC
from ansible_collections.ascend.fleet.plugins.plugin_utils.enrolment import Inventory, fleet_certificates, wishes_of
from ansible_collections.ascend.fleet.plugins.plugin_utils.failing import failing_in_words


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        _, options = self.validate_argument_spec(ARGUMENT_SPEC)
        rights.begin()
        with failing_in_words():
            return {**result, **self._enrolled(options, task_vars)}

    def _enrolled(self, options: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        connection.library()
        began = time.time()
        check = bool(self._task.check_mode)
        inventory = Inventory(task_vars, self._templar, options, check)
        commands = inventory_options(CLIARGS.get("inventory"))
        wishes = wishes_of(options, check, int(task_vars.get("ansible_forks") or 5), commands)
        nodes = inventory.nodes()
        certifying, made = fleet_certificates(options, nodes, wishes)
        enrolment = Enrolment(nodes, replace(wishes, certifying=certifying), _prompt)
        enrolment.run()
        run = {
            "made": datetime.fromtimestamp(began, timezone.utc).strftime(UTC),
            "seconds": round(time.time() - began, 1),
            "inventory": commands,
            "playbook": "ssh_certificates" if wishes.renew else "enroll",
            "limit": CLIARGS.get("subset"),
            "known_hosts": str(wishes.known_hosts),
            "account": wishes.account,
        }
        report = reports.document(enrolment.nodes, run)
        folder = Path(options["folder"])
        reports.write(report, folder)
        failed = any(node.state == FAILED for node in enrolment.nodes)
        changed = enrolment.before != enrolment.after or inventory.made_key or bool(made)
        return {
            "changed": changed or any(node.changed or node.state == WOULD for node in enrolment.nodes),
            "exit_code": 2 if failed else 0,
            "summary": reports.lines(report, str(folder), [*inventory.remarks(), *made]),
            "nodes": report["nodes"],
            "folder": str(folder),
            "diff": [
                {
                    "before_header": str(wishes.known_hosts),
                    "after_header": str(wishes.known_hosts),
                    "before": enrolment.before,
                    "after": enrolment.after,
                }
            ]
            if enrolment.before != enrolment.after
            else [],
        }


def _prompt(names: Sequence[str]) -> Password:
    """Ask for the initial password, once for all nodes that have none; an empty one if nobody can be asked."""
    question = f"Initial password of {len(names)} nodes ({listed(list(names))}); it is not shown: "
    try:
        answer = Display().prompt_until(question, private=True)
    except AnsibleError:
        return Password("")
    return password_of(answer.decode("utf-8", "surrogateescape").strip("\r\n"), "the terminal")
