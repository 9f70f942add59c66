# SPDX-License-Identifier: Apache-2.0
"""Every real table of npu-smi info that is at hand, against what a person reads in it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_smi import parse_info
from tests import samples

EXPECTED = samples.expected("npu_smi_info")
DEVICE_FIELDS = EXPECTED["device_fields"].split()
PROCESS_FIELDS = EXPECTED["process_fields"].split()
UNITS = {"memory": "_mb", "hbm": "_mb", "hugepages": ""}
KIND = "npu-smi-info"
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


@pytest.mark.parametrize("number", EXPECTED["samples"])
def test_real_table(number: str) -> None:
    sample = next((path for path in samples.kind(KIND) if path.name.startswith(f"{number}-")), None)
    if sample is None:
        pytest.skip("this folder of real output has no such sample")
    expected = EXPECTED["samples"][number]
    info = parse_info(samples.text(f"{KIND}/{sample.name}"))
    assert [asdict(device) for device in info.devices] == [fields(DEVICE_FIELDS, row) for row in expected["devices"]]
    assert [asdict(process) for process in info.processes] == [
        fields(PROCESS_FIELDS, row) for row in expected["processes"]
    ]
    assert (info.tool_version, info.driver_version) == (expected["tool"], expected["driver"])
    assert list(info.idle) == expected["idle"]
    assert [problem.split(":")[0] for problem in info.problems] == [f"line {line}" for line in expected["problems"]]


def test_expected_values_have_their_tables() -> None:
    numbers = {path.name.split("-")[0]: path.name for path in samples.kind(KIND)}
    samples.require_names(KIND, [numbers.get(number, number) for number in EXPECTED["samples"]])


def test_no_sample_is_silent() -> None:
    infos = {path.name: parse_info(samples.text(f"{KIND}/{path.name}")) for path in samples.kind(KIND)}
    assert [name for name, info in infos.items() if not info.devices and not info.problems] == []
