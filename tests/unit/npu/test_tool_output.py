# SPDX-License-Identifier: Apache-2.0
"""Lines without decoration, rows of tables, and values, as the driver's tools print them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu import tool_output


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a\nb", ["a", "b"]),
        ("a \r\nb\t\r\r\n", ["a ", "b\t", ""]),
        ("\ufeffa\n\ufeffb", ["a", "\ufeffb"]),
        ("\x1b[1;31mred\x1b[0m \x1b[2K\x1b[?25l\x1b(Bx", ["red x"]),
        ("\x1b]0;title\x07a\n\x1b]2;title\x1b\\b", ["a", "b"]),
        ("\x1b]0;no end\na", ["\x1b]0;no end", "a"]),
        ("a\x00\x08b\x07", ["ab"]),
        ("a\x0bb\x85c\u2028d", ["a\x0bb\x85c\u2028d"]),
    ],
)
def test_lines(text: str, lines: list[str]) -> None:
    assert tool_output.lines(text) == list(enumerate(lines, 1))


@given(st.text())
def test_lines_are_numbered_as_an_editor_does(text: str) -> None:
    assert len(tool_output.lines(text)) == text.count("\n") + 1


@pytest.mark.parametrize("line", ["...", "  ....", "......  ", "…", "... ...", "| ... |", "|...", "| … (5 more) |"])
def test_left_out(line: str) -> None:
    assert tool_output.is_elided(line)


@pytest.mark.parametrize("line", ["", "..", "...done", "… and so on", "a...", "| 0 | ... |", "| .. |", "|"])
def test_not_left_out(line: str) -> None:
    assert not tool_output.is_elided(line)


@pytest.mark.parametrize(
    "line", ["+--+--+", "+====+", "  +-----", "+---x---+", "|---|---|", "-----", "+---=+", "=== ==="]
)
def test_border(line: str) -> None:
    assert tool_output.is_border(line)


@pytest.mark.parametrize("line", ["", "|", "| - | - |", "+", "-", "| a--b |", "--help", "a == b", "|      |"])
def test_no_border(line: str) -> None:
    assert not tool_output.is_border(line)


@pytest.mark.parametrize(
    ("row", "cells", "whole"),
    [
        ("| a | b  |", [" a ", " b  "], True),
        ("| a | b  |  ", [" a ", " b  "], True),
        ("| a | b", [" a ", " b"], False),
        ("||", [""], True),
        ("|", [""], True),
        ("| a ||", [" a ", ""], True),
    ],
)
def test_cells(row: str, cells: list[str], whole: bool) -> None:
    assert (tool_output.cells(row), tool_output.is_whole(row)) == (cells, whole)


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ("| a | b c", ["a", "b"]),
        ("| a | b c ", ["a", "b c"]),
        ("| a | b", ["a", ""]),
        ("| a", [""]),
    ],
)
def test_the_word_in_which_a_row_was_cut_is_none(row: str, cells: list[str]) -> None:
    found = [cell.strip() for cell in tool_output.cells(row)]
    assert tool_output.without_cut_word(row, found) == cells


@pytest.mark.parametrize(
    ("text", "absent"), [("NA", True), ("n/a", True), ("-", True), ("", True), ("0", False), ("--", False)]
)
def test_absent(text: str, absent: bool) -> None:
    assert tool_output.is_absent(text) is absent


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (tool_output.integer, "0", 0),
        (tool_output.integer, "-7", -7),
        (tool_output.integer, "007", 7),
        (tool_output.integer, "9" * 18, 10**18 - 1),
        (tool_output.integer, "9" * 19, None),
        (tool_output.integer, "+7", None),
        (tool_output.integer, "7 ", None),
        (tool_output.integer, "7\n", None),
        (tool_output.integer, "٧", None),
        (tool_output.integer, "７", None),
        (tool_output.integer, "1_000", None),
        (tool_output.integer, "", None),
        (tool_output.number, "93", 93.0),
        (tool_output.number, "93.5", 93.5),
        (tool_output.number, "-0.5", -0.5),
        (tool_output.number, "93.", None),
        (tool_output.number, ".5", None),
        (tool_output.number, "1e3", None),
        (tool_output.number, "nan", None),
        (tool_output.number, "inf", None),
        (tool_output.number, "93,5", None),
        (tool_output.count, "7", 7),
        (tool_output.count, "-7", None),
        (tool_output.count, "-0", None),
        (tool_output.percent, "100", 100),
        (tool_output.percent, "101", None),
        (tool_output.percent, "-1", None),
        (tool_output.bus_id, "0000:c1:00.0", "0000:C1:00.0"),
        (tool_output.bus_id, "00010000:C1:1F.7", "00010000:C1:1F.7"),
        (tool_output.bus_id, "0000:C1:00", None),
        (tool_output.bus_id, "000:C1:00.0", None),
        (tool_output.bus_id, "0000:G1:00.0", None),
        (tool_output.pair, "3862/65536", (3862, 65536)),
        (tool_output.pair, "NA/65536", (None, 65536)),
        (tool_output.pair, "-/N/A", (None, None)),
        (tool_output.pair, "N/A/8", (None, 8)),
        (tool_output.pair, "3862", None),
        (tool_output.pair, "3862/", None),
        (tool_output.pair, "/65536", None),
        (tool_output.pair, "1/2/3", None),
        (tool_output.pair, "-1/2", None),
        (tool_output.pair, "1 / 2", None),
    ],
)
def test_values(read: object, text: str, value: object) -> None:
    assert callable(read)
    assert read(text) == value


def test_quoted_is_short_and_on_one_line() -> None:
    assert tool_output.quoted(" a\n\tb ") == "'a b'"
    assert tool_output.quoted("x" * 60) == repr("x" * 60)
    assert tool_output.quoted("x" * 61) == repr("x" * 57 + "...")
    assert tool_output.quoted("\x1b[2J") == "'\\x1b[2J'"
    assert len(tool_output.quoted("\x00" * 10**6)) < 250
