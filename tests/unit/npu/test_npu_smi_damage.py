# SPDX-License-Identifier: Apache-2.0
"""A table of npu-smi info with rows lost, cut, odd or doubled: what is whole counts, the rest is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_smi import Device, Process, parse_info
from tests.fuzz.tables import Layout, Table
from tests.unit.npu.npu_smi_two_cards import CARD, CHIP, DEVICES, LINES, PROCESSES, TABLE, TEXT, changed, lines_of


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


@pytest.mark.parametrize(
    ("written", "processes", "idle", "count"),
    [
        (["| No running processes found in NPU 12   |"], 0, (12,), 0),
        (["| No running processes found in NPU 12|"], 0, (12,), 0),
        (["| No running processes found          |"], 0, (0, 5), 0),
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


@pytest.mark.parametrize("kept", [1, 2, 3, 4, 5, 6])
def test_a_table_without_rows(kept: int) -> None:
    info = parse_info("\n".join(LINES[:kept]))
    assert info.devices == ()
    assert lines_of(info) == [[], [2], [2], [4], [5], [5]][kept - 1]
