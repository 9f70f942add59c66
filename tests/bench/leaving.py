#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many payloads leave the depot until sixteen nodes have one each, and how long that takes, over slow links.

The control node is this machine, nodes are containers on one bridge. Each link is limited in both directions (tc, tbf),
the control node's to the same rate as a node's: on the bridge's own interface, which what this machine itself sends
passes, and what one node sends another does not. The same tbf counts what leaves. Both are proven before anything is
measured, with transfers of a known size. What the control node receives (acknowledgements, answers) is not limited.

The payload is like a release: two large packages, an interpreter, three large wheels and sixty small ones. A mirror is
a host of its own beside the nodes, filled and served by playbooks/mirrors.yml. Time is that of the whole playbook.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from timing import BIN, ROOT, Timed

sys.path.append(str(ROOT))
sys.path.append(str(ROOT / "sim"))
sys.path.insert(0, str(ROOT / "collections"))

import image
from fleet import wait_for

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.libtorrent import fill, wheel_of
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.sending import Sent, needed, single
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.web import Sources
from tests.change.fleet import Fleet, of_the_node, sh, slow

FLEET = "ascend-leaving"
PLACE = image.CACHE / "leaving"  # of this benchmark alone: emptied before and after
NODES, TIER = 16, 4
CACHE_DIR = "/var/cache/ascend-fleet"  # ascend_cache_dir
STEPS = ("toolkit", "kernels", "python", "environment")
# Parts of the payload; sixty small wheels, each another size, share the rest.
SINGLE = {"toolkit": ("cann/toolkit.run", 0.28), "kernels": ("cann/kernels.run", 0.22)}
SINGLE |= {"python": ("python/python.tar.gz", 0.03), "uv": ("uv/uv", 0.02)}
LARGE_WHEELS = (0.15, 0.08, 0.05)
SMALL_WHEELS = 60
WHEELS = "wheels/bench"
HEADERS = 14 + 20 + 32  # of a frame: Ethernet, IPv4, TCP with time stamps
MORE = 0.2  # payloads that may leave beside those that are needed
LIBTORRENT = ROOT / "roles" / "depot" / "files" / "libtorrent.txt"
TAG = "import platform, sys; print('cp%d%d-%s' % (*sys.version_info[:2], platform.machine()))"
PROOF_S = 2  # how long the links' rate lets a proof's transfer take
PORT = 9000
TAKE = f"""
import socketserver
class Taker(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.read(65536):
            pass
        self.wfile.write(b".")
socketserver.ThreadingTCPServer(("", {PORT}), Taker).serve_forever()
"""
GIVE = f"""
import socket, sys
connection = socket.create_connection((sys.argv[1], {PORT}))
connection.sendall(bytes(int(sys.argv[2])))
connection.shutdown(socket.SHUT_WR)
connection.recv(1)
"""

SEND: dict[str, Any] = {
    "name": "Send the nodes what they lack",
    "hosts": "ascend",
    "gather_facts": False,
    "become": True,
    "tasks": [
        {
            "name": "Send the files of the depot",
            "ascend.fleet.depot_files": {
                "wanted": "{{ preflight_node.wanted }}",
                "steps": "{{ preflight_node.components }}",
                "cache_dir": CACHE_DIR,
            },
            "throttle": "{{ depot_nodes_at_once | int }}",
        }
    ],
}
SWARM: dict[str, Any] = {
    **SEND,
    "tasks": [
        {"name": "Give the batch", "ascend.fleet.depot_swarm": {"part": "seed"}, "run_once": True},
        {
            "name": "Join",
            "ascend.fleet.depot_swarm": {
                "part": "join",
                "wanted": "{{ preflight_node.wanted }}",
                "steps": "{{ preflight_node.components }}",
                "cache_dir": CACHE_DIR,
            },
        },
        {"name": "Wait", "ascend.fleet.depot_swarm": {"part": "wait", "cache_dir": CACHE_DIR}},
        *SEND["tasks"],
    ],
}
FILL: dict[str, Any] = {"name": "Fill the mirrors", "import_playbook": str(ROOT / "playbooks" / "mirrors.yml")}


