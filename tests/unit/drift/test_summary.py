# SPDX-License-Identifier: Apache-2.0
"""The drift report on one screen: short whatever was found, and right."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import summary
from tests import fleets

FOLDER = "reports/20260302T013000Z"
LEVELS = ("refusal", "change", "warning")
UNREACHABLE, HOST_KEY = fleets.FAULTS[-2:]


def fleet(*found: tuple[str, list[fleets.Row]], clean: int = 0) -> dict[str, Any]:
    nodes = [fleets.node(name, [fleets.finding(name, row) for row in rows]) for name, rows in found]
    made = fleets.report([*nodes, *(fleets.node(f"clean-{number:04d}", []) for number in range(clean))])
    return {**made, "changes": {**made["changes"], "gone": []}}


def row(level: str, component: str, name: str, problem: str) -> fleets.Row:
    return level, component, name, "", problem, "wanted", "found", "where", "remedy"


def headline(drifted: int, unchecked: int, clean: int) -> str:
    bad = [(f"npu-{number}", [fleets.FAULTS[2]]) for number in range(drifted)]
    silent = [(f"out-{number}", [UNREACHABLE]) for number in range(unchecked)]
    return summary.lines(fleet(*bad, *silent, clean=clean), FOLDER)[0]


def test_a_report_of_a_bad_night() -> None:
    nodes = [(f"npu-{number:03d}", [fleets.FAULTS[2]]) for number in range(1, 15)]
    nodes[0] = ("npu-001", [fleets.FAULTS[2], fleets.FAULTS[0], fleets.FAULTS[6]])
    made = fleet(*nodes, ("npu-100", [UNREACHABLE]), ("npu-101", [UNREACHABLE]), ("npu-102", [HOST_KEY]), clean=983)
    made["changes"]["gone"] = [{}] * 1_200
    assert summary.lines(made, FOLDER) == [
        "14 of 1,000 nodes drifted, 3 could not be checked.",
        "Since 2026-03-01 01:30 UTC: 19 new findings, 1,200 gone, 0 still there.",
        "",
        "findings  unchecked    refusal     change    warning",
        "access            3          -          -          -",
        "cards             -          1          -          -",
        "network           -          -          -          1",
        "cann              -          -         14          -",
        "",
        "14 nodes (npu-001, npu-002 and 12 more)  cann     toolkit 8.0.RC1 is altered: runtime/lib64/libas...",
        "npu-001                                  cards    cards are not healthy",
        "npu-001                                  network  the link is not UP",
        "",
        "Not checked: 2 nodes (npu-100 and npu-101): the node cannot be reached: ssh: connect to host 192....",
        "Not checked: npu-102: the node's host key is not the one in known_hosts: Host key verification fa...",
        "",
        "Report: reports/20260302T013000Z/index.html",
    ]


def test_a_report_of_a_good_night_is_four_lines() -> None:
    assert summary.lines(fleet(clean=1_000), FOLDER) == [
        "All 1,000 nodes match the inventory.",
        "Since 2026-03-01 01:30 UTC: nothing new, nothing gone, 0 still there.",
        "",
        "Report: reports/20260302T013000Z/index.html",
    ]


def test_remarks_are_told_and_are_no_drift() -> None:
    made = fleet(("npu-1", [fleets.FAULTS[2]]), clean=2)
    unknown = fleets.remark("cann", "cann-layout-unknown", "CANN has an undocumented layout")
    for node in made["nodes"]:
        node["remarks"] = [unknown]
    made["nodes"][0]["remarks"].append(fleets.remark("network", "tool-busy", "hccn_tool was busy"))
    text = summary.lines(made, FOLDER)
    assert text[0] == "1 of 3 nodes drifted."
    assert text[-4:-1] == [
        "Remark (not drift): 3 nodes (clean-0000, clean-0001 and 1 more): CANN has an undocumented layout",
        "Remark (not drift): npu-1: hccn_tool was busy",
        "",
    ]
    made["nodes"][1]["remarks"] = [unknown, *(fleets.remark("env", f"r{n}", f"remark {n}") for n in range(40))]
    assert summary.lines(made, FOLDER)[-4:-2] == [
        "Remark (not drift): 3 nodes (clean-0000, clean-0001 and 1 more): CANN has an undocumented layout",
        "and 41 other remarks, see the report",
    ]


@pytest.mark.parametrize(
    ("drifted", "unchecked", "clean", "expected"),
    [
        (0, 0, 0, "No nodes: the inventory has none."),
        (0, 0, 1, "The one node matches the inventory."),
        (0, 0, 2, "All 2 nodes match the inventory."),
        (1, 0, 0, "1 of 1 node drifted."),
        (1, 0, 1, "1 of 2 nodes drifted."),
        (2, 0, 1_998, "2 of 2,000 nodes drifted."),
        (0, 1, 0, "The one node could not be checked."),
        (0, 3, 0, "None of the 3 nodes could be checked."),
        (0, 1, 1, "1 of 2 nodes could not be checked; the other one matches the inventory."),
        (0, 1, 1_500, "1 of 1,501 nodes could not be checked; the other 1,500 match the inventory."),
        (1, 1, 0, "1 of 2 nodes drifted, 1 could not be checked."),
    ],
)
def test_the_headline(drifted: int, unchecked: int, clean: int, expected: str) -> None:
    assert headline(drifted, unchecked, clean) == expected


def test_one_new_finding_is_one() -> None:
    made = fleet(("npu-1", [fleets.FAULTS[0]]))
    assert summary.lines(made, FOLDER)[1] == "Since 2026-03-01 01:30 UTC: 1 new finding, nothing gone, 0 still there."


def test_a_partial_report_says_what_was_looked_at() -> None:
    made = {**fleet(clean=2), "partial": True, "limit": "rack_01", "components": ["cann", "env"]}
    assert summary.lines(made, FOLDER)[1] == "Partial: --limit rack_01; looked at cann, env."
    made["limit"] = None
    assert summary.lines(made, FOLDER)[1] == "Partial: looked at cann, env."
    empty = {**fleet(), "limit": "nobody", "partial": True}
    assert summary.lines(empty, FOLDER)[0] == "No nodes: the inventory has none within the limit."


def test_the_first_report_has_none_before_it() -> None:
    made = fleet(("npu-1", [fleets.FAULTS[0]]))
    made["changes"]["since"] = None
    assert summary.lines(made, FOLDER)[1] == "This is the first report: there is none to compare it with."


def test_a_history_that_could_not_be_used_is_told_instead() -> None:
    made = {**fleet(clean=1), "history": "history.sqlite is used by another process. " + "More of it. " * 30}
    made["changes"]["since"] = None
    shown = summary.lines(made, FOLDER)
    assert shown[1].startswith("history.sqlite is used by another process. More of it.")
    assert shown[2].endswith(" ...")
    assert shown[3:] == ["", f"Report: {FOLDER}/index.html"]


def test_what_differs_in_its_details_is_one_kind() -> None:
    rows = [row("change", "cann", "toolkit", f"toolkit is altered: file {number}") for number in range(3)]
    made = fleet(*((f"npu-{number}", [each]) for number, each in enumerate(rows)), ("npu-9", [fleets.FAULTS[0]]))
    assert "3 nodes (npu-0, npu-1 and 1 more)  cann   toolkit is altered ..." in summary.lines(made, FOLDER)


def test_a_node_with_a_problem_twice_is_one_node() -> None:
    twice = [fleets.FAULTS[6], (*fleets.FAULTS[6][:3], "5", *fleets.FAULTS[6][4:])]
    assert "npu-1  network  the link is not UP" in summary.lines(fleet(("npu-1", twice)), FOLDER)


def test_what_is_left_out_is_counted() -> None:
    rows = [row("change", "env", f"name-{number}", f"problem {number}") for number in range(9)]
    silent = [(f"out-{n}", [row("unchecked", "access", f"reason-{n}", f"reason {n}")]) for n in range(12)]
    shown = summary.lines(fleet(("npu-1", rows), *silent), FOLDER)
    assert "npu-1  env  problem 4" in shown
    assert "and 4 other kinds of findings" in shown
    assert "Not checked: out-0: reason 0: found" in shown
    assert "and 7 other reasons why nodes could not be checked" in shown
    few = summary.lines(fleet(*silent[:7]), FOLDER)
    assert sum(line.startswith("Not checked: ") for line in few) == 7


def test_long_names_of_nodes_leave_room_for_the_problem() -> None:
    long = [("n" * 220, [fleets.FAULTS[0]])]
    many = [(letter * 60, [fleets.FAULTS[6]]) for letter in "abc"]
    shown = summary.lines(fleet(*long, *many), FOLDER)
    assert f"{'n' * 41}...  cards    cards are not healthy" in shown
    assert f"{'3 nodes':<44}  network  the link is not UP" in shown
    two = [("a" * 22, [fleets.FAULTS[6]]), ("b" * 22, [fleets.FAULTS[6]])]
    assert f"2 nodes ({'a' * 22} and 1 more)  network  the link is not UP" in summary.lines(fleet(*two), FOLDER)


def test_what_a_terminal_obeys_is_not_shown() -> None:
    odd = row("change", "cann", "toolkit", "\x1b[31mred\x07\n\n  second\tline \u202e\udc80\x9b2J")
    shown = summary.lines(fleet(("npu\x1b]0;title\x07", [odd])), "reports\n\x1b[2J")
    text = "\n".join(shown)
    assert all(line.isprintable() for line in shown)
    assert r"npu\x1b]0;title\x07  cann  \x1b[31mred\x07 second line \x202e\xdc80\x9b2J" in text
    assert r"Report: reports \x1b[2J/index.html" in text


def test_the_end_of_a_long_path_is_kept() -> None:
    last = summary.lines(fleet(clean=1), "/srv/" + "deep/" * 60 + FOLDER)[-1]
    assert last.startswith("Report: ...")
    assert last.endswith(f"/deep/{FOLDER}/index.html")
    assert len(last) == 100


def test_the_fullest_report_shows_something_of_everything() -> None:
    rows = [row(level, component, f"{level}-x", "problem") for component in fleets.COMPONENTS for level in LEVELS]
    silent = [(f"out-{n}", [row("unchecked", "access", f"r-{n}", f"reason {n}")]) for n in range(9)]
    made = {**fleet(("npu-1", rows), *silent), "partial": True, "limit": "all", "history": "words " * 99}
    shown = summary.lines(made, FOLDER)
    assert len(shown) == 22
    assert [line.split()[0] for line in shown[5:15]] == ["findings", *fleets.COMPONENTS]
    assert sum(line.startswith("npu-1  ") for line in shown) == 3
    assert shown[-4:-2] == ["and 24 other kinds of findings", "Not checked: out-0: reason 0: found"]


def words(chance: random.Random) -> str:
    """Anything a tool may say, short or long."""
    letters = "abcdef \t\n\r\0\x1b\x9b\u202e\u2028\u00ad\u5361\U0001f525:,%{}"
    return "".join(chance.choices(letters, k=chance.choice([0, 1, 9, 70, 300])))


def any_row(chance: random.Random) -> fleets.Row:
    level, component = chance.choice((*LEVELS, "unchecked")), chance.choice(fleets.COMPONENTS)
    said = [words(chance) for _ in range(6)]
    return level, component, said[0], said[1], said[2] + "\ud800", said[3], said[4], said[5], "next"


def test_any_report_fits_the_screen() -> None:
    for seed in range(120):
        fits_the_screen(random.Random(seed))


def fits_the_screen(chance: random.Random) -> None:
    most = chance.choice([1, 3, 30])
    names = {words(chance) for _ in range(chance.randrange(40))}
    made = fleet(*((name, [any_row(chance) for _ in range(chance.randrange(most))]) for name in sorted(names)))
    made.update(history=chance.choice([None, words(chance)]), limit=chance.choice([None, words(chance)]))
    made["partial"] = made["limit"] is not None
    made["changes"]["since"] = chance.choice([None, made["changes"]["since"]])
    width = chance.randint(56, 200)
    shown = summary.lines(made, words(chance), width)
    assert len(shown) <= 22
    assert all(len(line) <= width and line.isprintable() for line in shown)
    assert shown[-1].startswith("Report: ")
    # The table is never cut: its cells add up to all findings.
    found = {entry["component"] for node in made["nodes"] for entry in node["findings"]}
    if found:
        start = next(number for number, line in enumerate(shown) if line.startswith("findings "))
        table = [line.split() for line in shown[start + 1 : start + 1 + len(found)]]
        assert {cells[0] for cells in table} == found
        total = sum(int(cell) for cells in table for cell in cells[1:] if cell != "-")
        assert total == made["counts"]["findings"]


@pytest.mark.parametrize("size", [0, 1, 2, 16, 2_000])
def test_any_size_of_a_fleet_fits_the_screen(size: int) -> None:
    chance = random.Random(size)
    for width in (1, 5, 20, 60, 100):
        made = fleets.fleet(size, chance.randint(0, size)) if size else fleets.report([])
        shown = summary.lines(made, FOLDER, width)
        assert 3 <= len(shown) <= 22
        assert all(len(line) <= width for line in shown)
