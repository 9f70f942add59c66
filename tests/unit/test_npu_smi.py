# SPDX-License-Identifier: Apache-2.0
"""The table of npu-smi info: the simulator's, generated ones of every layout, and damage to them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ansible.module_utils.ascend.npu.npu_smi import Device, NpuSmiInfo, Process, parse_info
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.tables import Layout, Table, any_table
from tests.hangs import no_hang

PROGRAM = Path(__file__).resolve().parents[2] / "sim/node/bin/npu-smi"
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


# Two cards of the layout of a 910B, for damage by hand. Lines are numbered from 1, cards stand in 7, 8 and 10, 11.
DEVICES = (
    Device(0, 0, "910B3", "OK", None, None, "0000:C1:00.0", 91.5, 41, 7, 0, 0, 3161, 65536, 0, 0),
    Device(5, 0, "910B3", "Critical", None, None, "0000:42:00.0", None, 43, 0, 0, 0, 64233, 65536, 3, 15),
)
PROCESSES = (Process(5, 0, 77123, "ray worker", 61000), Process(5, 0, 77124, "", 90))
TABLE = Table(Layout(), "24.1.rc3", DEVICES, PROCESSES, (0,))
LINES = TABLE.lines()
TEXT = TABLE.text()
CARD, CHIP = 10, 11  # lines of the second card


NOTHING = NpuSmiInfo(None, None, (), (), (), ())


def changed(number: int, *lines: str) -> str:
    """The table with other lines instead of the one of this number."""
    return "\n".join([*LINES[: number - 1], *lines, *LINES[number:]]) + "\n"


def lines_of(info: NpuSmiInfo) -> list[int]:
    return [int(problem.split(":")[0].removeprefix("line ")) for problem in info.problems]


def test_the_table_by_hand() -> None:
    assert LINES[CARD - 1].startswith("| 5     910B3 ")
    assert LINES[CHIP - 1].startswith("| 0        ")
    assert parse_info(TEXT) == NpuSmiInfo("24.1.rc3", "24.1.rc3", DEVICES, PROCESSES, (0,), ())


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "\n".join("> " + line for line in text.splitlines()),
        lambda text: "\n".join(" > > " + line for line in text.splitlines()),
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
        "quoted",
        "quoted twice",
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


@pytest.mark.parametrize(
    ("text", "devices", "problems"),
    [
        (changed(CARD), DEVICES[:1], [CARD]),
        (changed(CHIP), None, [CARD]),
        (changed(CARD, LINES[CARD - 1][1:]), DEVICES[:1], [CARD, CHIP]),
        (changed(CARD, LINES[CARD - 1].replace("|", " ", 2)), DEVICES[:1], [CARD, CHIP]),
        (changed(CARD, LINES[CARD - 1] * 2), DEVICES[:1], [CARD, CHIP]),
        (changed(CARD, "| 5 910B3 OK | 9.0 43 0 / 0 |"), DEVICES[:1], [CARD, CHIP]),
        (changed(CARD, "| 5 910B3 | OK 9.0 43 0 / 0 |"), DEVICES[:1], [CARD, CHIP]),
        (changed(CARD, "| 5 910B3 OK 9.0 43 0 / 0 |"), DEVICES[:1], [CARD, CHIP]),
        (changed(CARD, "| x 910B3 | OK | 9.0 43 0 / 0 |"), DEVICES[:1], [CARD, CHIP]),
        (changed(CARD, "| 910B3 | OK | 9.0 43 0 / 0 |"), DEVICES[:1], [CARD, CHIP]),
        (changed(CHIP, LINES[CHIP - 1][1:]), None, [CARD, CHIP]),
        (changed(CHIP, "| ? | ? | ? |"), None, [CARD, CHIP]),
        (changed(CHIP, "| ... | ... | ... |"), None, [CARD, CHIP]),
        (changed(CARD, "..."), DEVICES[:1], [CARD, CHIP]),
        (changed(CHIP, "......"), None, [CARD, CHIP]),
        (changed(9, "…"), DEVICES, [9]),
        (changed(9, "| ... (8 cards) |"), DEVICES, [9]),
    ],
)
def test_a_lost_row(text: str, devices: tuple[Device, ...] | None, problems: list[int]) -> None:
    half = Device(5, None, "910B3", "Critical", temperature_c=43, hugepages_used=3, hugepages_total=15)
    info = parse_info(text)
    assert info.devices == ((DEVICES[0], half) if devices is None else devices)
    assert lines_of(info) == problems


def test_half_cards_are_not_put_together() -> None:
    # The first card's chip and the second card's row are gone, the border between them is not.
    info = parse_info("\n".join(line for number, line in enumerate(LINES, 1) if number not in (8, 10)))
    assert [(device.npu_id, device.bus_id) for device in info.devices] == [(0, None)]
    assert len(info.problems) == 2
    # Neither are rows between which a line is damaged.
    noise = "0  | 0000:C1:00.0 | 7  0 / 0  3161 / 65536 |"
    info = parse_info("\n".join([LINES[3], LINES[4], LINES[6], noise, LINES[10]]))
    assert [(device.npu_id, device.bus_id) for device in info.devices] == [(0, None)]


@pytest.mark.parametrize("measures", ["NA  NA  NA", "-  -  -"])
def test_a_chip_of_which_nothing_is_known_is_no_card(measures: str) -> None:
    lines = changed(5, LINES[4].replace("| Chip       ", "| Chip Device")).splitlines()
    row = f"| 7     3     | NA            | {measures} |"
    info = parse_info("\n".join([*lines[: CARD - 1], row, *lines[CHIP:]]))
    assert [device.npu_id for device in info.devices] == [0]
    assert CARD in lines_of(info)


def test_a_chip_below_a_damaged_header_is_no_card() -> None:
    lines = changed(4, LINES[3].replace("Temp(C)", "Temp[C]")).replace("| Chip       ", "| Chip  Phy-ID").splitlines()
    row = "| 7     3     | NA            | NA   0 / 0   2422 / 32768 |"
    info = parse_info("\n".join([*lines[: CARD - 1], row, *lines[CHIP:]]))
    assert [device.npu_id for device in info.devices] == [0]
    assert CARD in lines_of(info)
    row = "| 7     3     | 0000:42:00.?  | 1    0 / 0   2422 / 32768 |"
    info = parse_info("\n".join([*lines[:CARD], row, *lines[CHIP:]]))
    assert [device.npu_id for device in info.devices] == [0, 5]
    assert CHIP in lines_of(info)


def test_a_card_that_is_called_as_a_number_and_has_no_health() -> None:
    info = parse_info(TEXT.replace("910B3", "310  ").replace("OK            ", "NA            "))
    assert [(device.name, device.health) for device in info.devices] == [("310", "NA"), ("310", "Critical")]
    assert info.problems == ()


def test_without_borders_a_cut_row_may_be_the_next_cards() -> None:
    info = parse_info("\n".join([LINES[3], LINES[4], LINES[6], "| 5     "]))
    assert [(device.npu_id, device.chip_id) for device in info.devices] == [(0, None)]
    assert len(info.problems) == 2


def test_a_row_that_was_cut() -> None:
    chip = LINES[CHIP - 1]
    info = parse_info("\n".join(LINES[: CHIP - 1]) + "\n" + chip[: chip.index("64233") + 3])
    device = info.devices[1]
    assert (device.chip_id, device.bus_id, device.aicore_percent) == (0, "0000:42:00.0", 0)
    assert (device.memory_used_mb, device.memory_total_mb, device.hbm_used_mb) == (0, 0, None)
    assert lines_of(info) == [CHIP]
    info = parse_info("\n".join(LINES[: CARD - 1]) + "\n| 5     910B3   ")
    assert (info.devices, lines_of(info)) == (DEVICES[:1], [CARD])


def test_cut_anywhere() -> None:
    for end in range(len(TEXT)):
        check_cut(TABLE, end)


def check_cut(table: Table, end: int) -> None:
    text = table.text()[:end]
    info = parse_info(text)
    check_no_other_values(table, info)
    if info.devices == table.devices or info.problems or info == NOTHING:
        return
    # Whole cards are missing, and the cut is behind a border: nothing shows it.
    assert text.rstrip("\n| ").rpartition("\n")[2].startswith("+==")
    assert info.devices == table.devices[: len(info.devices)]
    assert info.devices[-1].npu_id != table.devices[len(info.devices)].npu_id


def check_no_other_values(table: Table, info: NpuSmiInfo) -> None:
    """Every device and process is one of the table's, but for what is not known of it."""
    rendered = [asdict(device) for device in table.devices]
    assert len(info.devices) <= len(rendered)
    for device in info.devices:
        assert any(agrees(asdict(device), other) for other in rendered), device
    for process in info.processes:
        assert any(agrees(asdict(process), asdict(other)) for other in table.processes), process
    assert set(info.idle) <= set(table.idle)


