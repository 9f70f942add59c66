#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a converged fleet costs: site.yml on the demo's nodes, as a ratio to ``ansible all -m ping``."""

from __future__ import annotations

import re
import sys

from timing import INVENTORY, Timed, in_turn

ROUNDS = 5


def main() -> None:
    ping = Timed(("ansible", "all", *INVENTORY, "-m", "ping"))
    site = Timed(("ansible-playbook", "site.yml", *INVENTORY))
    in_turn(ROUNDS, ping, site)
    if re.search(r"changed=[1-9]", site.output):
        sys.exit("bench: the nodes were not converged; again: make bench")
    print(
        f"ping {ping.median:.2f} s, site.yml on a converged fleet {site.median:.2f} s: "
        f"{site.median / ping.median:.1f} times"
    )
    tasks = re.findall(r"^(\S+) +: ok=(\d+)", site.output, re.MULTILINE)
    print("tasks: " + ", ".join(f"{host} {count}" for host, count in tasks))


if __name__ == "__main__":
    main()