@dataclass(frozen=True)
class Way:
    """How the payload comes to the nodes: plays, how many hosts are mirrors, how often it has to leave the depot."""

    plays: tuple[dict[str, Any], ...]
    mirrors: int
    leaves: float
    transport: str = "ssh"  # depot_transport


WAYS = {
    "ssh": Way((SEND,), 0, NODES),
    "tiers": Way((FILL, SEND), NODES // TIER, NODES / TIER),
    "swarm": Way((SWARM,), 0, 1.1, "swarm"),
}


class Count(NamedTuple):
    """What left the control node for the nodes: bytes with headers, frames, and those dropped in a full queue."""

    size: int
    frames: int
    dropped: int

    def since(self, before: Count) -> Count:
        return Count(*(now - then for now, then in zip(self, before, strict=True)))

    @property
    def carried(self) -> int:
        """Bytes without the frames' headers."""
        return self.size - self.frames * HEADERS


class Bench:
    """The fleet and its links; ``mbit`` is the rate of each."""

    def __init__(self, way: Way, mbit: int, at_once: int) -> None:
        self.way, self.mbit, self.at_once = way, mbit, at_once
        self.fleet = Fleet(FLEET, PLACE / "state", PLACE)
        self.nodes = [self.fleet.node(number) for number in range(1, NODES + 1)]
        self.mirrors = [self.fleet.node(NODES + number) for number in range(1, way.mirrors + 1)]
        self.bridge = ""

    def __enter__(self) -> Bench:
        """Start anew, also after a run that was killed."""
        self.remove()
        try:
            self.fleet.command("up", "--nodes", str(NODES + len(self.mirrors)))
            found = json.loads(image.podman("network", "inspect", f"{FLEET}-network"))
            self.bridge = found[0]["network_interface"]
            self.limit()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        self.fleet.command("down")
        shutil.rmtree(PLACE, ignore_errors=True)

    def limit(self) -> None:
        rate = f"{self.mbit}mbit"
        limited = ["root", "tbf", "rate", rate, "burst", "64kb", "latency", "200ms"]
        subprocess.run([*image.as_root(), "tc", "qdisc", "add", "dev", self.bridge, *limited], check=True)
        for node in (*self.nodes, *self.mirrors):
            slow(node, rate)
            of_the_node(node, "--net", "tc", "qdisc", "add", "dev", "eth0", *limited)

    def count(self) -> Count:
        argv = [*image.as_root(), "tc", "-s", "-j", "qdisc", "show", "dev", self.bridge, "root"]
        (found,) = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
        assert found["kind"] == "tbf", found
        return Count(found["bytes"], found["packets"], found["drops"])

    def reached(self, node: str) -> dict[str, Any]:
        """The variables by which Ansible reaches a node."""
        reached: dict[str, Any] = self.fleet_file()["nodes"][node]["vars"]
        return reached

    def fleet_file(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.fleet.state / "fleet.json").read_text(encoding="utf-8"))
        return content

    def ssh(self, node: str, command: str, **how: Any) -> None:
        """Run a command on a node; ``how`` is that of ``subprocess.run``."""
        reached = self.reached(node)
        argv = ["ssh", *reached["ansible_ssh_common_args"].split(), "-i", reached["ansible_ssh_private_key_file"]]
        target = f"{reached['ansible_user']}@{reached['ansible_host']}"
        subprocess.run([*argv, target, command], check=True, **how)

    def prove(self) -> None:
        """Stop the program unless each link is as slow as it should be, and only what leaves the depot counts."""
        size = self.mbit * 125_000 * PROOF_S
        one, two, three = self.nodes[:3]
        self._prove(
            "from the depot to two nodes",
            2 * size,
            (1, 1.15),
            [lambda: self._to(one, size), lambda: self._to(two, size)],
        )
        self._prove("from a node to the depot", size, (0, 0.1), [lambda: self._from(one, size)])
        image.podman("exec", "--detach", three, "python3", "-c", TAKE)
        address = self.fleet.address(three)
        wait_for(three, address, PORT)
        give = ["python3", "-c", GIVE, address, str(size)]
        between = [lambda: image.podman("exec", one, *give), lambda: image.podman("exec", two, *give)]
        self._prove("from two nodes to a third", 2 * size, (0, 0.01), between)

    def _to(self, node: str, size: int) -> None:
        self.ssh(node, "cat >/dev/null", input=bytes(size))

    def _from(self, node: str, size: int) -> None:
        self.ssh(node, f"head -c {size} /dev/zero", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def _prove(
        self, what: str, size: int, counted: tuple[float, float], transfers: Sequence[Callable[[], object]]
    ) -> None:
        """Transfers of ``size`` bytes in all, side by side, pass one link; ``counted``: what part leaves the depot."""
        before, begin = self.count(), time.monotonic()
        with ThreadPoolExecutor(len(transfers)) as pool:
            for future in [pool.submit(transfer) for transfer in transfers]:
                future.result()
        took = time.monotonic() - begin
        left, mbit = self.count().since(before).size / size, size / took / 125_000
        print(f"{what}: {size / 1e6:.1f} MB at {mbit:.1f} Mbit/s, {left:.3f} of it left the depot", flush=True)
        slowest, fastest = 0.5 * self.mbit, 1.02 * self.mbit
        if not (slowest <= mbit <= fastest and counted[0] <= left <= counted[1]):
            sys.exit(f"bench: wanted {slowest:.1f} to {fastest:.1f} Mbit/s, {counted[0]} to {counted[1]} of it counted")


def payload(depot: Path, size: int) -> dict[str, Any]:
    """Make a depot of files that nothing compresses; return what a node that needs them is wanted to be."""
    parts = {name: int(part * size) for name, part in SINGLE.values()}
    parts |= {f"{WHEELS}/large_{number}.whl": int(part * size) for number, part in enumerate(LARGE_WHEELS)}
    rest, shares = size - sum(parts.values()), SMALL_WHEELS * (SMALL_WHEELS + 1) // 2
    parts |= {f"{WHEELS}/small_{number}.whl": rest * number // shares for number in range(1, SMALL_WHEELS + 1)}
    index = Index(depot)
    for name, length in parts.items():
        path = depot / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            for begin in range(0, length, 1_000_000):
                stream.write(os.urandom(min(1_000_000, length - begin)))
        index.enter(name)
    index.save()
    lock = depot / "lock.txt"
    lock.write_text("".join(f"--hash=sha256:{index.sha256(name)}\n" for name in parts if name.startswith(WHEELS)))
    single = {
        kind: {"version": "1", "url": f"ssh:/{name}", **index["files"][name]} for kind, (name, _) in SINGLE.items()
    }
    return {**single, "environment": {"source": {}, "wheels": WHEELS, "lock_file": str(lock)}}


def libtorrent(bench: Bench, incoming: Path | None) -> int:
    """Put libtorrent into the depot, and its wheel into the nodes' caches; return the wheel's size.

    Nodes have it from then on, whatever they are sent; so it is told beside the payload.
    """
    index = Index(PLACE / "depot")
    fill(index, os.uname().machine, LIBTORRENT, Sources(incoming), silent(), check=False)
    index.save()
    tag = image.podman("exec", bench.nodes[0], "python3", "-c", TAG).strip()
    name = wheel_of(index.content, tag)
    path = single(str(PLACE / "depot"), name, index["files"][name]).path
    for node in bench.nodes:
        sh(node, f"mkdir -p {CACHE_DIR}/{Path(path).parent}")
        image.podman("cp", str(PLACE / "depot" / name), f"{node}:{CACHE_DIR}/{path}")
    return int(index["files"][name]["size_bytes"])


def inventory(bench: Bench, wanted: dict[str, Any], way: Way) -> Path:
    """Write an inventory, with what the plan would have made of each node."""
    nodes: dict[str, Any] = {}
    for number, name in enumerate(bench.nodes):
        mirror = bench.mirrors[number // TIER] if way.mirrors else ""
        url = f"http://{bench.fleet.address(mirror)}:8080" if mirror else ""
        depot = {"transport": way.transport, "folder": str(PLACE / "depot"), "url": "ssh:"}
        depot |= {"mirror": mirror, "mirror_url": url}
        plan = {"components": list(STEPS), "wanted": {**wanted, "depot": depot}}
        nodes[name] = {**bench.reached(name), "preflight_node": plan}
    mirrors = {name: bench.reached(name) for name in bench.mirrors}
    groups = {"ascend": {"hosts": nodes}, "depot_mirrors": {"hosts": mirrors}}
    content = {"all": {"vars": {"depot_nodes_at_once": bench.at_once}, "children": groups}}
    path = PLACE / f"inventory-{len(list(PLACE.glob('inventory-*')))}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def playbook(bench: Bench, name: str, plays: Sequence[dict[str, Any]], hosts: Path, *more: str) -> Timed:
    """Return a playbook that ends with this process, however that ends."""
    path = PLACE / f"{name}.yml"
    path.write_text(json.dumps(plays), encoding="utf-8")
    ends = (str(shutil.which("setpriv")), "--pdeathsig", "KILL")
    argv = (*ends, str(BIN / "ansible-playbook"), str(path), "-i", str(hosts), *more)
    return Timed(argv, {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(bench.fleet.state / "ssh")})


def measured(bench: Bench, run: Timed, nodes: Sequence[str], files: Sequence[Sent]) -> Count:
    """Run it, require that the nodes have every file as it is in the depot, and return what left for that."""
    before = bench.count()
    run.run()
    left = bench.count().since(before)
    sums = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    for node in nodes:
        sh(node, f"cd {CACHE_DIR} && sha256sum --check --quiet <<'END'\n{sums}END")
    return left


@contextmanager
def ending() -> Iterator[None]:
    """Clean up after kill -TERM as well."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended"))
    yield
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", choices=sorted(WAYS), default="tiers", help="default %(default)s")
    parser.add_argument("--rate", default="20mbit", help="of every link (default %(default)s)")
    parser.add_argument("--megabytes", type=int, default=200, help="of the payload (default %(default)s)")
    parser.add_argument("--at-once", type=int, default=8, help="depot_nodes_at_once (default %(default)s)")
    parser.add_argument("--incoming", type=Path, help="a folder with wheels of libtorrent, for --way swarm")
    arguments = parser.parse_args()
    rate = re.fullmatch(r"(\d+)mbit", arguments.rate)
    if not rate:
        parser.error("--rate: a number with mbit, as 20mbit")
    with ending(), Bench(WAYS[arguments.way], int(rate[1]), arguments.at_once) as bench:
        bench.prove()
        wanted = payload(PLACE / "depot", arguments.megabytes * 1_000_000)
        files = needed(STEPS, {**wanted, "depot": {"folder": str(PLACE / "depot")}})
        first = bench.nodes[0]
        alone = playbook(bench, "alone", [SEND], inventory(bench, wanted, WAYS["ssh"]), "--limit", first)
        of_one = measured(bench, alone, [first], files)
        sh(first, f"rm -rf {CACHE_DIR}")
        if arguments.way == "swarm":
            size = libtorrent(bench, arguments.incoming)
            print(f"libtorrent, which the nodes have already: {size / 1e6:.1f} MB each")
        every = playbook(bench, "every", bench.way.plays, inventory(bench, wanted, bench.way))
        of_all = measured(bench, every, bench.nodes, files)
        report(arguments, files, (alone, of_one), (every, of_all))


def report(
    arguments: argparse.Namespace, files: Sequence[Sent], one: tuple[Timed, Count], every: tuple[Timed, Count]
) -> None:
    size = sum(file.size_bytes for file in files)
    print(f"{arguments.way}, {arguments.rate}, {size / 1e6:.0f} MB in {len(files)} files, {arguments.at_once} at once")
    for name, (run, left) in (("one node alone", one), (f"{NODES} nodes", every)):
        print(
            f"{name}: {run.median:.1f} s, {left.carried / size:.2f} payloads left the depot, "
            f"with the frames' headers {left.size / size:.2f}; {left.dropped} of {left.frames} frames dropped"
        )
    limit = WAYS[arguments.way].leaves + MORE
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{every[0].median / one[0].median:.2f} times one node's time; limit {limit:.1f} payloads; load {load}")


if __name__ == "__main__":
    main()
