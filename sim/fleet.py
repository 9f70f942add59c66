#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Simulated nodes: containers with their own sshd on 127.0.0.1, host keys known, and a web server with the depot.

``up`` may be run at any time: what runs is kept, what is missing is started. All that it makes carries a label with the
fleet's name, and ``down`` removes just that.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from image import ROOT, ensure_image, podman, say

LABEL = "org.ascend-fleet.sim"
FIRST_PORT = 22200
SSHD_S = 30
# What real fleets have: 64 GB and 32 GB cards.
HARDWARE = [
    {"chip_name": "910B3", "hbm_total_mb": "65536"},
    {"chip_name": "910B4", "hbm_total_mb": "32768"},
]


class Fleet:
    """A fleet's name and its state on the control node: keys, ``known_hosts``, ``fleet.json``."""

    def __init__(self, name: str, state: Path) -> None:
        self.name = name
        self.state = state
        self.key = state / "id_ed25519"
        self.known_hosts = state / "known_hosts"
        self.file = state / "fleet.json"

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Return node name -> port, hardware; empty before the first ``up``."""
        if not self.file.is_file():
            return {}
        nodes: dict[str, dict[str, Any]] = json.loads(self.file.read_text(encoding="utf-8"))["nodes"]
        return nodes

    def save(self, nodes: dict[str, dict[str, Any]]) -> None:
        """Write what the inventory reads."""
        content = {"name": self.name, "key": str(self.key), "known_hosts": str(self.known_hosts), "nodes": nodes}
        self.file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        lines = [f"[127.0.0.1]:{node['port']} {self._public(name)}" for name, node in sorted(nodes.items())]
        self.known_hosts.write_text("".join(lines), encoding="utf-8")

    def keypair(self, name: str) -> Path:
        """Return the private key ``name``, made on first use."""
        path = self.state / name
        if not path.is_file():
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{self.name} {name}", "-f", str(path)]
            subprocess.run(argv, check=True)
        return path

    def _public(self, node: str) -> str:
        return self.keypair(f"host_{node}").with_suffix(".pub").read_text(encoding="utf-8")


def up(fleet: Fleet, count: int, depot: Path | None) -> None:
    """Start what is missing of ``count`` nodes and, with ``depot``, the web server that serves that folder."""
    fleet.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    image = ensure_image()
    network = ensure_network(fleet)
    running = containers(fleet)
    fleet.keypair(fleet.key.name)
    if depot and f"{fleet.name}-depot" not in running:
        start_depot(fleet, image, network, depot)
    nodes = fleet.nodes()
    started = []
    for number in range(1, count + 1):
        name = f"{fleet.name}-{number}"
        if name in running and name in nodes and greets(nodes[name]["port"]):
            continue
        port = nodes.get(name, {}).get("port") or free_port({node["port"] for node in nodes.values()})
        nodes[name] = {"port": port, "number": number, **HARDWARE[(number - 1) % len(HARDWARE)]}
        fleet.save(nodes)
        start_node(fleet, image, network, name, nodes[name])
        started.append(name)
    for name in started:
        wait_for_ssh(name, nodes[name]["port"])
    kept = len([name for name in nodes if name not in started])
    say(f"{len(started)} nodes started, {kept} were running" if started else f"{kept} nodes are running")


def start_node(fleet: Fleet, image: str, network: str, name: str, node: dict[str, Any]) -> None:
    """Start one node; a stopped one of the same name is replaced."""
    say(f"starting {name}: 8 x {node['chip_name']}, {int(node['hbm_total_mb']) // 1024} GB, 127.0.0.1:{node['port']}")
    podman("rm", "--force", "--ignore", name)
    argv = ["run", "--detach", "--name", name, "--hostname", name, *common(fleet, network)]
    argv += ["--publish", f"127.0.0.1:{node['port']}:22", "--add-host", f"depot:{depot_address(network)}"]
    argv += ["--volume", f"{fleet.keypair(f'host_{name}')}:/etc/ascend-sim/host_key:ro"]
    argv += ["--volume", f"{fleet.key.with_suffix('.pub')}:/etc/ascend-sim/client.pub:ro"]
    argv += ["--env", f"ASCEND_SIM_CHIP_NAME={node['chip_name']}", "--env", f"ASCEND_SIM_HBM_MB={node['hbm_total_mb']}"]
    podman(*argv, image, "/opt/ascend-sim/start-node")


def start_depot(fleet: Fleet, image: str, network: str, depot: Path) -> None:
    """Start nginx on the fleet's network, with the depot's folder read-only."""
    say(f"serving {depot} to the nodes as http://depot/")
    depot.mkdir(parents=True, exist_ok=True)
    name = f"{fleet.name}-depot"
    podman("rm", "--force", "--ignore", name)
    argv = ["run", "--detach", "--name", name, *common(fleet, network), "--ip", depot_address(network)]
    podman(*argv, "--volume", f"{depot.resolve()}:/srv/depot:ro", image, "/opt/ascend-sim/start-depot")


def common(fleet: Fleet, network: str) -> list[str]:
    return [
        *("--label", f"{LABEL}={fleet.name}", "--network", fleet_network(fleet)),
        *("--ulimit", "nofile=10000:10000", "--ulimit", "nproc=9000:9000"),
        *("--stop-timeout", "2", "--label", f"{LABEL}.network={network}"),
    ]


def fleet_network(fleet: Fleet) -> str:
    return f"{fleet.name}-network"


def ensure_network(fleet: Fleet) -> str:
    """Return the first three numbers of the fleet's own network, made in a free range on first use."""
    known = json.loads(podman("network", "ls", "--format", "json") or "[]")
    used = set()
    for network in known:
        subnets = [entry["subnet"] for entry in network.get("subnets", [])]
        used.update(subnets)
        if network["name"] == fleet_network(fleet):
            return str(subnets[0]).rsplit(".", 1)[0]
    for number in range(1, 250):
        prefix = f"10.213.{number}"
        if f"{prefix}.0/24" not in used:
            label = f"{LABEL}={fleet.name}"
            podman("network", "create", "--label", label, "--subnet", f"{prefix}.0/24", fleet_network(fleet))
            return prefix
    sys.exit("fleet: no free network among 10.213.1.0/24 to 10.213.249.0/24: podman network ls")


