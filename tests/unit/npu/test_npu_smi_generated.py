# SPDX-License-Identifier: Apache-2.0
"""Any table of npu-smi info, whole or damaged: no value is read that it does not hold, and reading ends soon."""

from __future__ import annotations

import re
from dataclasses import asdict
from random import Random
from typing import Any

from hypothesis import given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_smi import NpuSmiInfo, parse_info
from tests.fuzz.tables import Table, any_table
from tests.hangs import no_hang
from tests.unit.npu.npu_smi_two_cards import NOTHING, TABLE, TEXT


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
