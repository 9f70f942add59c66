#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a changed node costs the control node in CPU and memory: ``site.yml`` on bare nodes, 100 and 1,000 of them.

One bare simulated node is installed with the demo's depot, and what it answers is kept. Then fleets whose SSH answers
at once, each node in the order of the recorded one: every step of the plan is run, and the nodes cost nothing. They
take the depot's files themselves: what sending 3 GB costs is a matter of bytes (transport.py).

CPU seconds are those of all processes of the playbook, and depend little on what else runs. Memory is looked at in the
same run, by this process. A thousand nodes take half an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from standin.nodes import StandIns
from timing import ROOT, Memory, Timed

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascend-fleet"
FLEET = "ascend-bench-changed"
SIZES = (100, 1000)
STEEPER = 1.1  # CPU a node of the largest fleet, to that of the smallest
MEMORY_MB = 1536
# Nodes that take the depot's files themselves.
SERVED = {"ascend_depot_url": "http://depot", "depot_served_by_others": False}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kept = "a folder that keeps what the node answered, for an hour: then its clock is refused"
    parser.add_argument("--answers", type=Path, help=kept)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ascend-bench-") as name:
        standins = StandIns(Path(name) / "standin", arguments.answers, in_turn=True)
        if not any(standins.answers.iterdir()):
            record(Path(name) / "state", standins)
        standins.build()
        measure(standins, arguments.sizes, arguments.rounds)


def record(state: Path, standins: StandIns) -> None:
    """Install one bare node, and keep what it answers."""
    standins.begin()
    site = Timed(command("inventory/sim"), {"ASCEND_SIM_STATE": str(state), **standins.recording})
    fleet(state, "up", "--nodes", "1", "--depot", str(CACHE / "depot"))
    try:
        site.run()
    finally:
        fleet(state, "down")
    print(f"one node, with the real wheels: {site.median:.0f} s, {len(list(standins.answers.iterdir()))} questions")


def fleet(state: Path, *words: str) -> None:
    argv = [sys.executable, str(ROOT / "sim/fleet.py"), "--name", FLEET, "--state", str(state), *words]
    subprocess.run(argv, check=True)


def command(inventory: str) -> tuple[str, ...]:
    return ("ansible-playbook", "site.yml", "-i", inventory, "-e", json.dumps(SERVED))


def measure(standins: StandIns, sizes: list[int], rounds: int) -> None:
    per_node = {}
    for size in sizes:
        site = Timed(command(str(standins.inventory(size))), standins.replaying)
        with Memory() as memory:
            for _ in range(rounds):
                standins.begin()
                site.run()
                require_changed(site.output, size)
        per_node[size] = 1000 * site.cpu_median / size
        print(
            f"{size} nodes: {site.median:.1f} s, CPU {site.cpu_median:.1f} s, {per_node[size]:.0f} ms a node, "
            f"{tasks(site.output)} tasks a node; memory {memory.all_mb} MB in all (limit {MEMORY_MB}), "
            f"the largest process {memory.process_mb} MB; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    ratio = per_node[max(sizes)] / per_node[min(sizes)]
    print(f"CPU a node, {max(sizes)} nodes to {min(sizes)}: {ratio:.2f} times (limit {STEEPER})")


def recap(output: str) -> dict[str, dict[str, int]]:
    rows = re.findall(r"^(npu-\S+) +: (ok=.*)$", output, re.MULTILINE)
    return {name: {key: int(number) for key, number in re.findall(r"(\w+)=(\d+)", row)} for name, row in rows}


def require_changed(output: str, size: int) -> None:
    """Every node has to have run all steps of its plan, as the recorded one did."""
    nodes = recap(output)
    if len(nodes) != size or any(not node["changed"] or node["failed"] for node in nodes.values()):
        sys.exit(f"bench: not all of {size} nodes were changed:\n{output[-4000:]}")


def tasks(output: str) -> int:
    """How many tasks the last node has: with those that asked nobody."""
    last = list(recap(output).values())[-1]
    return last["ok"] + last["skipped"]


if __name__ == "__main__":
    main()