def agrees(found: dict[str, Any], rendered: dict[str, Any]) -> bool:
    return all(value in (None, "", rendered[name]) for name, value in found.items())


@given(st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_a_whole_table_is_read_back(random: Random) -> None:
    table = any_table(random)
    version = table.version if table.layout.title else None
    wanted = NpuSmiInfo(version, version, table.devices, table.processes, table.idle, ())
    info = parse_info(table.text())
    assert info.problems == ()
    assert (info.tool_version, info.driver_version, info.idle) == (version, version, table.idle)
    assert info.devices == table.devices
    # The tool writes them by card.
    assert sorted(info.processes, key=lambda process: process.pid) == list(wanted.processes)


@given(st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_lines_of_a_log_between_change_nothing(random: Random) -> None:
    table = any_table(random)
    noise = [
        "",
        "[ERROR] TSD open failed | retry | 3",
        "DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)",
        "  ",
        "log: a|b",
    ]
    lines = [line for row in table.lines() for line in [*random.sample(noise, random.choice((0, 0, 1))), row]]
    assert parse_info("\n".join(lines)) == parse_info(table.text())


@given(st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_a_cut_never_makes_other_values(random: Random) -> None:
    table = any_table(random)
    check_cut(table, random.randint(0, len(table.text())))


@given(st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_lost_rows_never_make_other_values(random: Random) -> None:
    table = any_table(random)
    rows = [number for number, line in enumerate(table.lines()) if re.match(r"\|(?! npu-smi| NPU| Chip)", line)]
    rows = [number for number in rows if "Bus-Id" not in table.lines()[number]]
    lost = random.sample(rows, random.randint(1, len(rows)))
    info = parse_info("\n".join(line for number, line in enumerate(table.lines()) if number not in lost))
    check_no_other_values(table, info)
    # One of several processes of a card may go missing unseen.
    assert info.problems or info.devices == table.devices


@given(st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_rows_shuffled_between_their_borders(random: Random) -> None:
    table = any_table(random)
    blocks: list[list[str]] = [[]]
    for line in table.lines():
        if line.startswith("+"):
            blocks += [[line], []]
        else:
            blocks[-1].append(line)
    for block in blocks:
        random.shuffle(block)
    info = parse_info("\n".join(line for block in blocks for line in block))
    check_no_other_values(table, info)
    assert info.devices == table.devices or info.problems


@given(st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_lost_headers_never_make_other_values(random: Random) -> None:
    table = any_table(random)
    names = [number for number, line in enumerate(table.lines()) if re.search(r"Health|Bus-Id|Process id", line)]
    lost = random.sample(names, random.randint(1, len(names)))
    info = parse_info("\n".join(line for number, line in enumerate(table.lines()) if number not in lost))
    check_no_other_values(table, info)
    assert info.problems


def test_no_header_is_said_once() -> None:
    info = parse_info("...\n" + "\n".join(line for line in LINES[6:11] if line.startswith("|")))
    assert info.devices == DEVICES
    assert lines_of(info) == [1, 2, 3]


def test_two_captures_are_not_counted_twice() -> None:
    other = Table(TABLE.layout, "25.0", (DEVICES[1],), (), (5,))
    info = parse_info(TEXT + other.text())
    assert (info.devices, info.processes, info.idle, info.driver_version) == (DEVICES, PROCESSES, (0,), "24.1.rc3")
    assert lines_of(info) == [len(LINES) + 2]
    info = parse_info("\n".join([*LINES, *LINES[2:]]))
    assert (info.devices, info.processes, lines_of(info)) == (DEVICES, PROCESSES, [len(LINES) + 2])
    # Of the first, nothing but the header was left.
    info = parse_info("\n".join([*LINES[:6], *LINES]))
    assert (info.devices, len(info.problems)) == (DEVICES, 1)


def test_the_same_lines_twice() -> None:
    info = parse_info("\n".join([*LINES[:12], *LINES[9:]]))
    assert (info.devices, lines_of(info)) == (DEVICES, [CHIP + 3])
    process = next(number for number, line in enumerate(LINES, 1) if "77123" in line)
    info = parse_info(changed(process, LINES[process - 1], LINES[process - 1]))
    assert (info.processes, lines_of(info)) == (PROCESSES, [process + 1])
    assert parse_info(changed(5, LINES[4], LINES[4])).devices == DEVICES


def test_the_same_process_on_two_chips() -> None:
    both = (Process(5, 0, 12, "python", 1), Process(5, 1, 12, "python", 2), Process(0, 0, 12, "python", 3))
    info = parse_info(Table(TABLE.layout, "24.1", DEVICES, both, ()).text())
    assert sorted(info.processes, key=lambda process: process.memory_mb or 0) == list(both)
    assert info.problems == ()


@pytest.mark.parametrize(
    ("written", "processes", "idle", "count"),
    [
        (["| No running processes found in NPU 12   |"], 0, (12,), 0),
        (["| No running processes found in NPU 12|"], 0, (12,), 0),
        (["| No running processes found          |"], 0, (), 0),
        (["| No running processes found in NPU 1"], 0, (), 1),
        (["| No running processes found in NPU x  |"], 0, (), 1),
        (["| No running processes found in NPU 1 2 |"], 0, (), 1),
        (["| 1       0   | 12345  | python | "], 1, (), 1),
        (["| 1       0   | 12345  | pyt"], 1, (), 1),
        (["| 1       0   | 123"], 0, (), 1),
        (["| 1       0   | 12345 | python | NA |"], 1, (), 0),
        (["| 1       0   | 12345 | python | 5x |"], 1, (), 1),
        (["| 1       0   | 12x45 | python | 55 |"], 0, (), 1),
        (["| 1       0   | 12345 | python |"], 1, (), 1),
        (["| 1       0   | 12345 python | 55 |"], 0, (), 1),
        (["| 1       0  12345 | python | 55 |"], 0, (), 1),
        (["| 0     910B3 | OK | 91.0 44 0 / 0 |"], 0, (), 1),
        (["| ...         |"], 0, (), 1),
    ],
)
def test_rows_of_processes(written: list[str], processes: int, idle: tuple[int, ...], count: int) -> None:
    head = next(number for number, line in enumerate(LINES, 1) if "Process id" in line) + 1
    info = parse_info("\n".join([*LINES[:head], *written, LINES[head - 1]]))
    assert (len(info.processes), info.idle, len(info.problems)) == (processes, idle, count)
    assert info.devices == DEVICES


@pytest.mark.parametrize("row", ["| 1  0 | 12345 | py|thon | 5", "| 1  0 | 12345 | py|th|o", "| 1  0 | 12345 | p|y"])
def test_a_cut_name_that_holds_the_borders_character(row: str) -> None:
    head = next(number for number, line in enumerate(LINES, 1) if "Process id" in line) + 1
    info = parse_info("\n".join([*LINES[:head], row]))
    assert info.processes == (Process(1, 0, 12345, "", None),)
    assert lines_of(info) == [head + 1]


def test_a_process_table_that_is_not_closed() -> None:
    info = parse_info("\n".join(LINES[:-1]))
    assert (info.devices, info.processes) == (DEVICES, PROCESSES)
    assert lines_of(info) == [len(LINES) - 1]


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


def test_processes_below_no_header_are_no_cards() -> None:
    layout = Layout(npu_id=True)
    card = Device(0, None, "950", "OK", None, None, None, 9.0, 40, 0, 0, 0, 1, 2, 0, 0)
    processes = (Process(0, None, 1001, "python", 256), Process(1, None, 1002, "OK", 7))
    lines = Table(layout, "26.0", (card, replace(card, npu_id=1)), processes, ()).lines()
    info = parse_info("\n".join(line for line in lines if "Process id" not in line))
    assert [device.npu_id for device in info.devices] == [0, 1]
    assert all(device.name == "950" for device in info.devices)
    assert info.processes == ()
    assert info.problems


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


@pytest.mark.parametrize("kept", [1, 2, 3, 4, 5, 6])
def test_a_table_without_rows(kept: int) -> None:
    info = parse_info("\n".join(LINES[:kept]))
    assert info.devices == ()
    assert lines_of(info) == [[], [2], [2], [4], [5], [5]][kept - 1]


def test_problems_are_short_and_it_is_quick() -> None:
    for text in (
        "| " + "NPU Name " * 50000 + "| Health | Temp(C) |",
        TEXT.replace("910B3", "x" * 100000),
        TEXT.replace("Health", "\x01" * 100000),
        TEXT.replace("ray worker", "|" * 100000),
        "|" * 200000,
        "| " + " " * 200000 + "x",
        "> " * 100000,
        "\x1b[" * 100000,
        "| npu-smi" + " " * 200000,
        "| No running processes found" + " " * 200000 + "in",
        "| 1 " + "/ " * 100000 + "|",
        "| 0 910B3 | OK | 1/2" + " " * 200000 + "x |",
    ):
        with no_hang():
            info = parse_info(text)
        assert all(len(problem) < 400 for problem in info.problems)


@given(st.text(alphabet=st.sampled_from("|+-=/ \n\t.0129AB:NPUOK\x1b[\u3000"), max_size=400))
def test_it_never_raises(text: str) -> None:
    parse_info(text)
