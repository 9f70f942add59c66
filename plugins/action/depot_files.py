# SPDX-License-Identifier: Apache-2.0
"""Action ``depot_files``: the module of that name; what is missing is fetched by the node, or sent from the depot.

Arguments: ``wanted`` and ``steps``, or ``mirror``. A node fetches from its mirror first, or everything from the depot's
web server, some seconds per call of the module, so that the progress can be shown. Files are sent through the
connection: the account that logs in writes them into a folder that the module made for it, so sudo needs neither a
terminal nor an input for them; root takes them in.
"""

from __future__ import annotations

import os
from itertools import chain, repeat
from typing import Any
from urllib.parse import quote

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import depot_way
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, AscendError, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.fetched import WRONG
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import size_text, time_text
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.sending import Sent, needed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.transport import HTTP, SWARM
from ansible_collections.ascend.fleet.plugins.plugin_utils import board
from ansible_collections.ascend.fleet.plugins.plugin_utils.playbook import has_ended
from ansible_collections.ascend.fleet.plugins.plugin_utils.sender import BrokenError, Outgoing, Sender, to_send

MODULE = "ascend.fleet.depot_files"
FETCH_S = (10, 20, 30)  # the first calls, and all others: soon a number to see, then few calls of a thousand nodes
TIMES = 3  # a connection that breaks goes on where it was; what arrived as another file is sent anew

Answer = dict[str, Any]


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    _fetched = 0  # bytes

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = self._task.args
        try:
            files = self._mirrored(task_vars) if arguments.get("mirror") else needed(*self._asked())
            missing, sent = self._bring(files, task_vars) if files else ([], 0)
        except UnsentError as unsent:
            return {**result, **unsent.answer}
        except REPORTED as error:
            return {**result, "failed": True, **failure(error, arguments.get("cache_dir", "/"))}
        came = {"sent_bytes": sent, "fetched_bytes": self._fetched}
        return {**result, "changed": bool(missing), **came, "diff": _diff(missing)}

    def _asked(self) -> tuple[list[str], dict[str, Any]]:
        return self._task.args["steps"], self._task.args["wanted"]

    @staticmethod
    def _mirrored(task_vars: Any) -> list[Sent]:
        """Return what the nodes of a mirror need, each file under its sum."""
        hosts, mirror = task_vars["hostvars"], task_vars["inventory_hostname"]
        answers = [hosts[name].get("preflight_node") or {} for name in task_vars["groups"].get("ascend", [])]
        nodes = [each for each in answers if each.get("wanted", {}).get("depot", {}).get("mirror") == mirror]
        files = [file for node in nodes for file in needed(node["components"], node["wanted"])]
        return list({file.sha256: file._replace(path=file.sha256) for file in files}.values())

    def _bring(self, files: list[Sent], task_vars: Any) -> tuple[list[Sent], int]:
        """Return the files that were missing, and how many bytes were sent; in check mode, what would be."""
        by_path = {file.path: file for file in files}
        uid = 0 if self._task.check_mode or self._is_web else self._uid()
        missing: list[Sent] = []
        sent, problem = 0, Exception()
        for _ in range(TIMES):
            answer = self._lacking(files, uid, task_vars)
            if answer["changed"]:
                missing = missing or files
            files = [by_path[each["path"]] for each in answer["missing"]]
            out = [_outgoing(by_path[each["path"]], each["have_bytes"]) for each in answer["missing"]]
            if not files or self._task.check_mode:
                return missing, sent + to_send(out)
            progress = Progress(task_vars, to_send(out), board.now())
            try:
                progress.follow(Sender(self._connection, self._command, answer["folder"], answer["python"]), out)
            except BrokenError as error:
                problem = AnsibleConnectionFailure(f"the connection broke while files were sent: {error}")
                progress.broke(error)
                continue
            finally:
                sent += progress.came
            wrong = self._module("arrived", files, uid, task_vars)["wrong"]
            if not wrong:
                return missing, sent
            twice = isinstance(problem, AscendError)
            problem = _changed(by_path[wrong[0]["path"]], wrong[0]["found"])
            if twice:
                break
        raise problem

    def _lacking(self, files: list[Sent], uid: int, task_vars: Any) -> Answer:
        """Return what the module lacks when its server, if it has one, has given what it can."""
        by_path = {file.path: file for file in files}
        began, changed, progress = board.now(), False, None
        for fetch_s in chain(FETCH_S, repeat(FETCH_S[-1])):
            answer = self._module("lacking", files, uid, task_vars, fetch_s=fetch_s)
            changed, came = changed or answer["changed"], answer["came_bytes"]
            files = [by_path[each["path"]] for each in answer["missing"]]
            if came and progress is None:
                progress = Progress(task_vars, came + _left(answer), began)
            if progress:
                progress.tell(came)
                self._fetched += came
            if not answer["again"]:
                break
        if progress:
            progress.ended("fetched")
        if answer["problem"]:
            self._not_served(answer["problem"])
        return {**answer, "changed": changed}

    def _command(self, command: str, **how: Any) -> Answer:
        answer: Answer = self._low_level_execute_command(command, **how)
        return answer

    def _module(self, state: str, files: list[Sent], uid: int, task_vars: Any, **options: Any) -> Answer:
        given = [{**file.as_option(), "address": self._server_path(file)} for file in files]
        arguments = {**self._places(), "state": state, "uid": uid, "files": given, **options}
        answer: Answer = self._execute_module(MODULE, module_args=arguments, task_vars=task_vars)
        if answer.get("failed"):
            raise UnsentError(answer)
        return answer

    @property
    def _depot(self) -> dict[str, Any]:
        depot: dict[str, Any] = self._task.args.get("wanted", {}).get("depot", {})
        return depot

    @property
    def _is_web(self) -> bool:
        """Whether the node fetches everything from the depot's web server, and is sent nothing."""
        return self._depot.get("transport") == HTTP

    def _places(self) -> dict[str, Any]:
        places = {name: value for name, value in self._task.args.items() if name not in ("wanted", "steps")}
        depot = self._depot
        if self._is_web:
            return {**places, "source": depot["url"], "depot_proxy": self._task.args["wanted"]["depot_proxy"]}
        return {**places, "source": SWARM if depot.get("transport") == SWARM else depot.get("mirror_url", "")}

    def _server_path(self, file: Sent) -> str:
        """Return a file's path on the server: in the depot, or "" on a mirror, which names it by its sum."""
        return quote(os.path.relpath(file.source, self._depot["folder"])) if self._is_web else ""

    def _not_served(self, problem: Answer) -> None:
        """Warn that a mirror did not give everything. Raises AscendError if the depot's web server did not."""
        address, found = problem["address"], problem["found"]
        if not self._is_web:
            Display().warning(
                f"The mirror {self._depot['mirror']} did not serve every file, so the depot sends the rest. Found:"
                f" {address}: {found}"
            )
            return
        if problem["kind"] == WRONG:
            raise AscendError(
                "a file from the depot differs from the control node's",
                wanted="the size and sha256 in index.json of the depot",
                found=found,
                where=address,
                remedy="ansible-playbook playbooks/depot.yml -e ascend_deep=true  # names what changed in the depot",
            )
        proxy = self._task.args["wanted"]["depot_proxy"]
        raise AscendError(
            "the depot did not serve a file",
            wanted=address,
            found=found,
            where=depot_way.words(proxy),
            remedy=f"{depot_way.command(address, proxy)}  # on the node; is ascend_depot_url right, and is the depot's"
            " server running?",
        )

    def _uid(self) -> int:
        answer = self._low_level_execute_command("id -u", sudoable=False)
        words = (answer.get("stdout") or "").split()
        if answer["rc"] or not words or not words[-1].isdigit():
            raise AscendError(
                "cannot identify the account that logs in",
                wanted="a number, from: id -u",
                found=(answer.get("stdout", "") + answer.get("stderr", "")).strip(),
                remedy="ansible -m raw -a 'id -u' NODE  # prints what it says",
            )
        return int(words[-1])


