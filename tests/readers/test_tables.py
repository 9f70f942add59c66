# SPDX-License-Identifier: Apache-2.0
"""Every table of ``npu-smi info`` that is at hand, real ones too (ASCEND_CORPUS), read by nptop and by our parser."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_smi import NpuSmiInfo, parse_info
from tests import samples
from tests.readers.reading import NPTOP_CARD, installed

NPTOP = """
import json, sys
from nputop.backend import parse_npu_smi
print(json.dumps({name: parse_npu_smi(text).to_dict() for name, text in json.load(sys.stdin).items()}))
"""
# What nptop 0.1.0 does not read, and we do: the Ascend 950's table, whose chips have no number.
OTHERS = {"071-950-manual-npu-id-column.txt"}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {path.name: samples.text(f"npu-smi-info/{path.name}") for path in samples.kind("npu-smi-info")}


@pytest.fixture(scope="module")
def nptop(texts: dict[str, str], cache_dir: Path) -> dict[str, Any]:
    argv, settings = [sys.executable, "-c", NPTOP], {"PYTHONPATH": str(installed(cache_dir))}
    done = subprocess.run(argv, env=settings, input=json.dumps(texts), capture_output=True, text=True, check=True)
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def test_nptop_reads_whole_tables_as_we_do(texts: dict[str, str], nptop: dict[str, Any]) -> None:
    infos = {name: parse_info(text) for name, text in texts.items()}
    whole = [name for name, info in infos.items() if not info.problems and name not in OTHERS]
    assert {name: theirs(nptop[name]) for name in whole} == {name: ours(infos[name]) for name in whole}
    assert sum(len(infos[name].devices) for name in whole) >= 26, "the made-up samples alone have as many"


def theirs(read: dict[str, Any]) -> dict[str, Any]:
    return {
        "tool": read["driver_version"] if read["driver_version"] != "unknown" else None,
        "cards": [
            {
                "npu_id": card["index"],
                "chip_id": card["chip"],
                **{our: known(card[key]) for key, our in NPTOP_CARD.items()},
            }
            for card in read["devices"]
        ],
        "processes": [
            (
                each["device_index"],
                each["chip"],
                each["pid"],
                each["name"],
                each["npu_memory_mb"],
                each["container_pid"],
            )
            for each in read["processes"]
        ],
    }


def known(value: Any) -> Any:
    return None if value in ("NA", "-") else value


def ours(info: NpuSmiInfo) -> dict[str, Any]:
    cards = []
    for device in map(asdict, info.devices):
        kind = "hbm" if device["hbm_total_mb"] else "memory"  # nptop shows the one that there is
        device |= {f"hbm_{what}_mb": device[f"{kind}_{what}_mb"] for what in ("used", "total")}
        cards.append({key: device[key] for key in ("npu_id", "chip_id", *NPTOP_CARD.values())})
    return {
        "tool": info.tool_version,
        "cards": cards,
        "processes": [
            (each.npu_id, each.chip_id, each.pid, each.name or "?", each.memory_mb, each.container_pid)
            for each in info.processes
        ],
    }
