# SPDX-License-Identifier: Apache-2.0
"""The table of npu-smi info: the simulator's, one by hand in every form, and every value in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_smi import (
    Device,
    NpuSmiInfo,
    Process,
    parse_info,
)
from tests.fuzz.tables import Layout, Table
from tests.unit.npu.npu_smi_two_cards import (
    CARD,
    CHIP,
    DEVICES,
    LINES,
    NOTHING,
    PROCESSES,
    TABLE,
    TEXT,
    changed,
    lines_of,
)

PROGRAM = Path(__file__).resolve().parents[3] / "sim/node/bin/npu-smi"
SETTINGS = """\
chip_name=910B4
card_count=3
hbm_total_mb=32768
driver_version=24.1.rc2
health.1=Warning
process.0=4711:python3:1200,4712:ray worker:5
"""


def simulated(folder: Path, conf: str = SETTINGS) -> str:
    """What the simulated npu-smi prints."""
    file = folder / "node.conf"
    file.write_text(conf)
    argv = [sys.executable, str(PROGRAM), "info"]
    return subprocess.run(
        argv, env={**os.environ, "ASCEND_SIM_CONF": str(file)}, capture_output=True, text=True, check=True
    ).stdout


def test_the_simulated_table(tmp_path: Path) -> None:
    info = parse_info(simulated(tmp_path))
    assert (info.tool_version, info.driver_version, info.problems) == ("24.1.rc2", "24.1.rc2", ())
    assert [(device.npu_id, device.name, device.health) for device in info.devices] == [
        (0, "910B4", "OK"),
        (1, "910B4", "Warning"),
        (2, "910B4", "OK"),
    ]
    assert info.devices[0] == Device(
        0, 0, "910B4", "OK", None, None, "0000:C1:00.0", 93.0, 38, 0, 0, 0, 4505, 32768, 0, 0
    )
    assert info.processes == (Process(0, 0, 4711, "python3", 1200), Process(0, 0, 4712, "ray worker", 5))
    assert info.idle == (1, 2)


def test_the_table_by_hand() -> None:
    assert LINES[CARD - 1].startswith("| 5     910B3 ")
    assert LINES[CHIP - 1].startswith("| 0        ")
    assert parse_info(TEXT) == NpuSmiInfo("24.1.rc3", "24.1.rc3", DEVICES, PROCESSES, (0,), ())


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "\n".join("      " + line for line in text.splitlines()),
        lambda text: "\n".join(line + "   " for line in text.splitlines()),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: "\ufeff" + text,
        lambda text: "\x1b[31m" + text.replace("OK", "\x1b[1;32mOK\x1b[0m").replace("|", "\x1b(B|"),
        lambda text: "\x1b]0;root@node: npu-smi info\x07" + text,
        lambda text: "[INFO] a log line\n" + text + "[WARN] | another | one |\n2024-05-01 | INFO | done\n",
        lambda text: text.replace("\n| 0  ", "\n[ERROR] ascend driver: retry 3\n| 0  "),
        lambda text: text.replace("+\n|", "+\n...done\n|"),
        lambda text: "...\n" + text,
        lambda text: text.replace("-+-", "---").replace("=+=", "==="),
        lambda text: text.replace("-+-", "-|-"),
        lambda text: re.sub(r"([-=])\+\n", r"\1\n", text),
        lambda text: text.replace("=+\n", "-=+\n"),
        lambda text: "\n".join(line for line in text.splitlines() if line.startswith("|")),
        lambda text: re.sub(r" {2,}", "\t", text),
        lambda text: text.replace(" | ", " |  ").replace("3161 ", "3161"),
        lambda text: text.replace("OK    ", "OK").replace("910B3     ", "910B3"),
        lambda text: text.replace(" / ", "/"),
        lambda text: text.replace(" / ", "/ "),
        lambda text: text.replace("    ", " \xa0 \xa0"),
        lambda text: text.replace("AICore(%)", "AICORE(%)").replace("Bus-Id", "BUS-ID").replace("Temp(C)", "temp(c)"),
        lambda text: text[:-1],
    ],
    ids=[
        "indented",
        "trailing blanks",
        "crlf",
        "empty lines",
        "byte order mark",
        "colour",
        "window title",
        "log around",
        "log between rows",
        "log that begins with dots",
        "dots before",
        "joints gone",
        "joints are pipes",
        "borders end early",
        "border with a typo",
        "no borders",
        "tabs",
        "cells wider",
        "cells narrower",
        "slash without blanks",
        "slash with one blank",
        "no-break spaces",
        "other capitals",
        "no line end",
    ],
)
def test_damage_that_hides_nothing(damage: Callable[[str], str]) -> None:
    assert parse_info(damage(TEXT)) == parse_info(TEXT)


def test_without_a_title_no_version_is_known() -> None:
    info = parse_info("\n".join(LINES[2:]))
    assert info == NpuSmiInfo(None, None, DEVICES, PROCESSES, (0,), ())


def test_tabs_for_every_blank() -> None:
    info = parse_info(re.sub(" +", "\t", TEXT))
    assert (info.devices, info.idle, info.problems) == (DEVICES, (0,), ())


@pytest.mark.parametrize(
    ("title", "tool", "driver", "problems"),
    [
        ("| npu-smi 22.0.2          Version: 22.0.4         |", "22.0.2", "22.0.4", []),
        ("| npu-smi 22.0.2          Version:22.0.4          |", "22.0.2", "22.0.4", []),
        ("| npu-smi 22.0.2    Version: 22.0.4|", "22.0.2", "22.0.4", []),
        ("| npu-smi xxx             Version: xxx            |", "xxx", "xxx", []),
        ("| npu-smi                 Version: 22.0.4         |", None, "22.0.4", []),
        ("| npu-smi 22.0.2          Version:                |", "22.0.2", None, [2]),
        ("| npu-smi 22.0.2          Version: 22.0.", "22.0.2", None, [2]),
        ("| npu-smi 22.0", None, None, [2]),
        ("| npu-smi " + "9" * 500 + " Version: " + "8" * 500 + " |", None, None, [2]),
    ],
)
def test_versions(title: str, tool: str | None, driver: str | None, problems: list[int]) -> None:
    info = parse_info(changed(2, title))
    assert (info.tool_version, info.driver_version, lines_of(info)) == (tool, driver, problems)
    assert info.devices == DEVICES


@pytest.mark.parametrize(
    "health", ["OK", "Warning", "Critical", "UNKNOWN", "NA", "Not ready", "故障", "\ufffd\ufffd", "7"]
)
def test_any_word_for_the_health(health: str) -> None:
    info = parse_info(TEXT.replace("Critical      ", health.ljust(14)))
    assert [device.health for device in info.devices] == ["OK", health]
    assert info.problems == ()


def test_a_card_without_a_word_for_its_health() -> None:
    info = parse_info(TEXT.replace("Critical", "        "))
    assert lines_of(info) == [CARD, CHIP]
    assert info.devices == DEVICES[:1]


@pytest.mark.parametrize("name", ["昇腾９１０Ｂ", "Ascend 910B", "310", "x" * 60, "910B\ufffd"])
def test_any_name(name: str) -> None:
    info = parse_info(TEXT.replace("910B3", name))
    assert [device.name for device in info.devices] == [name, name]
    assert info.problems == ()


def test_big_numbers_of_cards() -> None:
    info = parse_info(TEXT.replace("| 5     910B3", "| 32768 910B3").replace("| 0     910B3", "| 2144  910B3"))
    assert [device.npu_id for device in info.devices] == [2144, 32768]


@pytest.mark.parametrize(
    ("written", "instead", "field"),
    [
        ("91.5 ", "9l.5 ", "power_w"),
        ("91.5 ", "91,5 ", "power_w"),
        ("41  ", "4\ufffd  ", "temperature_c"),
        ("| 7 ", "| 700 ", "aicore_percent"),
        ("| 7 ", "| -7 ", "aicore_percent"),
        ("0000:C1:00.0", "0000:G1:00.0", "bus_id"),
        ("3161 / 65536", "31x1 / 65536", "hbm"),
        ("3161 / 65536", "-161 / 65536", "hbm"),
        ("3161 / 65536", "3161 - 65536", "hbm"),
        ("3161 / 65536", "3161 / 655３6", "hbm"),
        ("3161 / 65536", "3161 / " + "9" * 40, "hbm"),
    ],
)
def test_a_value_that_cannot_be_read(written: str, instead: str, field: str) -> None:
    info = parse_info(TEXT.replace(written, instead, 1))
    assert len(info.problems) == 1
    assert len(info.devices) == 2
    assert info.devices[1] == DEVICES[1]
    lost = {name for name, value in asdict(info.devices[0]).items() if value != getattr(DEVICES[0], name)}
    assert lost
    assert all(getattr(info.devices[0], name) is None for name in lost)
    assert any(name.startswith(field) for name in lost)


def test_more_used_than_there_is() -> None:
    info = parse_info(TEXT.replace("3161 / 65536", "70000/ 65536"))
    assert (info.devices[0].hbm_used_mb, info.devices[0].hbm_total_mb) == (70000, 65536)
    assert lines_of(info) == [8]


def test_a_card_that_is_called_as_a_number_and_has_no_health() -> None:
    info = parse_info(TEXT.replace("910B3", "310  ").replace("OK            ", "NA            "))
    assert [(device.name, device.health) for device in info.devices] == [("310", "NA"), ("310", "Critical")]
    assert info.problems == ()


def test_the_same_process_on_two_chips() -> None:
    both = (Process(5, 0, 12, "python", 1), Process(5, 1, 12, "python", 2), Process(0, 0, 12, "python", 3))
    info = parse_info(Table(TABLE.layout, "24.1", DEVICES, both, ()).text())
    assert sorted(info.processes, key=lambda process: process.memory_mb or 0) == list(both)
    assert info.problems == ()


def test_columns_of_a_newer_tool() -> None:
    text = (
        "| npu-smi 27.0  Version: 27.0 |\n"
        "| NPU  Slot  Name | Serial | Temp(C)  Fan Speed(%)  Power(W) | Health |\n"
        "| Chip  Phy-ID | | HBM-Usage(MB)  HBM Temp(C)  AICore(%) | Bus-Id |\n"
        "+====+\n"
        "| 3    11   910C | S-1 | 40  30  300.5 | OK |\n"
        "| 1     7 | | 5 / 65536  44  2 | 0000:0a:00.0 |\n"
        "+====+\n"
    )
    info = parse_info(text)
    assert info.devices == (
        Device(3, 1, "910C", "OK", None, 7, "0000:0A:00.0", 300.5, 40, 2, hbm_used_mb=5, hbm_total_mb=65536),
    )
    assert info.problems == (
        "line 2: unknown columns: 'Slot, Serial, Fan Speed(%)'",
        "line 3: unknown columns: 'HBM Temp(C)'",
    )


def test_one_more_header_than_is_known() -> None:
    more = "| Slot  Clock(MHz)          |               | Temp(C)     Memory-Usage(MB)                               |"
    info = parse_info(changed(5, LINES[4], more, more.replace("Slot ", "Phy-ID").replace("      |  ", " Bus-Id | ")))
    assert info.devices == DEVICES
    assert info.processes == PROCESSES
    assert set(lines_of(info)) == {6, 7}


def test_sixty_four_cards() -> None:
    devices = tuple(
        Device(n, 0, "910B4", "OK", n, None, f"0000:{n:02X}:00.0", 90.0, 40, 0, 0, 0, None, None, 0, 0)
        for n in range(64)
    )
    info = parse_info(Table(Layout(second="Device", hbm=False), "24.1", devices, (), tuple(range(64))).text())
    assert (info.devices, info.idle, info.problems) == (devices, tuple(range(64)), ())


def test_no_table_is_no_device_and_no_problem() -> None:
    info = parse_info(
        "DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)\n...\n"
        "dcmi module initialize failed. ret is -8005\n-----\n-----\n"
    )
    assert info == NOTHING