def depot_address(network: str) -> str:
    return f"{network}.250"


def containers(fleet: Fleet) -> list[str]:
    """Return the names of the fleet's running containers."""
    return podman("ps", "--filter", f"label={LABEL}={fleet.name}", "--format", "{{.Names}}").split()


def down(fleet: Fleet) -> None:
    """Remove the fleet's containers, network and state; the image and the cache stay."""
    names = podman("ps", "--all", "--filter", f"label={LABEL}={fleet.name}", "--format", "{{.Names}}").split()
    if names:
        podman("rm", "--force", "--time", "1", *names)
    networks = podman("network", "ls", "--filter", f"label={LABEL}={fleet.name}", "--format", "{{.Name}}").split()
    if networks:
        podman("network", "rm", *networks)
    if fleet.file.is_file() or not any(fleet.state.iterdir() if fleet.state.is_dir() else []):
        shutil.rmtree(fleet.state, ignore_errors=True)
    say(f"{len(names)} containers removed")


def free_port(taken: set[int]) -> int:
    """Return a port of 127.0.0.1 that nobody listens on and no other node of the fleet has."""
    for port in range(FIRST_PORT, FIRST_PORT + 2000):
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    sys.exit(f"fleet: no free port from {FIRST_PORT} on")


def wait_for_ssh(name: str, port: int) -> None:
    """Wait until the node's sshd greets."""
    until = time.monotonic() + SSHD_S
    while time.monotonic() < until:
        if greets(port):
            return
        time.sleep(0.1)
    sys.exit(f"fleet: {name} does not answer on 127.0.0.1:{port} within {SSHD_S} s: podman logs {name}")


def greets(port: int) -> bool:
    """Whether an sshd answers on that port: a node can be running and out of reach, its forwarding lost."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="ascend-sim", help="the fleet (default ascend-sim)")
    parser.add_argument("--state", type=Path, default=ROOT / ".sim", help="its state (default .sim)")
    actions = parser.add_subparsers(dest="action", required=True)
    start = actions.add_parser("up", help="start what is missing")
    start.add_argument("--nodes", type=int, default=2)
    start.add_argument("--depot", type=Path, help="a folder to serve to the nodes as http://depot/")
    actions.add_parser("down", help="remove the fleet")
    actions.add_parser("list", help="name, port and hardware of each node")
    actions.add_parser("image", help="build the node image alone")
    execute = actions.add_parser("exec", help="run a command in a node")
    execute.add_argument("node")
    execute.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    fleet = Fleet(arguments.name, arguments.state.resolve())
    if arguments.action == "up":
        up(fleet, arguments.nodes, arguments.depot)
    elif arguments.action == "down":
        down(fleet)
    elif arguments.action == "image":
        ensure_image()
    elif arguments.action == "exec":
        sys.stdout.write(podman("exec", arguments.node, *[word for word in arguments.command if word != "--"]))
    else:
        for name, node in sorted(fleet.nodes().items()):
            print(f"{name}  127.0.0.1:{node['port']}  {node['chip_name']} {node['hbm_total_mb']} MB")


if __name__ == "__main__":
    main()
