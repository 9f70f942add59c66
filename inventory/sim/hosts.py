#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Inventory of the simulated fleet: reads what sim/fleet.py wrote (ASCEND_SIM_STATE, default .sim in the checkout)."""

from __future__ import annotations

import json
import os
from pathlib import Path

STATE = Path(os.environ.get("ASCEND_SIM_STATE") or Path(__file__).resolve().parents[2] / ".sim")


def main() -> None:
    file = STATE / "fleet.json"
    fleet = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"nodes": {}}
    hosts = {
        name: {**node["vars"], "ascend_card_memory_mb": int(node["hbm_total_mb"])}
        for name, node in fleet["nodes"].items()
    }
    print(json.dumps({"ascend": {"hosts": sorted(hosts)}, "_meta": {"hostvars": hosts}}))


if __name__ == "__main__":
    main()
