# SPDX-License-Identifier: Apache-2.0
"""Every real table of npu-smi info that is at hand, against what a person reads in it."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.ascend.npu.npu_smi import parse_info

EXPECTED = yaml.safe_load((Path(__file__).parents[1] / "corpus" / "npu_smi_info.yml").read_text(encoding="utf-8"))
DEVICE_FIELDS = EXPECTED["device_fields"].split()
PROCESS_FIELDS = EXPECTED["process_fields"].split()
UNITS = {"memory": "_mb", "hbm": "_mb", "hugepages": ""}
TEXTS = ("name", "health", "bus_id")


def value(field: str, word: str) -> Any:
    if word == "~" or field in TEXTS:
        return None if word == "~" else word
    return float(word) if field == "power_w" else int(word)


def fields(names: list[str], line: str) -> dict[str, Any]:
    """The fields of a line of the expected values; a pair ("12/34") is the two fields it stands for."""
    row: dict[str, Any] = {}
    for name, word in zip(names, line.split(), strict=True):
        if name in UNITS:
            used, _, total = word.partition("/")
            row[f"{name}_used{UNITS[name]}"] = value(name, used)
            row[f"{name}_total{UNITS[name]}"] = value(name, total or used)
        else:
            row[name] = value(name, word)
    return row


@pytest.fixture(scope="module")
def corpus() -> Path:
    folder = os.environ.get("ASCEND_CORPUS")
    if not folder:
        pytest.skip("ASCEND_CORPUS names no folder of real output")
    return Path(folder) / "npu-smi-info"


@pytest.mark.parametrize("number", EXPECTED["samples"])
def test_real_table(corpus: Path, number: str) -> None:
    sample = next(corpus.glob(f"{number}-*.txt"), None)
    if sample is None:
        pytest.skip("this folder of real output has no such sample")
    expected = EXPECTED["samples"][number]
    info = parse_info(sample.read_bytes().decode(errors="replace"))
    assert [asdict(device) for device in info.devices] == [fields(DEVICE_FIELDS, row) for row in expected["devices"]]
    assert [asdict(process) for process in info.processes] == [
        fields(PROCESS_FIELDS, row) for row in expected["processes"]
    ]
    assert (info.tool_version, info.driver_version) == (expected["tool"], expected["driver"])
    assert list(info.idle) == expected["idle"]
    assert [problem.split(":")[0] for problem in info.problems] == [f"line {line}" for line in expected["problems"]]


def test_no_sample_is_silent(corpus: Path) -> None:
    samples = sorted(corpus.glob("*.txt"))
    assert samples
    infos = {sample.name: parse_info(sample.read_bytes().decode(errors="replace")) for sample in samples}
    assert [name for name, info in infos.items() if not info.devices and not info.problems] == []
