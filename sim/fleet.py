#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Simulated nodes: containers with their own sshd and address, host keys known, and a web server with the depot.

A fleet has a network of its own on this machine. Its nodes are reached at their own addresses, like real ones, and not
at forwarded ports, because a forwarding rule outlives a container that died, and blocks its port.

``up`` can be run at any time: it keeps what runs and starts what is missing. Everything that it creates has a label
with the fleet's name, and ``down`` removes only that.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image import DEBIAN, ROOT, SUITES, SYSTEM, SYSTEMD, alone, ensure_image, platform_option, podman, run_podman, say

LABEL = "org.ascend-fleet.sim"
DEPOT_LABEL = f"{LABEL}.depot"
ANSWER_S = 30
# The last number of an address: nodes from .11 on, the depot after the last of them.
FIRST_NODE = 10
DEPOT = 250
HARDENED = "hardened"
PROFILES = (HARDENED, SYSTEMD)
# Root of a node with systemd is this account of the machine, which owns nothing here: systemd needs rights (mounts,
# its control group) with which a container's root would reach the kernel's settings and the machine's devices.
ROOT_ID = 500000
ROOM_MB = 39000  # what a release asks for in all (disk_mb in release.yml)
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
        """Return node name -> address, hardware; empty before the first ``up``."""
        if not self.file.is_file():
            return {}
        nodes: dict[str, dict[str, Any]] = json.loads(self.file.read_text(encoding="utf-8"))["nodes"]
        return nodes

    def save(self, nodes: dict[str, dict[str, Any]]) -> None:
        """Write what the inventory reads: of each node its hardware, and under ``vars`` how Ansible reaches it."""
        for name, node in nodes.items():
            node["vars"] = self._connection(name, node)
        content = {"name": self.name, "key": str(self.key), "known_hosts": str(self.known_hosts), "nodes": nodes}
        self.file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        lines = [f"{node['address']} {self._public(name)}" for name, node in sorted(nodes.items())]
        self.known_hosts.write_text("".join(lines), encoding="utf-8")

    def keypair(self, name: str) -> Path:
        """Return the private key ``name``, made on first use."""
        path = self.state / name
        if not path.is_file():
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{self.name} {name}", "-f", str(path)]
            subprocess.run(argv, check=True)
        return path

    def password(self, name: str) -> Path:
        """Return the file with the sudo password of a hardened node's account, made on first use."""
        path = self.state / f"password_{name}"
        if not path.is_file():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(12), encoding="utf-8")
        return path

    def _connection(self, name: str, node: dict[str, Any]) -> dict[str, Any]:
        checked = f"-o UserKnownHostsFile={self.known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
        reached = {
            "ansible_host": node["address"],
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": checked,
        }
        if node.get("profile") == HARDENED:
            password = self.password(name).read_text(encoding="utf-8")
            # sudo asks for a terminal there, which pipelining does not give it.
            reached |= {"ansible_user": "fleet", "ansible_become_password": password, "ansible_pipelining": False}
            # /var/tmp is noexec there, and CANN's installers are started from where they unpack.
            reached["ascend_tmp_dir"] = "/opt/unpack"
        return reached

    def _public(self, node: str) -> str:
        return self.keypair(f"host_{node}").with_suffix(".pub").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Kind:
    """What new nodes are: bare, or with what the running node ``like`` (of any fleet) has on disk now.

    ``architecture`` is this machine's unless said; ``profile`` is "" or one of PROFILES (sim/README.md).
    """

    like: str | None = None
    architecture: str = ""
    system: str = SYSTEM
    profile: str = ""


def up(fleet: Fleet, count: int, depot: Path | None, kind: Kind) -> None:
    """Start what is missing of ``count`` nodes and, with ``depot``, the web server for that folder."""
    if count > DEPOT - FIRST_NODE - 1:
        sys.exit(f"fleet: {count} nodes wanted, {DEPOT - FIRST_NODE - 1} at most")
    fleet.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone():
        image = ensure_image()
        node_image = None if kind.like else ensure_image(kind.architecture, kind.system, kind.profile)
        network = ensure_network(fleet)
    running = containers(fleet)
    fleet.keypair(fleet.key.name)
    tell_room()
    if depot and not (serving(fleet, depot.resolve()) and answers(depot_address(network), 80)):
        start_depot(fleet, image, network, depot.resolve())
    nodes = fleet.nodes()
    fleet.save(nodes)  # what an earlier version wrote may lack something
    started = []
    for number in range(1, count + 1):
        name = f"{fleet.name}-{number}"
        address = f"{network}.{FIRST_NODE + number}"
        if name in running and nodes.get(name, {}).get("address") == address and answers(address, 22):
            continue
        nodes[name] = {"address": address, "number": number, **HARDWARE[(number - 1) % len(HARDWARE)]}
        nodes[name] |= {"architecture": kind.architecture, "system": kind.system, "profile": kind.profile}
        fleet.save(nodes)
        node_image = node_image or copied(fleet, str(kind.like))
        start_node(fleet, node_image, network, name, nodes[name])
        started.append(name)
    for name in started:
        wait_for(name, nodes[name]["address"], 22)
    if depot:
        wait_for(f"{fleet.name}-depot", depot_address(network), 80)
    kept = len([name for name in nodes if name not in started])
    say(f"{len(started)} nodes started, {kept} were running" if started else f"{kept} nodes are running")


