#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the first installation of several bare nodes in one batch takes beside that of one, and where the time goes.

Simulated nodes and the demo's depot with the real wheels. The nodes run on this machine's own cores, which have to do
the work of all of them: with real ones it is the control node's part and the network that grow. A node takes 9 GB of
disk here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from timing import ROOT, Timed

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascend-fleet"
FLEET = "ascend-bench-batch"
LIMIT = 4
NODE_GB = 9  # what one takes on this machine, with the wheels in its cache
SHOWN_S = 1
WAYS = {
    "ssh": {},  # the control node sends what a node lacks
    "http": {"ascend_depot_url": "http://depot", "depot_served_by_others": False},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--transport", choices=WAYS, default="http")
    arguments = parser.parse_args()
    free_gb = shutil.disk_usage("/var/lib/containers").free / 1e9
    wanted_gb = arguments.nodes * NODE_GB
    if free_gb < wanted_gb:
        sys.exit(f"bench: {free_gb:.0f} GB free, {arguments.nodes} nodes take {wanted_gb}: fewer --nodes")
    with tempfile.TemporaryDirectory(prefix="ascend-bench-") as name:
        runs = {count: installed(Path(name) / f"of-{count}", count, arguments) for count in (1, arguments.nodes)}
    one, all_of_them = runs[1].median, runs[arguments.nodes].median
    print(
        f"{arguments.nodes} bare nodes in one batch, {arguments.transport}: {all_of_them:.0f} s; one: {one:.0f} s: "
        f"{all_of_them / one:.2f} times (limit {LIMIT}); load {os.getloadavg()[0]:.1f}"
    )


def installed(folder: Path, count: int, arguments: argparse.Namespace) -> Timed:
    """Install so many bare nodes; say what took how long, and how busy the cores were."""
    folder.mkdir()
    state, log = folder / "state", folder / "log"
    variables = {**WAYS[arguments.transport], "rollout_batches": ["100%"]}
    environment = {"ASCEND_SIM_STATE": str(state), "ANSIBLE_LOG_PATH": str(log)}
    environment["ANSIBLE_DISPLAY_SKIPPED_HOSTS"] = "true"  # a task's name comes when it begins
    site = Timed(("ansible-playbook", "site.yml", "-i", "inventory/sim", "-e", json.dumps(variables)), environment)
    served = ("--depot", str(CACHE / "depot")) if arguments.transport == "http" else ()
    fleet(state, "up", "--nodes", str(count), *served)
    try:
        os.sync()
        before = busy()
        site.run()
        after = busy()
    finally:
        fleet(state, "down")
    total = sum(after) - sum(before)
    idle, waiting = (100 * (after[at] - before[at]) / total for at in (3, 4))
    print(f"{count} nodes: {site.median:.0f} s, the cores idle {idle:.0f} %, waiting for the disk {waiting:.0f} %")
    for seconds, task in steps(log):
        if seconds >= SHOWN_S:
            print(f"  {seconds:6.1f} s  {task}")
    return site


def fleet(state: Path, *words: str) -> None:
    argv = [sys.executable, str(ROOT / "sim/fleet.py"), "--name", FLEET, "--state", str(state), *words]
    subprocess.run(argv, check=True)


def busy() -> list[int]:
    """Return the time of all cores: user, nice, system, idle, waiting for the disk, and so on (proc(5))."""
    line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    return [int(number) for number in line.split()[1:9]]


def steps(log: Path) -> Iterator[tuple[float, str]]:
    """Give the seconds from each task's name in Ansible's log to the next one's, and the name."""
    name, since = "", None
    for line in log.read_text(encoding="utf-8").splitlines():
        begins = re.match(r"(\S+ \S+,\d+) p=\d+ .*?\| (?:TASK|PLAY|PLAY RECAP) (?:\[(.*?)\] )?\*", line)
        if begins:
            now = datetime.strptime(begins[1], "%Y-%m-%d %H:%M:%S,%f").astimezone()
            if since:
                yield (now - since).total_seconds(), name
            name, since = begins[2] or "", now


if __name__ == "__main__":
    main()
