# SPDX-License-Identifier: Apache-2.0
"""Real nodes for an enrolment: OpenSSH's server with PAM, sudo and accounts of their own, many in one container."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from image import ensure_image, run_podman

from tests.contract.tree import run
from tests.playbook_run import Run

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "Anfang-7-geheim"
WAIT_S = 60
_CONFIG = """
Port {port}
ListenAddress {address}
{keys}
PidFile none
UsePAM yes
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
UseDNS no
LoginGraceTime 60
Subsystem sftp internal-sftp
{options}
"""


@dataclass
class RealNode:
    """One node: ``setup`` is what its root runs before sshd starts; ``options`` come first in its sshd_config."""

    name: str
    setup: str = f"echo 'root:{PASSWORD}' | chpasswd"
    options: str = ""
    address: str = "127.0.0.1"
    kinds: tuple[str, ...] = ("ed25519",)
    key_of: str = ""
    port: int = 0
    variables: dict[str, Any] = field(default_factory=dict)


class Rack:
    """Nodes in one container, on ports of this machine."""

    def __init__(self, folder: Path, nodes: Sequence[RealNode]) -> None:
        self.folder = folder
        self.nodes = {node.name: node for node in nodes}
        self.container = f"ascend-enroll-{uuid.uuid4().hex[:8]}"
        self.known_hosts = folder / "ssh" / "known_hosts"

    @contextmanager
    def started(self) -> Iterator[Rack]:
        """The nodes, for as long as this lasts."""
        try:
            self._start()
            yield self
        finally:
            run_podman("rm", "--force", "--time", "0", self.container)

    def _start(self) -> None:
        taken = []
        for node in self.nodes.values():
            free = socket.socket(socket.AF_INET6 if ":" in node.address else socket.AF_INET)
            free.bind((node.address, 0))
            node.port = free.getsockname()[1]
            taken.append(free)
            self._prepare(node)
        for free in taken:
            free.close()
        program = Path(__file__).with_name("start-rack")
        argv = ["run", "--detach", "--name", self.container, "--network", "host"]
        # Each node has mounts of its own; sshd ends a session with a terminal where it may not write to the audit log.
        argv += ["--cap-add", "SYS_ADMIN", "--cap-add", "AUDIT_WRITE"]
        argv += ["--security-opt", "apparmor=unconfined", "--security-opt", "seccomp=unconfined"]
        argv += [
            "--ulimit",
            "nofile=10000:10000",
            "--ulimit",
            "nproc=9000:9000",
            "--stop-timeout",
            "1",
            "--tmpfs",
            "/nodes:mode=0755",
        ]
        argv += ["--volume", f"{self.folder / 'rack'}:/rack", "--volume", f"{program}:/start-rack:ro"]
        done = run_podman(*argv, ensure_image(), "sh", "/start-rack")
        assert done.returncode == 0, done.stderr
        for node in self.nodes.values():
            self._wait(node)

    def _prepare(self, node: RealNode) -> None:
        place = self.folder / "rack" / node.name
        place.mkdir(parents=True)
        for kind in node.kinds:
            key = place / f"host_{kind}"
            if node.key_of:
                source = self.folder / "rack" / node.key_of / key.name
                key.write_bytes(source.read_bytes())
                key.with_suffix(".pub").write_bytes(source.with_suffix(".pub").read_bytes())
            else:
                subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(key)], check=True)
        keys = "\n".join(f"HostKey /etc/ssh/keys/host_{kind}" for kind in node.kinds)
        text = node.options + _CONFIG.format(port=node.port, address=node.address, keys=keys, options="")
        (place / "sshd_config").write_text(text)
        (place / "setup").write_text(f"set -e\n{node.setup}\n")

    def _wait(self, node: RealNode) -> None:
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            try:
                with socket.create_connection((node.address, node.port), timeout=2):
                    return
            except OSError:
                time.sleep(0.1)
        logs = run_podman("logs", self.container)
        raise AssertionError(f"{node.name} does not start: {self.log(node.name)} {logs.stdout} {logs.stderr}")

    def log(self, name: str) -> str:
        place = self.folder / "rack" / name
        return "".join(file.read_text() for file in (place / "setup.log", place / "sshd.log") if file.is_file())

    def public(self, name: str, kind: str = "ed25519") -> str:
        return (self.folder / "rack" / name / f"host_{kind}.pub").read_text()

    def fingerprint(self, name: str, kind: str = "ed25519") -> str:
        argv = ["ssh-keygen", "-lf", str(self.folder / "rack" / name / f"host_{kind}.pub")]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]

    def inside(self, name: str, script: str) -> str:
        """Run a script as root where the node's files are; return what it printed."""
        argv = ["exec", self.container, "sh", "-c"]
        find = f'exec nsenter --target "$(pgrep -of /rack/{name}/sshd.log)" --mount sh -c "$1"'
        done = run_podman(*argv, find, "sh", script)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def inventory(self, names: Sequence[str], known: bool = True, **variables: Any) -> Path:
        """An inventory of these nodes, with their fingerprints if they are ``known``."""
        hosts = {}
        for name in names:
            node = self.nodes[name]
            entry: dict[str, Any] = {"ansible_host": node.address, "ansible_port": node.port}
            if known:
                entry["ssh_host_fingerprints"] = [self.fingerprint(name, node.kinds[0])]
            hosts[name] = {**entry, **node.variables}
        common = {
            "ansible_user": "ascend-fleet",
            "enroll_password": PASSWORD,
            "of_another_purpose": "{{ nosuch_variable }}",
            "enroll_known_hosts": str(self.known_hosts),
            "enroll_host_ca": str(self.known_hosts.with_name("host_ca")),
            "enroll_user_ca": str(self.known_hosts.with_name("user_ca")),
            "enroll_dir": str(self.folder / "out"),
            "ansible_ssh_private_key_file": str(self.known_hosts.with_name("id_ed25519")),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.known_hosts} -o StrictHostKeyChecking=yes",
            **variables,
        }
        file = self.folder / f"inventory-{uuid.uuid4().hex[:6]}.yml"
        file.write_text(yaml.safe_dump({"ascend": {"hosts": hosts, "vars": common}}, allow_unicode=True))
        return file

    def report(self) -> dict[str, dict[str, Any]]:
        document = json.loads((self.folder / "out" / "report.json").read_text())
        return {node["name"]: node for node in document["nodes"]}


def play(
    inventory: Path, *arguments: str, playbook: str = "playbooks/enroll.yml", env: dict[str, str] | None = None
) -> Run:
    """Run the playbook."""
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), playbook, "-i", str(inventory), *arguments]
    done = run(argv, env={"ANSIBLE_NOCOLOR": "1", **(env or {})})
    return Run(done.returncode, done.stdout)
