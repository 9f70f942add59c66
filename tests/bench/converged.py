#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a converged fleet costs: site.yml on the demo's nodes, as a ratio to ``ansible all -m ping``.

Needs the demo's nodes (make demo). Both are run in turn, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
ROUNDS = 5


def timed(*argv: str) -> tuple[float, str]:
    """Run a command of the virtual environment; return seconds and output."""
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    begin = time.monotonic()
    done = subprocess.run(
        [BIN / argv[0], *argv[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(
            f"bench: {' '.join(argv)}: exit code {done.returncode}; are the demo's nodes up? make demo\n{done.stdout}"
        )
    return time.monotonic() - begin, done.stdout


def main() -> None:
    inventory = ["-i", "inventory/sim"]
    pings, sites, output = [], [], ""
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}", flush=True)
        pings.append(timed("ansible", "all", *inventory, "-m", "ping")[0])
        seconds, output = timed("ansible-playbook", "site.yml", *inventory)
        sites.append(seconds)
    if re.search(r"changed=[1-9]", output):
        sys.exit("bench: the nodes were not converged; again: make bench")
    ping, site = statistics.median(pings), statistics.median(sites)
    tasks = re.findall(r"^(\S+) +: ok=(\d+)", output, re.MULTILINE)
    print(f"ping {ping:.2f} s, site.yml on a converged fleet {site:.2f} s: {site / ping:.1f} times")
    print("tasks: " + ", ".join(f"{host} {count}" for host, count in tasks))


if __name__ == "__main__":
    main()
