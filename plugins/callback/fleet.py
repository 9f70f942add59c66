# SPDX-License-Identifier: Apache-2.0
"""Ansible's own output; on a terminal the working nodes are drawn below it.

A silent node is shown with its reason, as in a drift check. No secret is shown. After a rollout the recap is followed
by each node's result: changed, failed, busy, not reached.
"""

from __future__ import annotations

DOCUMENTATION = """
name: fleet
type: stdout
short_description: Ansible's default output, with the nodes in progress drawn below it on a terminal
description:
  - On a terminal, it draws one line per node in progress, as many as fit, how many nodes are done, failed, busy and
    waiting, and the time left. Messages, warnings and errors appear above in full. Everything else goes to the log
    (log_path).
  - Elsewhere, with C(-v), with C(--step) and if rich is not installed, it prints the output of
    C(ansible.builtin.default), and one line of progress whenever nothing else was printed for ten seconds.
  - A drift check, a rack test and an enrolment end with their summary instead of one line per node.
  - In every other playbook, the error of an unreachable node is followed by the reason, if it is known, and the next
    command.
  - Secrets in the output and the log are masked.
  - It changes the exit code 2 to 3 if nodes could not be checked; with another callback, that is 2 as well.
options:
  view:
    description:
      - C(auto) draws on a terminal. C(plain) is Ansible's default output. C(plan) shows warnings, errors and, at the
        end, a table of what C(playbooks/plan.yml) found (C(make plan)).
    type: str
    choices: [auto, plain, plan]
    default: auto
    env: [{name: ASCEND_FLEET_VIEW}]
    ini: [{section: ascend_fleet, key: view}]
  events_path:
    description: A file to which every event of a run is appended, one JSON object per line (docs/events.schema.json).
    type: path
    env: [{name: ASCEND_FLEET_EVENTS}]
    ini: [{section: ascend_fleet, key: events_path}]
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

import functools
import gc
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from ansible import constants
from ansible.context import CLIARGS
from ansible.executor.task_queue_manager import TaskQueueManager
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.helpers import pct_to_int

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.masking import masked
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.text import cut, one_line
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.fleet import inventory_options
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.silence import (
    is_known,
    said_by,
    silence,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.remedies import placed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.rollout import BUSY, TO_CHANGE, WAITING
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.words import rollout_lines
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal import plan_table, watch
from ansible_collections.ascend.fleet.plugins.plugin_utils.watched import Watched

NODE = "ascend.fleet.node_plan"
FLEET = "ascend.fleet.fleet_plan"
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
SWARM = "ascend.fleet.depot_swarm"
# The fleet, and the groups in which roles/rollout puts its nodes.
GROUPS = ("ascend", TO_CHANGE, WAITING, BUSY, "ascend_reached", "ascend_done", "ascend_built")
EVERY = 100  # nodes between two lines of progress, where nothing is drawn


class CallbackModule(Default):  # type: ignore[misc]  # ansible ships no types
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "ascend.fleet.fleet"

    def __init__(self) -> None:
        super().__init__()
        self._run = Watched(self._display, CLIARGS.get("forks") or 1)
        self._out = self._run.out
        self._view = "plain"
        self._names: dict[str, str] = {}  # of tasks
        self._titled: Any = None  # the task whose name stands on the screen
        self._checked = self._bad = self._total = 0
        self._lacking = 0
        self._diffs: set[tuple[str, int]] = set()
        self._report: dict[str, Any] = {}
        self._plans: dict[str, plan_table.Planned] = {}
        self._notes: list[str] = []

    # What Ansible tells of a run

    def set_options(self, *arguments: Any, **named: Any) -> None:
        super().set_options(*arguments, **named)
        self._view = self.get_option("view")
        # Where the details are wanted, or Ansible asks between tasks.
        plain = self._view == "plain" or self._display.verbosity or CLIARGS.get("step")
        self._run.begin(drawn=not plain and not constants.ENABLE_TASK_DEBUGGER, events=self.get_option("events_path"))

    def v2_playbook_on_start(self, playbook: Any) -> None:
        super().v2_playbook_on_start(playbook)
        name = os.path.basename(playbook._file_name)
        self._run.write("run_begin", playbook=name, check=bool(CLIARGS.get("check")), limit=CLIARGS.get("subset"))

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._end_batch()
        with self._quiet():
            super().v2_playbook_on_play_start(play)
        inventory = play.get_variable_manager()._inventory
        names = [host.name for host in inventory.get_hosts(play.hosts, ignore_restrictions=True)]
        batch = [host.name for host in inventory.get_hosts(play.hosts)]
        sizes = _sizes(play.serial, len(names))
        self._run.begin_batch(play.get_name().strip(), names, batch, sizes, self._beside(set(names)))

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        with self._quiet():
            super().v2_playbook_on_task_start(task, is_conditional)
        # What these tasks show while they work comes below their name, which Ansible prints with the first result.
        shows = task.action in (DEPOT, SEND, SWARM) and not self._run.drawn
        self._out.ahead = functools.partial(self._print_task_banner, task) if shows else None
        sends_to = self._hosts(task) if task.action in (SEND, SWARM) else 0
        # Here alone it has the values of its variables.
        self._names[task._uuid] = masked(str(task.name or task.action))
        self._run.begin_task(self._names[task._uuid], bool(task.run_once), sends_to)
        if task.action == NODE:
            self._total = self._hosts(task)
            # Workers are forked from here: what no garbage collector touches, they share instead of copying it.
            gc.collect()
            gc.freeze()

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        super().v2_runner_on_start(host, task)
        self._run.begin_node(host.get_name(), self._names.get(task._uuid, task.action))

    def v2_runner_on_ok(self, result: Any) -> None:
        answer, task = result._result, result._task
        check, report = _is_check(task), task.action in REPORTS
        self._ended(result, "changed" if answer.get("changed") else "ok", _state(task, answer))
        self._keep(result)
        if check:
            self._progress(answer.get("node", {}).get("state", "unchecked"))
        elif report and "summary" in answer:
            self._report = {"summary": list(answer["summary"]), "exit_code": int(answer["exit_code"])}
            self._report["title"] = REPORTS[task.action]
        if not (check or report) or self._run_is_verbose(result):
            with self._shown(task) if self._run_is_verbose(result) and self._view != "plan" else self._quiet():
                super().v2_runner_on_ok(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        task, ends = result._task, self._ends_the_check(result)
        if ends:  # which is no failure of the node that stands for all
            self._run.end_node(result._host.get_name())
        elif ignore_errors:
            self._ended(result, "ignored", watch.WORK)
        else:
            self._ended(result, "failed", watch.DONE if _is_check(task) else watch.FAILED)
        self._keep(result)
        if _is_check(task):
            self._progress("unchecked")
        elif ends:
            self._set_exit_code(self._report["exit_code"])
        else:
            if task.action == INVENTORY:
                self._set_exit_code(result._result.pop("exit_code", 2))
            # A node that must not be changed stands in the table, all that have the same reason together.
            in_table = self._view == "plan" and task.action == NODE and "plan" in result._result
            if task.action == NODE and not self._run_is_verbose(result):
                self._leave_the_reason(result._result)
            with self._out.only("log") if in_table else self._shown(task):
                super().v2_runner_on_failed(result, ignore_errors)
                if any(result._result.get(key) for key in ("module_stderr", "module_stdout", "timedout")):
                    self._show_reason(result, reached=True)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._ended(result, "unreachable", watch.FAILED)
        self._keep(result)
        with self._shown(result._task):
            super().v2_runner_on_unreachable(result)
            self._show_reason(result, reached=False)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._run.end_node(result._host.get_name())
        with self._quiet():
            super().v2_runner_on_skipped(result)

    def v2_runner_retry(self, result: Any) -> None:
        # To wait for what runs in the background is no failure.
        if not result._task.action.endswith("async_status"):
            with self._quiet():
                super().v2_runner_retry(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        with self._shown(result._task) if self._run_is_verbose(result) else self._quiet():
            super().v2_runner_item_on_ok(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        with self._shown(result._task):
            super().v2_runner_item_on_failed(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        with self._quiet():
            super().v2_runner_item_on_skipped(result)

    def v2_runner_on_async_poll(self, result: Any) -> None:
        with self._quiet():
            super().v2_runner_on_async_poll(result)

    def v2_runner_on_async_ok(self, result: Any) -> None:
        with self._quiet():
            super().v2_runner_on_async_ok(result)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        with self._quiet():
            super().v2_playbook_on_include(included_file)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        with self._quiet():
            super().v2_playbook_on_no_hosts_matched()

    def v2_on_file_diff(self, result: Any) -> None:
        # Every file that the depot lacks: a fleet's plan is not looked for below 130 lines of that.
        of_depot = result._task.action == DEPOT and result._task.check_mode and not self._display.verbosity
        with self._out.only("log") if of_depot or self._is_shown(result) else self._shown(result._task):
            super().v2_on_file_diff(result)

    def _is_shown(self, result: Any) -> bool:
        """Whether another node's equal diff is on the screen. If not, print whose diff follows: no line says so."""
        answer = result._result
        diffs = answer.get("diff") or [item.get("diff") for item in answer.get("results", [])]
        if not self._run.drawn or not any(diffs):
            return False
        key = (result._task._uuid, hash(str(diffs)))
        if key not in self._diffs:
            self._diffs.add(key)
            if self._last_task_banner != result._task._uuid:
                self._print_task_banner(result._task)
            with self._shown(result._task):
                self._display.display(f"{result._host.get_name()}, and each node with the same diff:", screen_only=True)
            return False
        return True

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._end_batch()
        self._run.end()
        for line in self._missing():
            self._display.display(line)
        if self._report:
            self._display.banner(self._report["title"])
            for line in self._report["summary"]:
                self._display.display(line)
        else:
            self._show_recap(stats)
            self._show_rollout(stats)
        self._show_table()
        nodes = {name: stats.summarize(name) for name in sorted(stats.processed)}
        self._run.write("run_end", seconds=self._run.seconds(), nodes=nodes)

    # What is drawn, and what is kept of it

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Send only to the log what is drawn or shown in a table."""
        with self._out.only("log") if self._run.drawn or self._view == "plan" else nullcontext():
            yield

    @contextmanager
    def _shown(self, task: Any) -> Iterator[None]:
        """Show something of a task on the screen, below its name."""
        if not self._run.drawn and self._view != "plan":
            yield
            return
        self._out.ahead = functools.partial(self._title, task)
        yield
        self._out.ahead = None

    def _title(self, task: Any) -> None:
        if self._last_task_banner == task._uuid != self._titled:
            self._titled = task._uuid
            with self._out.only("screen"):
                super()._print_task_banner(task)

    def _print_task_banner(self, task: Any) -> None:
        self._out.ahead = None
        super()._print_task_banner(task)
        if not self._out.is_quiet():
            self._titled = task._uuid

    # What is known of the nodes

    def _hosts(self, task: Any) -> int:
        return len(task.get_variable_manager().get_vars(play=self._play)["ansible_play_hosts_all"])

    def _groups(self) -> dict[str, list[str]]:
        groups = self._play.get_variable_manager()._inventory.get_groups_dict() if self._play else {}
        return {name: groups.get(name, []) for name in GROUPS}

    def _beside(self, names: set[str]) -> dict[str, int]:
        """Return how many nodes are busy or wait for idle cards, beside those of a play that changes nodes."""
        groups = {name: set(hosts) for name, hosts in self._groups().items()}
        if not names & (groups[TO_CHANGE] | groups[WAITING]):
            return {}
        others = groups["ascend"] - names
        return {watch.BUSY: len(groups[BUSY] & others), watch.WAITING: len(groups[WAITING] & others)}

    def _end_batch(self) -> None:
        self._run.end_batch(self._groups()[BUSY])

    def _ended(self, result: Any, outcome: str, state: str) -> None:
        task, name = result._task, result._host.get_name()
        reason = ""
        if outcome in ("failed", "unreachable", "ignored"):
            reason = cut(one_line(masked(str(result._result.get("msg") or "")[:2000])), 300)
        self._run.end_node(name, state, reason, outcome, self._names.get(task._uuid, ""), task.action)

    def _keep(self, result: Any) -> None:
        """Keep what is shown at the end."""
        action, answer = result._task.action, result._result
        if action == NODE and self._view == "plan":
            self._plans[result._host.get_name()] = plan_table.planned(answer)
        elif action == FLEET:
            self._notes = list(answer.get("notes", []))
        elif action == DEPOT and result._task.check_mode:
            self._lacking += len(answer.get("taken", []))

    # What stands at the end

    def _missing(self) -> list[str]:
        if not self._lacking:
            return []
        return [f"The depot lacks {self._lacking} files, which a real run fetches first. List: --check --diff -v"]

    def _show_recap(self, stats: Any) -> None:
        """Show Ansible's recap; on a terminal that is too small for it, the number of hosts of each kind."""
        many = len(stats.processed) > shutil.get_terminal_size().lines // 2
        brief = self._view == "plan" or (self._run.drawn and many)
        with self._out.only("log") if brief else nullcontext():
            super().v2_playbook_on_stats(stats)
        if self._run.drawn and many:
            kinds = {"ok": stats.ok, "changed": stats.changed, "failed": stats.failures, "unreachable": stats.dark}
            counts = ", ".join(f"{kind} {len(hosts):,}" for kind, hosts in kinds.items())
            self._display.banner("PLAY RECAP")
            self._display.display(f"{len(stats.processed):,} hosts: {counts}", screen_only=True)

    def _show_table(self) -> None:
        if self._view != "plan" or not self._plans:
            return
        width = shutil.get_terminal_size((120, 24)).columns
        for line in [*plan_table.table(self._plans, width), *self._notes]:
            self._display.display(line)

    @staticmethod
    def _leave_the_reason(answer: dict[str, Any]) -> None:
        """Keep only the message of a stopped node's answer, because the plan is shown for all nodes at once."""
        for name in ("plan", "wanted", "components", "peer", "release"):
            answer.pop(name, None)

    def _show_reason(self, result: Any, reached: bool) -> None:
        """Say why a node is silent, in the drift check's words; an unknown reason adds nothing."""
        node = result._host.get_name()
        reason = silence(node, said_by(result._result), reached, inventory_options(CLIARGS.get("inventory")))
        if is_known(reason):
            remedy = placed(reason["remedy"], node)
            for line in (f"{node}: {reason['problem']}", f"  found: {reason['found']}", f"  next:  {remedy}"):
                self._display.display(line)

    def _show_rollout(self, stats: Any) -> None:
        nodes = self._groups()
        began = nodes["ascend_reached"] or set(nodes["ascend"]) & set(nodes["ascend_busy"])
        if not began or CLIARGS["check"] or "stage" in CLIARGS["tags"]:
            return
        lines = rollout_lines(nodes, [*stats.failures, *stats.dark])
        self._display.banner("ROLLOUT")
        for line in lines:
            self._display.display(line)

    def _ends_the_check(self, result: Any) -> bool:
        """Whether this is the task that fails because of the report; its message is the report's own text."""
        words = "\n".join(self._report.get("summary", []))
        return bool(words) and result._task.action.endswith("fail") and result._result.get("msg") == words

    @staticmethod
    def _set_exit_code(code: int) -> None:
        """Make a run with failed hosts end with this code.

        Ansible has no way for a playbook or a plugin to choose one. This attribute is what its strategies return for a
        run of failed hosts, in every version from 2.17 to 2.21: a contract test tries the oldest and the newest.
        """
        TaskQueueManager.RUN_FAILED_HOSTS = code

    def _progress(self, state: str) -> None:
        self._checked += 1
        self._bad += state != "clean"
        last = self._checked == self._total
        text = f"nodes checked: {self._checked:,} of {self._total:,}; with findings: {self._bad:,}"
        if last or (self._checked % EVERY == 0 and not self._run.drawn):
            self._display.display(text)


def _is_check(task: Any) -> bool:
    """Whether this is the drift check's own task, for which nodes have no line."""
    return bool(task.action == NODE and task.args.get("purpose") == "drift")


def _state(task: Any, answer: dict[str, Any]) -> str:
    """Return a node's state after a successful task; in a play that only looks at nodes it is done."""
    if task.action != NODE or task.args.get("begun"):
        return watch.WORK
    return watch.BUSY if answer.get("plan", {}).get("group") == BUSY else watch.DONE


def _sizes(serial: list[Any], nodes: int) -> list[int]:
    """Return how many nodes each batch of a play has; the last size is repeated to the end."""
    sizes: list[int] = []
    while sum(sizes) < nodes and serial:
        size = pct_to_int(serial[min(len(sizes), len(serial) - 1)], nodes)
        if size <= 0:
            break
        sizes.append(min(size, nodes - sum(sizes)))
    return sizes or [nodes]