def tell_room() -> None:
    """Warn beforehand if site.yml will refuse the nodes, because they have only this machine's free space."""
    place = podman("info", "--format", "{{.Store.GraphRoot}}").strip()
    free_mb = shutil.disk_usage(place).free // 2**20
    if free_mb < ROOM_MB:
        say(
            f"note: {free_mb} MB free in {place}; site.yml requires {ROOM_MB} MB, as on a real node, so free some space"
        )


def start_node(fleet: Fleet, image: str, network: str, name: str, node: dict[str, Any]) -> None:
    """Start one node; a stopped one of the same name is replaced."""
    say(f"starting {name}: 8 x {node['chip_name']}, {int(node['hbm_total_mb']) // 1024} GB, {node['address']}")
    remove(name)
    argv = ["run", "--detach", "--name", name, "--hostname", name, *common(fleet)]
    # For the hook of sim/hooks: the kernel settings of the node's own network can be set in it, and no others.
    argv += ["--annotation", f"{LABEL}=node"]
    argv += ["--ip", node["address"], "--add-host", f"depot:{depot_address(network)}"]
    booted = node["profile"] == SYSTEMD
    argv += as_unprivileged() if booted else []
    # U: it becomes the container's root's.
    argv += ["--volume", f"{fleet.keypair(f'host_{name}')}:/etc/ascend-sim/host_key:ro{',U' if booted else ''}"]
    argv += ["--volume", f"{fleet.key.with_suffix('.pub')}:/etc/ascend-sim/client.pub:ro"]
    argv += ["--env", f"ASCEND_SIM_CHIP_NAME={node['chip_name']}", "--env", f"ASCEND_SIM_HBM_MB={node['hbm_total_mb']}"]
    if node["profile"] == HARDENED:
        argv += ["--env", f"ASCEND_SIM_PROFILE={HARDENED}", "--tmpfs", "/var/tmp:rw,noexec,nosuid,nodev,mode=1777"]
        argv += ["--volume", f"{fleet.password(name)}:/etc/ascend-sim/password:ro"]
    first = f"/opt/ascend-sim/{'start-systemd' if booted else 'start-node'}"
    podman(*argv, *platform_option(node["architecture"]), image, first)


def as_unprivileged() -> list[str]:
    """Return podman's options for a node with systemd: a user namespace, in which its root may mount and see processes.

    There the kernel itself refuses it /proc/sys (but net, its own network's), /sys, and to make devices. By the
    annotation, the hooks of sim/hooks give it its control group, in the hierarchy that systems boot with today.
    """
    ids = f"0:{ROOT_ID}:65536"
    options = ["--systemd", "always", "--annotation", f"{LABEL}.systemd=yes"]
    return [*options, "--uidmap", ids, "--gidmap", ids, "--cap-add", "SYS_ADMIN,SYS_PTRACE,NET_ADMIN"]


def copied(fleet: Fleet, node: str) -> str:
    """Return an image of that node's disk; takes a minute or two for a node with an environment."""
    say(f"copying {node}")
    image = f"localhost/{fleet.name}-like:latest"
    # The node may be another fleet's: whoever takes this fleet down removes the copy.
    podman("commit", "--quiet", "--change", f"LABEL {LABEL}={fleet.name}", node, image)
    return image


def start_depot(fleet: Fleet, image: str, network: str, depot: Path) -> None:
    """Start nginx on the fleet's network, with the depot's folder read-only."""
    say(f"serving {depot} to the nodes as http://depot/")
    depot.mkdir(parents=True, exist_ok=True)
    name = f"{fleet.name}-depot"
    remove(name)
    argv = ["run", "--detach", "--name", name, *common(fleet), "--ip", depot_address(network)]
    argv += ["--label", f"{DEPOT_LABEL}={depot}", "--volume", f"{depot}:/srv/depot:ro"]
    podman(*argv, image, "/opt/ascend-sim/start-depot")


def serving(fleet: Fleet, depot: Path) -> bool:
    """Whether the fleet's web server runs, with that folder."""
    labels = ["--filter", f"label={LABEL}={fleet.name}", "--filter", f"label={DEPOT_LABEL}={depot}"]
    return bool(podman("ps", *labels, "--quiet").strip())


