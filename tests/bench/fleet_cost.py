#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What site.yml on a converged fleet and its drift check cost, as ratios to ``ansible all -m ping``.

Sixteen simulated nodes over SSH, made like the demo's first node; then up to a thousand whose SSH answers at once, with
what one of the sixteen answered: there the control node alone is measured. Last the report of a thousand nodes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from standin.nodes import StandIns
from timing import BIN, INVENTORY, ROOT, Memory, Timed, in_turn

sys.path.append(str(ROOT))
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import (
    history,
    page,
    report_folder as reports,
)
from tests import fleets

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascend-fleet"
FLEET, LIKE = "ascend-bench", "ascend-sim-1"
NODES = 16
SUBSETS = "cann,links,npu,python,system"
SIZES = (100, 300, 1000)
ROUNDS, ROUNDS_LARGE = 5, 3


class Commands:
    """Three commands on the same nodes; the drift check's reports go to a folder of their own."""

    def __init__(self, inventory: str, nodes: int, reports: Path, environment: dict[str, str], limit: str = "") -> None:
        self.nodes = nodes
        self.reports = reports
        chosen = ("-i", inventory, *(("--limit", limit) if limit else ()))
        self.ping = Timed(("ansible", "ascend", *chosen, "-m", "ping"), environment)
        self.site = Timed(("ansible-playbook", "site.yml", *chosen), environment)
        check = ("ansible-playbook", "playbooks/drift.yml", *chosen, "-e", f"drift_dir={reports}")
        # 2: some have drifted. 3 would be nodes that were not checked.
        self.drift = Timed(check, environment, codes=(0, 2))

    def measure(self, rounds: int, *others: Timed, warm_up: bool) -> None:
        in_turn(rounds, self.ping, *others, self.site, self.drift, warm_up=warm_up)
        self.require_all_answered()

    def require_all_answered(self) -> None:
        counts = self.counts()
        found = (self.ping.output.count("SUCCESS =>"), counts["nodes"], counts["unchecked"])
        if found != (self.nodes, self.nodes, 0):
            sys.exit(
                f"bench: {self.nodes} nodes, of which {found[0]} answered the ping, {found[1]} are in the drift "
                f"report, {found[2]} of them unchecked: {self.reports}/latest"
            )
        if re.search(r"changed=[1-9]", self.site.output) or len(self.tasks()) < self.nodes:
            sys.exit(f"bench: site.yml found nodes that were not converged:\n{self.site.output[-4000:]}")

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = json.loads((self.reports / "latest/fleet.json").read_text(encoding="utf-8"))["counts"]
        return counts

    def tasks(self) -> list[int]:
        """How many tasks site.yml has for each node: with those that asked nobody."""
        recap = re.findall(r"^(\S+) +: ok=(\d+).*? skipped=(\d+)", self.site.output, re.MULTILINE)
        return sorted(int(done) + int(skipped) for host, done, skipped in recap if host != "localhost")

    def told(self, site: float, drift: float) -> str:
        """The medians, with the ratios that are wanted at most."""
        ping = self.ping.median
        return (
            f"{self.nodes} nodes: ping {ping:.2f} s; "
            f"site.yml {self.site.median:.2f} s, {self.site.median / ping:.2f} times (limit {site}), "
            f"{self.tasks()[len(self.tasks()) // 2]} tasks a node; "
            f"drift {self.drift.median:.2f} s, {self.drift.median / ping:.2f} times (limit {drift})"
        )


def over_ssh(state: Path, folder: Path, standins: StandIns) -> None:
    """Sixteen nodes; one of them is recorded."""
    environment = {"ASCEND_SIM_STATE": str(state)}
    commands = Commands("inventory/sim", NODES, folder / "over-ssh", environment)
    # What the drift check asks, alone: the nodes read on the cores that the control node runs on.
    facts = Timed(
        ("ansible", "ascend", *INVENTORY, "-m", "ascend.fleet.ascend_facts", "-a", f"gather_subset={SUBSETS}"),
        environment,
    )
    commands.measure(ROUNDS, facts, warm_up=True)
    cpu = commands.drift.cpu_median / commands.ping.cpu_median
    print(f"over SSH, {commands.told(2, 1.4)}; ascend_facts alone {facts.median:.2f} s")
    print(
        f"CPU of the control node: ping {commands.ping.cpu_median:.2f} s, drift {commands.drift.cpu_median:.2f} s: "
        f"{cpu:.2f} times (limit 2)"
    )
    print(f"{commands.counts()['drifted']} of {NODES} nodes drifted, {commands.counts()['findings']} findings")
    one = Commands("inventory/sim", 1, folder / "recorded", {**environment, **standins.recording}, limit=f"{FLEET}-1")
    one.ping.run()
    one.drift.run()
    # Last, since it asks the same module for more.
    one.site.run()
    one.require_all_answered()


def at_once(folder: Path, standins: StandIns) -> None:
    """Fleets of stand-ins, from small to large."""
    standins.build()
    per_node = []
    for size in SIZES:
        commands = Commands(str(standins.inventory(size)), size, folder / f"of-{size}", standins.replaying)
        commands.measure(ROUNDS_LARGE, warm_up=False)
        per_node.append(f"{size}: {1000 * commands.drift.median / size:.0f} ms")
        print(f"answered at once, {commands.told(2, 2)}")
    print(f"drift, per node: {', '.join(per_node)}")
    with Memory() as memory:
        commands.drift.run()
    print(
        f"memory for {commands.nodes} nodes: {memory.all_mb} MB in all (limit 1536), "
        f"the largest process {memory.process_mb} MB"
    )


def report(folder: Path) -> None:
    """The report alone, as plugins/action/drift_report.py makes it."""
    fleet = fleets.fleet(max(SIZES))
    begin = time.monotonic()
    history.update(folder / "history.sqlite", fleet)
    made = reports.write(folder, fleet, page.render(fleet, ROOT / "roles/drift/templates"))
    seconds = time.monotonic() - begin
    kb = {path.name: path.stat().st_size // 1024 for path in sorted(made.iterdir())}
    sizes = ", ".join(f"{name} {size} KB" for name, size in kb.items())
    print(f"the report of {max(SIZES)} nodes: {seconds:.2f} s (limit 5 s): {sizes}")


def simulated_fleet(state: Path, *words: str) -> None:
    argv = [str(BIN / "python"), str(ROOT / "sim/fleet.py"), "--name", FLEET, "--state", str(state), *words]
    if subprocess.run(argv, check=False).returncode:
        sys.exit(f"bench: no simulated nodes like {LIKE}; make demo, then again: make bench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--state", type=Path, default=CACHE / "bench", help="of the sixteen nodes (default %(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="leave the sixteen nodes running")
    arguments = parser.parse_args()
    simulated_fleet(arguments.state, "up", "--nodes", str(NODES), "--like", LIKE)
    try:
        with tempfile.TemporaryDirectory(prefix="ascend-bench-") as name:
            standins = StandIns(Path(name) / "standin")
            over_ssh(arguments.state.resolve(), Path(name), standins)
            at_once(Path(name), standins)
            report(Path(name) / "report")
    finally:
        if not arguments.keep:
            simulated_fleet(arguments.state, "down")


if __name__ == "__main__":
    main()
