# SPDX-License-Identifier: Apache-2.0
"""What nodes of a rack answer, all well until a test says otherwise."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack.wishes import Wishes, wishes_of

RELEASE = {
    "system": {"limits": {"nofile": 8192}, "kernel_settings": {"net.ipv4.ip_local_reserved_ports": "60000-60015"}}
}
GIVEN = {"level": "standard", "mode": "", "device": "npu", "clock_s": 5, "slow": 0.8, "master_port": 29500}
CARDS = 2


def wishes(**given: Any) -> Wishes:
    return wishes_of({**GIVEN, **given}, RELEASE)


def look(number: int) -> dict[str, Any]:
    """What node ``number`` answers, from 1 on."""
    device = {"health": "OK", "errors": [], "name": "910B3", "chip_id": 0}
    card = {"netdetect": "10.20.255.254", "tls": 0, "link_up_count": 1, "link_downs_of_day": 0, "unread": {}}
    address = f"192.0.2.{number}"
    return {
        "facts": {
            "changes": {"running": None},
            "npu": {
                "answered": True,
                "driver_version": "25.0.rc1.1",
                "devices": [{**device, "npu_id": card, "device_id": card} for card in range(CARDS)],
                "processes": [],
                "process_count": 0,
                "unclear": [],
            },
            "network": {
                "cards": [
                    {"device": card, "address": f"10.20.{number}.{card + 1}", "net_health": "Success"}
                    for card in range(CARDS)
                ]
            },
            "findings": [],
            "system": {
                "limits": {"nofile": [8192, 8192], "memlock": [-1, -1]},
                "kernel_settings": {"net.ipv4.ip_local_reserved_ports": "60000-60031"},
            },
            "driver": {"firmware_version": "7.7.0.1.231"},
            "environments": {
                "current": "8.2.RC1-0123456789ab",
                "all": {"8.2.RC1-0123456789ab": {"cann_home": "/usr/local/Ascend/ascend-toolkit/8.2.RC1"}},
            },
        },
        "cards": [{**card, "device": device, "switch_port": f"400GE1/1/{device}:{number}"} for device in range(CARDS)],
        "host": {"name": f"npu-{number}", "addresses": [address], "error": None},
        "interface": {"asked": "=bond0", "name": "bond0", "up": True, "address": address, "all": ["bond0", "lo"]},
        "taken": [],
        "paths": {"/data/model": {"error": None, "files": 3, "bytes": 90, "sizes": "aa", "times": "bb"}},
        "account": {"name": "alice", "why": "of ascend_users"},
    }


def rack(count: int) -> dict[str, dict[str, Any]]:
    """Answers of as many nodes: npu-1, npu-2, ..."""
    return {
        f"npu-{number}": {
            "look": copy.deepcopy(look(number)),
            "clock": [-0.5, 0.5],
            "ranks": list(range(CARDS)),
            "left_out": [],
            "proof": {"failed": False},
            "smoke": {"ok": True, "seconds": 9.0},
        }
        for number in range(1, count + 1)
    }


def names(findings: Any) -> list[str]:
    return [finding["name"] for finding in findings]


def ran(
    pairs: list[tuple[int, int, float]], count: int, seconds: float = 0.01, size: int = 256 * 2**20
) -> dict[str, Any]:
    """What the ranks of ``count`` nodes did: ``pairs`` are (node, node, seconds of one all_reduce)."""
    return {
        f"npu-{number + 1}": {
            "ok": True,
            "sizes": {str(size): seconds},
            "pairs": [[[one, other], each] for one, other, each in pairs if number in (one, other)],
        }
        for number in range(count)
    }