class UnsentError(Exception):
    """The module failed; its answer says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.get("msg", ""))
        self.answer = answer


class Progress:
    """Shows the progress of all nodes, or of this one if no board is shared. ``began``: as ``board.now()``."""

    def __init__(self, task_vars: Any, total: int, began: float) -> None:
        self.name = task_vars["inventory_hostname"]
        hosts = list(task_vars["ansible_play_hosts_all"])
        shared = board.shared()
        self.number = hosts.index(self.name) if shared and self.name in hosts else 0
        self.board = shared if shared and self.number < shared.nodes else board.Board(1)
        self.alone = self.board is not shared
        self.total, self.came, self.began = total, 0, began
        self.display = Display()

    def follow(self, sender: Sender, files: list[Outgoing]) -> None:
        self.tell(0)
        sender.send(files, self.tell)
        self.ended("sent")

    def ended(self, how: str) -> None:
        took = max(board.now() - self.began, 0.001)
        rate = f" ({size_text(self.came / took)}/s)" if took >= 1 else ""
        line = f"{self.name}: {size_text(self.came)} {how} in {time_text(took)}{rate}"
        self.display.display(line, log_only=self.board.watched)

    def broke(self, error: BrokenError) -> None:
        far = f"{size_text(self.came)} of {size_text(self.total)}"
        self.display.display(f"{self.name}: the connection broke after {far} ({error}); it resumes from there")

    def tell(self, size: int) -> None:
        if has_ended():
            raise AnsibleActionFail("the run of this playbook has ended; the next one brings the rest")
        self.came += size
        self.board.set(self.number, self.total, self.came, self.began)
        line = self.board.line(board.now())
        if not line:
            return
        self.display.display(f"{self.name}: {line}" if self.alone else line)


def _left(answer: Answer) -> int:
    return sum(each["size_bytes"] - each["have_bytes"] for each in answer["missing"])


def _outgoing(file: Sent, have_bytes: int) -> Outgoing:
    return Outgoing(file.source, file.sha256, file.size_bytes, have_bytes)


def _changed(file: Sent, found: str) -> AscendError:
    return AscendError(
        "a file of the depot arrived with the wrong content twice",
        wanted=f"{file.size_bytes} bytes, sha256 {file.sha256}",
        found=found,
        where=file.source,
        remedy="ansible-playbook playbooks/depot.yml -e ascend_deep=true  # names what changed in the depot",
    )


def _diff(files: list[Sent]) -> dict[str, str]:
    return {"before": "", "after": "".join(f"{file.path}\n" for file in files)}
