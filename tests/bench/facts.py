#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the facts of one node cost beside ``ansible NODE -m ping``, and the size of the answer."""

from __future__ import annotations

import json

import yaml
from timing import INVENTORY, Timed, in_turn

ROUNDS = 9
NODE = "ascend-sim-1"


def main() -> None:
    ping = Timed(("ansible", NODE, *INVENTORY, "-m", "ping"))
    fast = Timed(("ansible", NODE, *INVENTORY, "-m", "ascend.fleet.ascend_facts"))
    deep = Timed(("ansible", NODE, *INVENTORY, "-m", "ascend.fleet.ascend_facts", "-a", "gather_subset=all deep=true"))
    in_turn(ROUNDS, ping, fast)
    in_turn(1, deep)
    facts = yaml.safe_load(fast.output.split("=>", maxsplit=1)[1])["ansible_facts"]["ascend"]
    print(
        f"ping {ping.median:.2f} s, ascend_facts {fast.median:.2f} s: {fast.median / ping.median:.2f} times, "
        f"{fast.median - ping.median:.2f} s beyond it (limit 0.5 s)"
    )
    print(f"every subset, every file read: {deep.median:.1f} s")
    cards = len({device["npu_id"] for device in facts["npu"]["devices"]})
    print(f"{len(json.dumps(facts))} bytes of facts for {cards} cards (limit 16384), {len(facts['findings'])} findings")


if __name__ == "__main__":
    main()