def common(fleet: Fleet) -> list[str]:
    return [
        *("--label", f"{LABEL}={fleet.name}", "--network", fleet_network(fleet)),
        *("--ulimit", "nofile=10000:10000", "--ulimit", "nproc=9000:9000"),
        *("--stop-timeout", "2"),
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
    return f"{network}.{DEPOT}"


def containers(fleet: Fleet) -> list[str]:
    """Return the names of the fleet's running containers."""
    return podman("ps", "--filter", f"label={LABEL}={fleet.name}", "--format", "{{.Names}}").split()


def remove(*names: str) -> None:
    """Remove containers, running or dead, if they exist."""
    argv = ["rm", "--force", "--ignore", "--time", "1", *names]
    # podman stumbles once over a container that died with the machine, notes it, and then removes it.
    if run_podman(*argv).returncode:
        podman(*argv)


def down(fleet: Fleet) -> None:
    """Remove the fleet's containers, network and state; the image and the cache stay."""
    names = podman("ps", "--all", "--filter", f"label={LABEL}={fleet.name}", "--format", "{{.Names}}").split()
    if names:
        remove(*names)
    copies = podman("images", "--filter", f"label={LABEL}={fleet.name}", "--format", "{{.Id}}").split()
    if copies:
        podman("rmi", *dict.fromkeys(copies))
    networks = podman("network", "ls", "--filter", f"label={LABEL}={fleet.name}", "--format", "{{.Name}}").split()
    if networks:
        podman("network", "rm", *networks)
    # A folder that is not a fleet's stays. What cannot be removed keeps nobody from starting a fleet anew.
    if fleet.file.is_file() or not any(fleet.state.iterdir() if fleet.state.is_dir() else []):
        shutil.rmtree(fleet.state, ignore_errors=True)
    say(f"{len(names)} containers removed")


def wait_for(name: str, address: str, port: int) -> None:
    """Wait until the container's server answers."""
    until = time.monotonic() + ANSWER_S
    while time.monotonic() < until:
        if answers(address, port):
            return
        time.sleep(0.1)
    sys.exit(f"fleet: {name} does not answer on {address}:{port} within {ANSWER_S} s: podman logs {name}")


def answers(address: str, port: int) -> bool:
    """Whether a server answers, because podman calls containers running that died with the machine."""
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="ascend-sim", help="the fleet (default ascend-sim)")
    parser.add_argument("--state", type=Path, default=ROOT / ".sim", help="its state (default .sim)")
    actions = parser.add_subparsers(dest="action", required=True)
    start = actions.add_parser("up", help="start the nodes that are missing")
    start.add_argument("--nodes", type=int, default=2)
    start.add_argument("--depot", type=Path, help="a folder to serve to the nodes as http://depot/")
    start.add_argument("--like", metavar="NODE", help="give new nodes the disk content of this running node")
    start.add_argument(
        "--arch",
        default="",
        choices=sorted(DEBIAN),
        help="architecture of new nodes; another one is emulated (default: this machine's)",
    )
    start.add_argument(
        "--system", default=SYSTEM, choices=sorted(SUITES), help=f"operating system of new nodes (default {SYSTEM})"
    )
    start.add_argument("--profile", default="", choices=PROFILES, help="profile of new nodes (default: none)")
    actions.add_parser("down", help="remove the fleet")
    actions.add_parser("list", help="name, address and hardware of each node")
    image = actions.add_parser("image", help="build only the node image")
    image.add_argument("--arch", default="", choices=sorted(DEBIAN), help="its architecture (default: this machine's)")
    image.add_argument("--system", default=SYSTEM, choices=sorted(SUITES), help=f"default {SYSTEM}")
    image.add_argument("--profile", default="", choices=PROFILES, help="default: none")
    execute = actions.add_parser("exec", help="run a command in a node")
    execute.add_argument("node")
    execute.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    fleet = Fleet(arguments.name, arguments.state.resolve())
    if arguments.action == "up":
        kind = Kind(arguments.like, arguments.arch, arguments.system, arguments.profile)
        up(fleet, arguments.nodes, arguments.depot, kind)
    elif arguments.action == "down":
        down(fleet)
    elif arguments.action == "image":
        ensure_image(arguments.arch, arguments.system, arguments.profile)
    elif arguments.action == "exec":
        sys.stdout.write(podman("exec", arguments.node, *[word for word in arguments.command if word != "--"]))
    else:
        for name, node in sorted(fleet.nodes().items()):
            system = " ".join([node.get("system", SYSTEM), node.get("profile", "")]).strip()
            print(f"{name}  {node['address']}  {node['chip_name']} {node['hbm_total_mb']} MB  {system}")


if __name__ == "__main__":
    main()
