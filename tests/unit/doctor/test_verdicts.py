# SPDX-License-Identifier: Apache-2.0
"""One verdict a node, the causes folded by name, and all of it on one screen."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.doctor import files, screen, verdicts
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.doctor.earlier import Earlier, Result
from tests import fleets

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "doctor.schema.json").read_text()))
BY_NAME = {row[2]: row for row in fleets.FAULTS}
INVENTORY = "-i inventory/prod"
MISSING = [Earlier(kind, "x", "missing", "no report", None, None, "", {}) for kind in ("verify", "preflight")]


def failed(kind: str, state: str, *names: str) -> Earlier:
    words = dict.fromkeys(("component", "subject", "problem", "wanted", "found", "where", "remedy"), "x")
    failure = {**words, "name": "port-taken", "run_on": ""}
    nodes = {name: Result("fail", "", [failure]) for name in names}
    return Earlier(kind, "x", state, "", fleets.MADE, 86400, "standard", nodes)


def judged(nodes: dict[str, list[str]], tests: list[Earlier] = MISSING, **changes: Any) -> Any:
    """The report of nodes that have these findings."""
    made = [fleets.node(name, [fleets.finding(name, BY_NAME[row]) for row in rows]) for name, rows in nodes.items()]
    return reported({**fleets.report(made), **changes}, tests)


def reported(fleet: Any, tests: list[Earlier] = MISSING) -> Any:
    report = verdicts.document({"depot": [], **fleet}, tests, INVENTORY, "doctor")
    SCHEMA.validate(report)
    shown = screen.lines(report, "doctor")
    assert sum(-(-len(line) // 80) for line in shown) <= 22, "\n".join(shown)
    assert all(len(line) <= 80 or line.startswith("   ") for line in shown), "\n".join(shown)
    named = [line for line in shown if line.startswith(tuple(screen.WORDS.values()))]
    assert len(named) >= min(4, len(report["groups"])), "\n".join(shown)
    names = [name for group in report["groups"] for name in group["nodes"]]
    assert sorted(names) == sorted(node["name"] for node in report["nodes"]), "each node is in one group"
    assert all(node["verdict"] == "healthy" or node["causes"] for node in report["nodes"])
    return report


@pytest.mark.parametrize(
    ("rows", "verdict", "code"),
    [
        ([], "healthy", 0),
        (["distribution-other"], "attention", 1),
        (["network-link-down"], "attention", 1),
        (["distribution-other", "health"], "broken", 2),
        (["unreachable"], "unchecked", 2),
    ],
)
def test_the_worst_finding_decides(rows: list[str], verdict: str, code: int) -> None:
    report = judged({"npu-1": rows, "npu-2": []})
    assert (report["nodes"][0]["verdict"], report["exit_code"]) == (verdict, code)
    assert report["counts"]["healthy"] == (2 if verdict == "healthy" else 1)
    if rows:
        assert report["nodes"][0]["causes"][0]["name"] == rows[-1]


def test_a_test_that_failed_breaks_a_node_until_it_is_too_old() -> None:
    nodes: dict[str, list[str]] = {"npu-1": [], "npu-2": [], "npu-3": ["unreachable"]}
    report = judged(nodes, [failed("verify", "fresh", "npu-1", "npu-3"), failed("preflight", "old", "npu-2", "npu-3")])
    assert [node["verdict"] for node in report["nodes"]] == ["broken", "attention", "unchecked"]
    assert [node["causes"][0]["level"] for node in report["nodes"]] == ["failure", "old-failure", "unchecked"]
    shown = "\n".join(screen.lines(report, "doctor"))
    assert "verify (standard), 1 day ago: 0 passed, 2 failed, 1 not known" in shown
    assert "too old to count: 2 failed" in shown


def test_without_a_test_nothing_has_passed() -> None:
    report = judged({"npu-1": []})
    assert report["nodes"][0]["preflight"] == {"state": "unknown", "why": "no report"}
    assert "preflight: not known: no report" in screen.lines(report, "doctor")


def test_what_the_node_could_not_tell_is_said() -> None:
    fleet = fleets.report([fleets.node(f"npu-{number}", []) for number in (1, 2, 3)])
    for node in fleet["nodes"][:2]:
        node["components"]["network"] = "unknown"
    report = reported(fleet)
    assert [node["unknown"] for node in report["nodes"]] == [["network"], ["network"], []]
    assert "Unknown, because the node could not tell: network of npu-[1-2]" in screen.lines(report, "doctor")


def test_what_is_wrong_with_the_fleet_is_something_to_do() -> None:
    found = fleets.finding("the fleet", BY_NAME["driver"])
    between = {"compared": 2, "findings": [found], "remarks": []}
    report = judged({"npu-1": [], "npu-2": []}, between=between)
    assert (report["exit_code"], [each["name"] for each in report["fleet"]]) == (1, ["driver"])
    assert any(line.startswith("The fleet: driver: ") for line in screen.lines(report, "doctor"))
    assert judged({"npu-1": []}, depot=[found])["exit_code"] == 1


def test_the_commonest_causes_have_one_command_for_all_their_nodes() -> None:
    nodes = {f"npu-{number}": ["distribution-other", "distribution-extra"][: 1 + number % 2] for number in range(1, 6)}
    report = judged({**nodes, "npu-6": ["unreachable"], "npu-7": ["unreachable"], "npu-8": ["health"]})
    first, second, third, last = report["causes"]
    assert [len(each["nodes"]) for each in (first, second, third, last)] == [5, 3, 2, 1]
    assert first["command"] == "ansible-playbook site.yml -i inventory/prod --limit @doctor/cause-1.txt"
    assert third["command"] == "ansible ascend --limit @doctor/cause-3.txt -i inventory/prod -m ping"
    assert (last["file"], last["command"]) == (None, BY_NAME["health"][-1])
    shown = screen.lines(report, "doctor")
    assert "1. 5 nodes: distribution-other: fire is 0.6.0, not 0.7.0" in shown
    assert f"   {first['command']}" in shown


def test_where_the_remedies_differ_that_of_most_is_shown_and_the_others_are_counted() -> None:
    report = judged({f"npu-{number}": ["health"] for number in (1, 2, 3)})
    fleet = fleets.report([fleets.node(name, [fleets.finding(name, BY_NAME["health"])]) for name in ("a", "b", "c")])
    fleet["nodes"][0]["findings"][0]["remedy"] = "npu-smi info -t health -i 7"
    (cause,) = reported(fleet)["causes"]
    assert (cause["command"], cause["command_for"]) == (report["causes"][0]["command"], 2)


def test_a_command_for_the_nodes_says_on_which() -> None:
    """At 3 a.m. npu-smi is typed where the card is, and the playbook where the inventory is."""

    def next_of(**numbers: int) -> tuple[str, str]:
        nodes = [fleets.node(name, [fleets.finding(name, BY_NAME["health"])]) for name in numbers]
        for node, number in zip(nodes, numbers.values(), strict=True):
            node["findings"][0]["remedy"] = f"npu-smi info -i {number}"
        report = reported(fleets.report(nodes))
        shown = screen.lines(report, "doctor")
        return report["causes"][0]["run_on"], shown[-2].strip()

    others = "another one for {}: report.json"
    assert next_of(a=3) == ("node", "on a: npu-smi info -i 3")
    assert next_of(a=3, b=3) == ("node", "on each node: npu-smi info -i 3")
    assert next_of(a=3, b=4) == ("node", f"on a: npu-smi info -i 3  # {others.format('1 node')}")
    assert next_of(a=1, b=4, c=4) == ("node", f"on 2 of these nodes: npu-smi info -i 4  # {others.format('1 node')}")
    shown = screen.lines(judged({"a": ["toolkit"], "b": ["unreachable"], "c": ["driver"]}), "doctor")
    assert not any(line.strip().startswith("on ") for line in shown), "of the control node, or no command"


def test_of_the_fleet_nothing_is_typed_on_a_node() -> None:
    found = fleets.finding("control node", (*BY_NAME["health"][:8], "df -h /srv/ascend-depot"))
    report = judged({"a": ["health"]}, depot=[found])
    assert report["fleet"][0]["run_on"] == "control"
    assert [each["run_on"] for each in report["nodes"][0]["causes"]] == ["node"]


def test_a_name_is_replaced_where_it_is_one() -> None:
    """A node called as a word of the command is, or as the beginning of another one."""
    names = ["site", "ansible", "npu-1", "npu-10"]
    fleet = fleets.report([fleets.node(name, [fleets.finding(name, BY_NAME["toolkit"])]) for name in names])
    (cause,) = reported(fleet)["causes"]
    assert cause["command"] == "ansible-playbook site.yml -i inventory/prod --limit @doctor/cause-1.txt"
    assert cause["command_for"] == 4


def test_a_command_that_names_several_nodes_stays_as_it_is() -> None:
    """Of an all_reduce that ended with another node: that is to be left out."""
    words = fleets.finding("a", BY_NAME["toolkit"]) | {"remedy": "ansible-playbook preflight.yml --limit a,b"}
    fleet = fleets.report([fleets.node("a", [words]), fleets.node("b", [words])])
    assert reported(fleet)["causes"][0]["command"] == words["remedy"]


def test_files_for_limit(tmp_path: Path) -> None:
    report = judged({"npu-1": [], "npu-2": ["health"], "npu-3": ["unreachable"]})
    files.write(report, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    read = {path.stem: path.read_text().split() for path in tmp_path.glob("*.txt")}
    assert read["passing"] == ["npu-1"]
    assert read["failing"] == ["npu-2", "npu-3"]
    assert sorted([read["cause-1"], read["cause-2"]]) == [["npu-2"], ["npu-3"]]
    assert read["cause-3"] == ["!all"]
    files.write(judged({"npu-1": []}), tmp_path)
    assert (tmp_path / "failing.txt").read_text() == (tmp_path / "cause-1.txt").read_text() == "!all\n"


@pytest.mark.parametrize("size", [1, 2, 40, 1000])
@pytest.mark.parametrize("bad", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.whole) for seed in range(1, 8))])
def test_any_fleet_is_one_screen(size: int, bad: float, seed: int) -> None:
    chance = random.Random(seed)
    fleet = fleets.fleet(size, drifted=int(size * bad), seed=seed)
    names = [node["name"] for node in fleet["nodes"]]
    tests = [failed(kind, "fresh", *chance.sample(names, size // 20)) for kind in ("verify", "preflight")]
    report = reported({**fleet, "limit": "all", "partial": True}, tests)
    shown = "\n".join(screen.lines(report, "doctor"))
    if len(report["groups"]) > 1 and report["counts"]["unchecked"]:
        assert "not checked" in shown.partition("\n\n")[2], "those that were not checked are named"
    assert report["counts"]["nodes"] == size


def test_nodes_that_were_not_checked_are_named_before_others() -> None:
    rows = {
        f"npu-{number:02d}": [{**fleets.finding("n", BY_NAME["health"]), "name": f"sick-{number}"}]
        for number in range(40)
    }
    rows["npu-99"] = [fleets.finding("n", BY_NAME["unreachable"])]
    report = reported(fleets.report([fleets.node(name, found) for name, found in rows.items()]))
    shown = screen.lines(report, "doctor")
    assert any(line.startswith("not checked") and "unreachable  npu-99: " in line for line in shown), shown


@pytest.mark.parametrize("length", [230, 5000])
def test_a_screen_of_long_words_is_one(length: int) -> None:
    """Commands that take three rows each, below a heading of all that there can be, leave room for the nodes."""
    long = "x" * length
    nodes = []
    for number in range(30):
        rows = [
            {
                **fleets.finding("n", row),
                "name": f"{number}-{row[2]}{long}",
                "problem": long,
                "remedy": f"{long} {number}",
                "run_on": "control",
            }
            for row in fleets.FAULTS[:3]
        ]
        nodes.append(fleets.node(f"npu-{long[:200]}-{number}", rows))
        nodes[-1]["components"]["network"] = "unknown"
    found = [{**rows[0], "problem": long}] * 3
    report = reported({**fleets.report(nodes), "limit": long, "partial": True, "depot": found})
    too_long = any("too long for this screen" in line for line in screen.lines(report, long))
    assert too_long == (length > 240)
