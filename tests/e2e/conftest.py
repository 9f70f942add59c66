# SPDX-License-Identifier: Apache-2.0
"""One simulated node, the real wheels, and the ways to it: ansible-playbook, and paramiko for what is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import demo
import paramiko
import pytest
import testinfra

from tests.playbook_run import Run

ROOT = Path(__file__).resolve().parents[2]
FLEET = "ascend-e2e"
NODE = f"{FLEET}-1"
# What any login or look at a node writes.
NOISE = (
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/tmp",
    "/root/.ansible",
    "/var/log/lastlog",
    "/var/log/wtmp",
    "/var/log/btmp",
)


class Fleet:
    """The simulated node and the playbooks over it."""

    def __init__(self, state: Path, node: str = NODE) -> None:
        self.state, self.node = state, node

    def playbook(self, *arguments: str) -> Run:
        """Run ansible-playbook on the node; host keys are checked against the fleet's known_hosts."""
        done = self._run("ansible-playbook", *arguments)
        return Run(done.returncode, done.stdout + done.stderr, self.node)

    def facts(self, arguments: str = "") -> dict[str, Any]:
        """The node's facts, as ``ansible -m ascend.fleet.ascend_facts`` gives them."""
        done = self._run("ansible", self.node, "-m", "ascend.fleet.ascend_facts", "-a", arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        result = json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("{"))[0]
        facts: dict[str, Any] = result["ansible_facts"]["ascend"]
        return facts

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        settings = {"ASCEND_SIM_STATE": str(self.state), "ANSIBLE_NOCOLOR": "1"}
        if program == "ansible":
            settings["ANSIBLE_CALLBACK_RESULT_FORMAT"] = "json"
        return subprocess.run(
            [Path(sys.executable).with_name(program), "-i", "inventory/sim", *arguments],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )

    def site(self, *arguments: str) -> Run:
        return self.playbook("site.yml", *arguments)


def fleet_command(state: Path, *arguments: str, name: str = FLEET) -> None:
    argv = [sys.executable, "sim/fleet.py", "--name", name, "--state", str(state), *arguments]
    subprocess.run(argv, cwd=ROOT, check=True, timeout=900)


@pytest.fixture(scope="package")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A bare node, removed at the end; CANN's packages and the depot lie in the cache, as the demo's do."""
    state = tmp_path_factory.mktemp("e2e") / "state"
    assert demo.packages() == 0
    fleet_command(state, "down")
    fleet_command(state, "up", "--nodes", "1")
    yield Fleet(state)
    fleet_command(state, "down")


def connect(fleet: Fleet, known_hosts: Path) -> paramiko.SSHClient:
    """Log in to the node; a host key that is not known is refused."""
    (described,) = json.loads((fleet.state / "fleet.json").read_text(encoding="utf-8"))["nodes"].values()
    client = paramiko.SSHClient()
    client.load_host_keys(str(known_hosts))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    key = str(fleet.state / "id_ed25519")
    client.connect(described["address"], 22, "root", key_filename=key, look_for_keys=False, allow_agent=False)
    return client


@pytest.fixture(scope="package")
def node(fleet: Fleet) -> Iterator[Any]:
    """testinfra's view of the node, through paramiko. testinfra knows no known_hosts, so it is handed a connection."""
    host = testinfra.get_host("paramiko://root@node")
    client = connect(fleet, fleet.state / "known_hosts")
    host.backend.__dict__["client"] = client
    yield host
    client.close()


def files(node: Any) -> list[str]:
    """Path, mode, owner, size, time and target of every file of the node, but for what any login writes."""
    left_out = " -o ".join(f"-path {path}" for path in NOISE)
    kinds = r"-type d -printf '%p %m %U\n' -o -printf '%p %m %U %s %T@ (%l)\n'"
    found = node.run(rf"find / -xdev \( {left_out} -o -name __pycache__ \) -prune -o {kinds}")
    assert found.rc == 0, found.stderr
    return sorted(found.stdout.splitlines())


@pytest.fixture(scope="package")
def pair(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from tests.e2e.rack import NAME, Rack

    assert fleet.site().code == 0
    rack = Rack(tmp_path_factory.mktemp("rack") / "state")
    argv = [sys.executable, "sim/fleet.py", "--name", NAME, "--state", str(rack.state)]
    subprocess.run([*argv, "down"], cwd=ROOT, check=True, timeout=900)
    subprocess.run([*argv, "up", "--nodes", "2", "--like", NODE], cwd=ROOT, check=True, timeout=900)
    for number in (1, 2):
        rack.sh(number, "mkdir -p /data/model; for name in a b; do echo $name > /data/model/$name; done")
    yield rack
    subprocess.run([*argv, "down"], cwd=ROOT, check=True, timeout=900)
