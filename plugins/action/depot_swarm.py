# SPDX-License-Identifier: Apache-2.0
"""Action ``depot_swarm``: the nodes of a batch give each other what the control node has sent to one of them once.

The part ``seed`` runs once per batch, only on the control node. A problem of the swarm is only a warning, because
``depot_files`` sends what the swarm does not deliver.
"""

from __future__ import annotations

import base64
import socket
import time
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.ascend.fleet.plugins.action import depot_files
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.swarm.member import STALL_S
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import seed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.libtorrent import wheel_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.sending import Sent, needed, single
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.transport import SWARM
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.trouble import read_index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.policies import number
from ansible_collections.ascend.fleet.plugins.plugin_utils.playbook import has_ended, playbook

MODULE = "ascend.fleet.depot_swarm"
PORT = 6881

Answer = dict[str, Any]


class ActionModule(depot_files.ActionModule):
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = ActionBase.run(self, tmp, task_vars)
        part = self._task.args["part"]
        try:
            if part == "seed":
                answer = self._seed(task_vars)
            else:
                answer = self._join(task_vars) if part == "join" else self._wait(task_vars)
        except depot_files.UnsentError as unsent:
            return {**result, **unsent.answer}
        except REPORTED as error:
            return {**result, "failed": True, **failure(error, "/")}
        return {**result, "changed": False, **answer}

    def _seed(self, task_vars: Any) -> Answer:
        """Seed what those nodes of this batch need that use a swarm; a depot that cannot is reported once."""
        nodes = {name: node for name in task_vars["ansible_play_batch"] if (node := _of_swarm(task_vars, name))}
        seed.end(_folder())
        addresses = {name: address for name in nodes if (address := self._address(task_vars, name))}
        files = {file.sha256: file for node in nodes.values() for file in needed(_steps(node), node["wanted"])}
        if not files or len(addresses) < 2:
            return {}  # one node alone is sent its files
        try:
            depot = next(iter(nodes.values()))["wanted"]["depot"]["folder"]
            seed.begin(_folder(), files.values(), addresses, self._port(), depot, playbook())
        except REPORTED as error:
            Display().warning(f"No swarm, so the depot sends everything. {error}")
        return {}

    def _address(self, task_vars: Any, name: str) -> str:
        """Return a node's numeric address; "" with a warning for an unknown name."""
        host = task_vars["hostvars"][name].get("ansible_host", name)
        try:
            return str(socket.getaddrinfo(host, self._port(), type=socket.SOCK_STREAM)[0][4][0])
        except OSError as error:
            Display().warning(
                f"{name} does not join the swarm, and gets everything from the depot: no address of {host}: {error}"
            )
            return ""

    def _join(self, task_vars: Any) -> Answer:
        batch, name = seed.batch(_folder()), task_vars["inventory_hostname"]
        files = needed(*self._asked())
        if name not in batch.get("nodes", {}) or not files:
            return {"joined": False}
        asked = self._part("ask", task_vars, files=_given(files))
        missing = {each["path"] for each in asked["missing"]}
        if not missing:
            return {"joined": False}
        wheel = self._wheel(asked["tag"])
        if not wheel:
            Display().warning(
                f"{name} does not join the swarm: no libtorrent for {asked['tag']}; the depot sends it everything"
            )
            return {"joined": False}
        self._bring([wheel], task_vars)
        others = [address for other, address in batch["nodes"].items() if other != name]
        job = {"port": batch["port"], "peers": others, "allowed": [*others, batch["depot"][name]]}
        torrent = base64.b64encode((_folder() / "torrent").read_bytes()).decode()
        lacked = _given(file for file in files if file.path in missing)
        try:
            return self._part(
                "join", task_vars, files=lacked, torrent=torrent, job=job, wheel=wheel.path, wheel_sha256=wheel.sha256
            )
        except depot_files.UnsentError as unsent:
            Display().warning(
                f"{name} does not join the swarm, and gets everything from the depot: {unsent.answer.get('msg')}"
            )
            return {"joined": False}

    def _wheel(self, tag: str) -> Sent | None:
        folder = self._task.args["wanted"]["depot"]["folder"]
        index = read_index(folder)
        file = wheel_of(index, tag)
        return single(folder, file, index["files"][file]) if file else None

    def _wait(self, task_vars: Any) -> Answer:
        """Wait for all, as long as something comes."""
        name = task_vars["inventory_hostname"]
        progress, came, last = None, -1, time.monotonic()
        while True:
            if has_ended():
                raise AnsibleActionFail("the run of this playbook has ended; the next one takes the rest")
            far = self._part("wait", task_vars)["far"]
            done, now = int(far["done"]), time.monotonic()
            if progress is None and far["wanted"]:
                progress = depot_files.Progress(task_vars, int(far["wanted"]), last)
            if progress:
                progress.tell(done - progress.came)
            if far.get("finished"):
                return {}
            if done > came or far.get("checking"):
                came, last = done, now
            if not far["alive"] or now - last > STALL_S:
                why = (
                    "its peer ended"
                    if not far["alive"]
                    else f"{far.get('peers', 0)} peers, nothing for {STALL_S:.0f} s"
                )
                why += f": {far['problem']}" if far.get("problem") else ""
                Display().warning(
                    f"{name} did not get everything from the swarm, so the depot sends the rest. Found: {why}"
                )
                return {}

    def _part(self, part: str, task_vars: Any, **options: Any) -> Answer:
        answer: Answer = self._execute_module(
            MODULE, module_args={**self._places(), "part": part, **options}, task_vars=task_vars
        )
        if answer.get("failed"):
            raise depot_files.UnsentError(answer)
        return {key: value for key, value in answer.items() if key in ("missing", "tag", "joined", "far")}

    def _places(self) -> dict[str, Any]:
        others = ("part", "port", "wanted", "steps")
        return {name: value for name, value in self._task.args.items() if name not in others}

    def _port(self) -> int:
        return number("depot_swarm_port", self._task.args.get("port", PORT))


def _folder() -> Path:
    """Return the folder of this playbook's swarm, which is removed with the playbook."""
    return Path(constants.DEFAULT_LOCAL_TMP) / "swarm"


def _of_swarm(task_vars: Any, name: str) -> Answer:
    node: Answer = task_vars["hostvars"][name].get("preflight_node") or {}
    return node if node.get("wanted", {}).get("depot", {}).get("transport") == SWARM else {}


def _steps(node: Answer) -> list[str]:
    """Return all steps for which it may take files now: those of the change, and staged ones."""
    return [*node.get("components", []), *node.get("plan", {}).get("stage", [])]


def _given(files: Any) -> list[dict[str, Any]]:
    return [file.as_option() for file in files]
