# SPDX-License-Identifier: Apache-2.0
"""Three nights: 2 nodes and mostly well, 40 with several findings, 1,000 in 63 racks of which much is wrong."""

from __future__ import annotations

import random
from typing import Any

from tests import fleets

LONG: fleets.Row = (
    "change", "env", "distribution-other", "transformers",
    "transformers is 4.45.2+local.patch.of.the.training.group, not 4.43.4, and 14 of its files are not those of its "
    "RECORD: modeling_llama.py, modeling_flash_attention_utils.py, generation/utils.py", "4.43.4", "4.45.2+local",
    "/opt/ascend/env/8.0.RC1-b1c060827a50/lib/python3.10/site-packages/transformers", fleets.SITE,
)  # fmt: skip
DRIVERS: fleets.Row = (
    "warning", "driver", "drivers-differ", "8.0.RC1",
    "nodes with CANN 8.0.RC1 have different drivers, between which its HCCL hangs", "one driver",
    "24.1.rc1 on 980 nodes, 24.1.rc2 on 4 nodes (npu-0003, npu-0007, npu-0200, npu-0201)",
    "npu-smi info of 984 nodes; 16 nodes did not tell", "ansible ascend -i inventory/prod -b -a 'npu-smi info'",
)  # fmt: skip
DEPOT: fleets.Row = (
    "refusal", "cann", "depot", "", "the depot lacks files that the fleet needs", "every file of release 8.0.RC1",
    "2 files are gone: Ascend-cann-toolkit_8.0.RC1_linux-aarch64.run, "
    "torch_npu-2.1.0.post3-cp310-cp310-manylinux_2_17_aarch64.whl", "/srv/ascend/depot",
    "ansible-playbook playbooks/depot.yml -i inventory/prod",
)  # fmt: skip
BEFORE = "2026-02-20T01:30:00Z"


def two() -> dict[str, Any]:
    link = fleets.finding("npu-002", fleets.FAULTS[6], BEFORE)
    return fleets.report([fleets.node("npu-001", []), fleets.node("npu-002", [link])])


def forty() -> dict[str, Any]:
    nodes = fleets.fleet(40, 9, seed=3)["nodes"]
    found = [fleets.finding("npu-0031", row) for row in (LONG, fleets.FAULTS[0])]
    nodes[30] = fleets.node("npu-0031", found, ("ascend", "rack_02"))
    nodes[4]["remarks"] = [fleets.remark("network", "network-busy", "hccn_tool was busy: the links are not known")]
    return fleets.report(nodes)


def thousand() -> dict[str, Any]:
    chance = random.Random(5)
    nodes = []
    for number in range(1000):
        name, rack = f"npu-{number + 1:04d}", f"rack_{number // 16 + 1:02d}"
        rows = [fleets.FAULTS[2]] if number % 3 == 0 else []
        rows += [chance.choice([*fleets.FAULTS[:2], *fleets.FAULTS[4:9], LONG])] if chance.random() < 0.08 else []
        rows = [fleets.FAULTS[9]] if rack == "rack_12" else rows
        found = [fleets.finding(name, row, chance.choice([fleets.MADE, fleets.MADE, BEFORE])) for row in rows]
        nodes.append(fleets.node(name, found, ("ascend", "prod", rack)))
    fleet = fleets.report(nodes)
    fleet["between"]["findings"] = [fleets.finding("the fleet", DRIVERS)]
    fleet["depot"] = [fleets.finding("control node", DEPOT)]
    return fleet


NIGHTS = {2: two, 40: forty, 1000: thousand}
