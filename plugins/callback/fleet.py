# SPDX-License-Identifier: Apache-2.0
"""Ansible's own output, but for what a drift check says of a thousand nodes: progress, and one screen at the end.

A node that is silent is told with its reason, as a drift check tells it. No secret is shown.
After a rollout the recap is followed by what became of each node: changed, failed, busy, not reached.
"""

from __future__ import annotations

DOCUMENTATION = """
name: fleet
type: stdout
short_description: Ansible's default output, with a drift check's progress and summary in place of a line a node
description:
  - The output of C(ansible.builtin.default) for all but the actions of the playbooks C(drift) and C(merge).
  - A drift check shows how many nodes were checked, and ends with the report's summary instead of a line a node.
  - What every other playbook says of a silent node is followed by the reason, where it is known, and the next command.
  - Secrets in what is printed or logged are masked.
  - It also makes 3 of the exit code 2 when nodes could not be checked; with another callback that is 2 as well.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

import functools
import gc
import os
import sys
from typing import Any

from ansible.context import CLIARGS
from ansible.executor.task_queue_manager import TaskQueueManager
from ansible.plugins.callback.default import CallbackModule as Default

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.masking import masked
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.fleet import inventory_options
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.silence import (
    is_known,
    said_by,
    silence,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollout import BUSY, TO_CHANGE, WAITING
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.words import rollout_lines
from ansible_collections.ascend.fleet.plugins.plugin_utils.board import share

NODE = "ascend.fleet.node_plan"
INVENTORY = "ascend.fleet.inventory_check"
# Actions whose summary ends the output instead of a line a node, and its title.
REPORTS = {
    "ascend.fleet.drift_report": "DRIFT",
    "ascend.fleet.drift_merge": "DRIFT",
    "ascend.fleet.rack_report": "PREFLIGHT",
    "ascend.fleet.doctor_report": "DOCTOR",
    "ascend.fleet.ssh_enroll": "ENROLMENT",
}
DEPOT = "ascend.fleet.depot"
SEND = "ascend.fleet.depot_files"
# The fleet, and the groups in which roles/rollout puts its nodes.
GROUPS = ("ascend", TO_CHANGE, WAITING, BUSY, "ascend_reached", "ascend_done", "ascend_built")
CLEARED = "\r\x1b[K"
EVERY = 100  # nodes between two lines of progress, where the output is no terminal


class CallbackModule(Default):  # type: ignore[misc]  # ansible ships no types
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "ascend.fleet.fleet"

    def __init__(self) -> None:
        super().__init__()
        _show(self._display)
        self._checked = self._bad = self._total = 0
        self._report: dict[str, Any] = {}

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        super().v2_playbook_on_task_start(task, is_conditional)
        # What these tasks show while they work comes below their name, which Ansible prints with the first result.
        shows = task.action in (DEPOT, SEND)
        self._display.ahead = functools.partial(self._print_task_banner, task) if shows else None
        if task.action == SEND:
            share(self._hosts(task))
        if task.action == NODE:
            self._total = self._hosts(task)
            # Workers are forked from here: what no garbage collector touches, they share instead of copying it.
            gc.collect()
            gc.freeze()

    def _hosts(self, task: Any) -> int:
        return len(task.get_variable_manager().get_vars(play=self._play)["ansible_play_hosts_all"])

    def _print_task_banner(self, task: Any) -> None:
        self._display.ahead = None
        super()._print_task_banner(task)

    def v2_runner_on_ok(self, result: Any) -> None:
        answer = result._result
        check, report = _is_check(result._task), result._task.action in REPORTS
        if check:
            self._progress(answer.get("node", {}).get("state", "unchecked"))
        elif report and "summary" in answer:
            self._report = {"summary": list(answer["summary"]), "exit_code": int(answer["exit_code"])}
            self._report["title"] = REPORTS[result._task.action]
        if not (check or report) or self._run_is_verbose(result):
            super().v2_runner_on_ok(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if _is_check(result._task):
            self._progress("unchecked")
        elif not self._ends_the_check(result):
            if result._task.action == INVENTORY:
                TaskQueueManager.RUN_FAILED_HOSTS = result._result.pop("exit_code", 2)
            if result._task.action == NODE and not self._run_is_verbose(result):
                self._leave_the_reason(result._result)
            super().v2_runner_on_failed(result, ignore_errors)
            if any(result._result.get(key) for key in ("module_stderr", "module_stdout", "timedout")):
                self._show_reason(result, reached=True)
        else:
            # The way to a third exit code: a run of failed hosts ends with this one.
            TaskQueueManager.RUN_FAILED_HOSTS = self._report["exit_code"]

    def v2_runner_retry(self, result: Any) -> None:
        # To wait for what runs in the background is no failure.
        if not result._task.action.endswith("async_status"):
            super().v2_runner_retry(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        super().v2_runner_on_unreachable(result)
        self._show_reason(result, reached=False)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if not self._report:
            super().v2_playbook_on_stats(stats)
            self._show_rollout(stats)
            return
        self._display.banner(self._report["title"])
        for line in self._report["summary"]:
            self._display.display(line)

    @staticmethod
    def _leave_the_reason(answer: dict[str, Any]) -> None:
        """Leave of a stopped node's answer what its message says: the plan is shown for all nodes at once."""
        for name in ("plan", "wanted", "components", "peer", "release"):
            answer.pop(name, None)

    def _show_reason(self, result: Any, reached: bool) -> None:
        """Say why a node is silent, in the drift check's words; a reason that is not known says nothing more."""
        node = result._host.get_name()
        reason = silence(node, said_by(result._result), reached, inventory_options(CLIARGS.get("inventory")))
        if is_known(reason):
            for line in (f"{node}: {reason['problem']}", f"  found: {reason['found']}", f"  next:  {reason['remedy']}"):
                self._display.display(line)

    def _show_rollout(self, stats: Any) -> None:
        groups = self._play.get_variable_manager()._inventory.get_groups_dict() if self._play else {}
        nodes = {name: groups.get(name, []) for name in GROUPS}
        began = nodes["ascend_reached"] or set(nodes["ascend"]) & set(nodes["ascend_busy"])
        if not began or CLIARGS["check"] or "stage" in CLIARGS["tags"]:
            return
        lines = rollout_lines(nodes, [*stats.failures, *stats.dark])
        self._display.banner("ROLLOUT")
        for line in lines:
            self._display.display(line)

    def _ends_the_check(self, result: Any) -> bool:
        """Whether this is the task that fails because of what the report says."""
        reported = "_report.exit_code" in str(result._task.when)
        return bool(self._report) and result._task.action.endswith("fail") and reported

    def _progress(self, state: str) -> None:
        self._checked += 1
        self._bad += state != "clean"
        text = f"nodes checked: {self._checked:,} of {self._total:,}; with findings: {self._bad:,}"
        last = self._checked == self._total
        if sys.stdout.isatty():
            sys.stdout.write(f"\r{text}" + ("\n" if last else ""))
            sys.stdout.flush()
        elif last or self._checked % EVERY == 0:
            self._display.display(text)


def _is_check(task: Any) -> bool:
    """Whether this is the drift check's own task, of which a node has no line."""
    return bool(task.action == NODE and task.args.get("purpose") == "drift")


def _show(display: Any) -> None:
    """Mask all that is printed or logged, and clear a line that is drawn again and again before another comes.

    Ansible's own errors and warnings, and -vvv, go the same way as results.
    """
    if hasattr(display, "unmasked"):
        return
    display.unmasked, display.ahead = display.display, None
    process = os.getpid()
    drawn = False

    def shown(text: Any, *arguments: Any, **named: Any) -> None:
        nonlocal drawn
        text = masked(str(text))
        ahead, display.ahead = display.ahead, None
        if ahead and os.getpid() == process:  # what a worker shows comes here from it
            ahead()
        if drawn and not text.startswith("\r"):
            display.unmasked(CLEARED, screen_only=True, newline=False)
        drawn = text.startswith("\r") and not named.get("newline", True)
        display.unmasked(text, *arguments, **named)

    display.display = shown
