# SPDX-License-Identifier: Apache-2.0
"""Fleets of any size whose nodes are of a few kinds: each kind's ssh answers at once, with facts or what ssh says."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.facts import SCHEMA
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import finding
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import resolve
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wishes import understood
from tests.contract.tree import ROOT
from tests.unit.plan.planner_nodes import converged
from tests.unit.plan.test_wanted import settings

Facts = dict[str, Any]
LINK = "hccn_tool -i 2 -link -g  # cable, transceiver, switch port"
# What a node's ssh does: it takes what it is sent, says what lies beside it, and ends as ssh did.
SSH = """#!/bin/sh
case " $* " in *" -O "* | *" -V "*) exit 0 ;; esac
proofs=$([ -t 0 ] || grep -acF '"_ansible_module_name": "ascend.fleet.npu_check"')
if [ "${{proofs:-0}}" -gt 0 ]; then cat '{proof}'; else cat '{answer}'; fi
cat '{errors}' >&2
exit {code}
"""


def healthy() -> Facts:
    """A node that is as its release says."""
    found = converged()
    program = ROOT / "roles" / "torch_npu" / "files" / "ascend-env"
    asked = settings(Path("/nowhere"), check_mode=True, ascend_env_file=str(program))
    wanted = resolve(found, understood(asked))
    (environment,) = found["environments"]["all"].values()
    name, examples = wanted["environment"]["name"], wanted["environment"]["examples"]
    environment.update(lock_digest=wanted["environment"]["lock_digest"], examples=examples)
    found["environments"] = {"current": name, "all": {name: environment}}
    found["ascend_env"]["sha256"] = wanted["ascend_env"]["sha256"]
    found["system"]["kernel_settings"] = dict(wanted["system"]["kernel_settings"])
    return {**found, "schema": SCHEMA}


def _another_fire(found: Facts) -> None:
    (environment,) = found["environments"]["all"].values()
    environment["difference"]["other"] = {"fire": ["0.6.0", "0.7.0"]}
    environment["difference_count"] = 1


def _no_toolkit(found: Facts) -> None:
    found["cann"] = {"latest": None, "versions": {}}


def _sick_card(found: Facts) -> None:
    found["npu"]["devices"][3].update(health="Alarm", errors=["80E01801"])


def _old_driver(found: Facts) -> None:
    found["npu"]["driver_version"] = found["driver"]["version"] = "23.0.3"


def _link_down(found: Facts) -> None:
    down = finding("network", "network-link-down", "the link is not UP", "UP", "card 2: DOWN", "", LINK)
    found["findings"].append(down)


def _busy_network(found: Facts) -> None:
    busy = finding("network", "network-busy", "hccn_tool was busy", "an answer", "busy", "hccn_tool", "again, later")
    found["findings"].append(busy)


ANSWERS: dict[str, Callable[[Facts], None]] = {
    "healthy": lambda _: None,
    "another fire": _another_fire,
    "no toolkit": _no_toolkit,
    "a sick card": _sick_card,
    "an old driver": _old_driver,
    "a link is down": _link_down,
    "a busy network": _busy_network,
    "a card that fails": lambda _: None,
}
ACCOUNT = {"name": "HwHiAiUser", "why": "the owner of the device files"}
CARDS = [{"index": number, "ok": True, "name": "Ascend910B3", "memory_total_mb": 65536} for number in range(8)]
PROOF = {"changed": False, "cards": CARDS, "account": ACCOUNT, "llamafactory": "0.9.1", "versions": {}}
NO_PROOF = {"failed": True, "cards": [], "symptom": "device-start-failed", "problem": "card 3 cannot be used"}
NO_PROOF |= {"msg": "card 3 cannot be used", "wanted": "a tensor", "found": "507033", "remedy": "npu-smi info"}
SILENT = {
    "away": (255, "ssh: connect to host 198.51.100.7 port 22: Connection timed out\n"),
    "another key": (255, "Host key verification failed.\n"),
    "a full disk": (1, "OSError: [Errno 28] No space left on device\n"),
}


class Kinds:
    """A fleet: ``nodes`` is host name -> kind."""

    def __init__(self, folder: Path, nodes: Mapping[str, str]) -> None:
        self.folder = folder
        programs = {kind: self._program(kind) for kind in set(nodes.values())}
        hosts = {name: {"ansible_ssh_executable": programs[kind]} for name, kind in nodes.items()}
        variables = {
            "ansible_user": "root",
            "ansible_host": "198.51.100.7",
            "ansible_python_interpreter": "/usr/bin/python3",
            "cann_accept_eula": True,
            "ascend_depot_dir": str(folder / "depot"),
        }
        self.inventory = folder / "hosts.json"
        self.inventory.write_text(json.dumps({"ascend": {"hosts": hosts, "vars": variables}}))

    def fill_depot(self) -> None:
        """Let there be a depot; what it has matters to a node that is changed alone."""
        (self.folder / "depot").mkdir()
        Index(self.folder / "depot").save()

    def _program(self, kind: str) -> str:
        folder = self.folder / kind.replace(" ", "-")
        folder.mkdir()
        code, errors, answer = 0, "", ""
        proof = json.dumps(NO_PROOF if kind == "a card that fails" else PROOF)
        if kind in SILENT:
            code, errors = SILENT[kind]
        else:
            found = copy.deepcopy(healthy())
            ANSWERS[kind](found)
            answer = json.dumps({"changed": False, "ansible_facts": {"ascend": found}})
        places = {name: folder / name for name in ("answer", "errors", "proof")}
        places["answer"].write_text(answer)
        places["errors"].write_text(errors)
        places["proof"].write_text(proof)
        program = folder / "ssh"
        program.write_text(SSH.format(code=code, **places))
        program.chmod(0o755)
        return str(program)

    def playbook(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("ansible-playbook")
        return subprocess.run(
            [program, ROOT / "playbooks" / f"{name}.yml", "-i", self.inventory, *options],
            cwd=self.folder,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_SSH_RETRIES": "0",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, path: str) -> Any:
        return json.loads((self.folder / path).read_text(encoding="utf-8"))

    def names(self, file: str) -> list[str]:
        """The names of a file for ``--limit``."""
        return (self.folder / "doctor" / file).read_text(encoding="utf-8").split()
