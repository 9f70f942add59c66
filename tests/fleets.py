# SPDX-License-Identifier: Apache-2.0
"""Fleets as drift reports hold them (docs/fleet.schema.json), made up, of any size."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.remedies import run_on

COMPONENTS = ("access", "driver", "cards", "network", "system", "cann", "python", "env", "llamafactory")
MADE = "2026-03-02T01:30:00Z"

# level, component, name, subject, problem, wanted, found, where, remedy
Row = tuple[str, str, str, str, str, str, str, str, str]
SITE = "ansible-playbook site.yml -i inventory/prod --limit {node}"
FAULTS: tuple[Row, ...] = (
    ("refusal", "cards", "health", "3", "cards are not healthy", "health OK on every card",
     "NPU 3 chip 0: Alarm (80E01801)", "npu-smi info", "npu-smi info -t health -i 3  # then the vendor's service"),
    ("refusal", "driver", "driver", "", "the driver is older than release 8.0.RC1 needs",
     "driver 24.1.rc1 or newer (firmware 7.1.0.6.220)", "23.0.3", "npu-smi info",
     "install Ascend HDK 24.1.rc1, reboot"),
    ("change", "cann", "toolkit", "", "toolkit 8.0.RC1 is altered: runtime/lib64/libascendcl.so is gone", "8.0.RC1",
     "altered", "/usr/local/Ascend/ascend-toolkit/8.0.RC1", SITE),
    ("change", "cann", "kernels", "", "kernels-910b 8.0.RC1 is absent", "8.0.RC1", "absent",
     "/usr/local/Ascend/ascend-toolkit/8.0.RC1", SITE),
    ("change", "env", "distribution-other", "fire", "fire is 0.6.0, not 0.7.0", "0.7.0", "0.6.0",
     "/opt/ascend/env/8.0.RC1-b1c060827a50", SITE),
    ("change", "env", "distribution-extra", "left<b>over</b>", "left<b>over</b> 1.0 was added", "nothing", "1.0",
     "/opt/ascend/env/8.0.RC1-b1c060827a50", SITE),
    ("warning", "network", "network-link-down", "2", "the link is not UP", "link UP on every card", "card 2: DOWN",
     "hccn_tool", "hccn_tool -i 2 -link -g  # cable, transceiver, switch port"),
    ("warning", "system", "clock-unsynchronised", "", "the time is not synchronised", "NTP synchronised",
     "NTPSynchronized=no", "timedatectl", "systemctl enable --now chronyd; chronyc tracking"),
    ("change", "llamafactory", "source-edited", "", "2 files of the checkout were edited: src/llamafactory/cli.py, ...",
     "the files of v0.9.1", "edited", "/opt/ascend/env/current/src/LLaMA-Factory", SITE),
    ("unchecked", "access", "unreachable", "", "the node cannot be reached", "an answer over SSH",
     "ssh: connect to host 192.0.2.77 port 22: Connection timed out", "192.0.2.77",
     "ansible {node} -i inventory/prod -m ping"),
    ("unchecked", "access", "host-key", "", "the node's host key is not the one in known_hosts", "the known host key",
     "Host key verification failed.", "192.0.2.77", "compare: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"),
)  # fmt: skip


def finding(node: str, row: Row, first_seen: str = MADE) -> dict[str, str]:
    """One finding of ``node``; it is new when it was first seen in this report."""
    level, component, name, subject, problem, wanted, found, where, remedy = row
    return {
        "id": hashlib.sha256("\0".join((node, component, name, subject)).encode()).hexdigest()[:16],
        "component": component,
        "level": level,
        "name": name,
        "subject": subject,
        "problem": problem,
        "wanted": wanted,
        "found": found,
        "where": where,
        "remedy": remedy.format(node=node),
        "run_on": run_on(remedy, node),
        "first_seen": first_seen,
        "status": "new" if first_seen == MADE else "still",
    }


def node(name: str, findings: list[dict[str, str]], groups: tuple[str, ...] = ("ascend",)) -> dict[str, Any]:
    """One node, its state and components derived from its findings."""
    levels = {entry["level"] for entry in findings}
    state = "unchecked" if "unchecked" in levels else "drifted" if findings else "clean"
    components = {}
    for component in COMPONENTS:
        worst = [
            level
            for level in ("unchecked", "refusal", "change", "warning")
            if any((entry["component"], entry["level"]) == (component, level) for entry in findings)
        ]
        nothing = "unknown" if state == "unchecked" else "clean"
        components[component] = worst[0] if worst else nothing
    installed = {
        "cards": "8 x 910B3 65536 MB",
        "driver": "24.1.rc1",
        "firmware": "7.1.0.6.220",
        "CANN": "8.0.RC1: toolkit complete, kernels-910b complete",
        "Python": "3.10.13",
        "environment": "8.0.RC1-b1c060827a50",
        "torch": "2.1.0",
        "torch-npu": "2.1.0.post3",
        "deepspeed": "0.13.2",
        "llamafactory": "0.9.1",
    }
    return {
        "name": name,
        "groups": list(groups),
        "state": state,
        "release": "8.0.RC1",
        "components": components,
        "installed": {} if state == "unchecked" else installed,
        "seconds": 1.2,
        "findings": findings,
        "remarks": [],
    }


def remark(component: str, name: str, problem: str) -> dict[str, str]:
    """One remark."""
    words = {key: f"{key} of {name}" for key in ("subject", "wanted", "found", "where", "remedy")}
    return {"component": component, "name": name, "problem": problem, "run_on": "", **words}


def fleet(size: int, drifted: int | None = None, seed: int = 1) -> dict[str, Any]:
    """A report of ``size`` nodes in racks of 16, of which ``drifted`` (default: a fiftieth) have findings."""
    chance = random.Random(seed)
    bad = max(1, size // 50) if drifted is None else drifted
    chosen = set(chance.sample(range(size), bad))
    nodes = []
    for number in range(size):
        name = f"npu-{number + 1:04d}"
        rows = chance.sample(FAULTS[:-2], chance.randint(1, 3)) if number in chosen else []
        if number in chosen and chance.random() < 0.2:
            rows = [chance.choice(FAULTS[-2:])]
        seen = [chance.choice([MADE, "2026-02-20T01:30:00Z"]) for _ in rows]
        findings = [finding(name, row, when) for row, when in zip(rows, seen, strict=True)]
        nodes.append(node(name, findings, ("ascend", f"rack_{number // 16 + 1:02d}")))
    return report(nodes)


def report(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    """The report of these nodes, with counts, changes and a trend of a month."""
    findings = [entry for each in nodes for entry in each["findings"]]
    states = [each["state"] for each in nodes]
    counts: dict[str, Any] = {
        "nodes": len(nodes),
        **{state: states.count(state) for state in ("clean", "drifted", "unchecked")},
        "findings": len(findings),
        "by_component": {name: sum(entry["component"] == name for entry in findings) for name in COMPONENTS},
    }
    new = [mentioned(each["name"], entry) for each in nodes for entry in each["findings"] if entry["status"] == "new"]
    gone = [mentioned("npu-0001", finding("npu-0001", FAULTS[0], "2026-02-27T01:30:00Z"))] if nodes else []
    past = [
        {
            "made": f"2026-02-{day:02d}T01:30:00Z",
            "nodes": len(nodes),
            "clean": max(0, counts["clean"] - day % 3),
            "drifted": counts["drifted"] + day % 3,
            "unchecked": counts["unchecked"],
            "findings": counts["findings"] + day % 4,
        }
        for day in range(1, 29)
    ]
    now = {"made": MADE, **{key: counts[key] for key in ("nodes", "clean", "drifted", "unchecked", "findings")}}
    return {
        "schema": 1,
        "made": MADE,
        "seconds": 74.2,
        "inventory": ["inventory/prod"],
        "limit": None,
        "deep": False,
        "partial": False,
        "components": list(COMPONENTS),
        "counts": counts,
        "nodes": nodes,
        "between": {"compared": len(nodes) - counts["unchecked"], "findings": [], "remarks": []},
        "changes": {"since": "2026-03-01T01:30:00Z", "new": new, "gone": gone, "still": len(findings) - len(new)},
        "trend": [*past, now],
        "history": None,
    }


def mentioned(name: str, entry: dict[str, str]) -> dict[str, str]:
    """A finding as the changes mention it."""
    keys = ("id", "component", "level", "name", "subject", "problem", "first_seen")
    return {"node": name, **{key: entry[key] for key in keys}, "last_seen": MADE}
