# SPDX-License-Identifier: Apache-2.0
"""A node's findings are what its plan says, and nothing else; a silent node says why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import cause, refusal
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import findings as told
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.fleet import (
    checked,
    chosen,
    exit_code,
    fleet,
    unchecked,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.silence import said_by, silence
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.components import COMPONENTS, step
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.words import refusal_text
from tests.contract.tree import ROOT
from tests.unit.plan.planner_nodes import bare

REPAIR = "ansible-playbook site.yml --limit n"
RUN = {"made": "2026-01-01T00:00:00Z", "seconds": 1.0, "inventory": [], "limit": None, "deep": False}
RUN["components"] = COMPONENTS


def plan(**parts: Any) -> Any:
    return {"steps": [], "refusals": [], "warnings": [], "remarks": [], **parts}


def test_a_node_without_a_plan_has_no_finding() -> None:
    assert told.findings("n", plan(), REPAIR) == []


def test_the_next_command_has_the_nodes_name_and_the_inventory() -> None:
    """A node does not know how the inventory calls it; what is printed is to be typed."""
    repair = "ansible-playbook site.yml -i inventory/prod --limit 'npu 1'"
    look = "ansible NODE -m ascend.fleet.ascend_facts; ansible-playbook site.yml --limit NODE  # repairs it"
    odd = refusal("env", "x", "p", "w", "f", look)
    (found,) = told.findings("npu 1", plan(refusals=[odd]), repair)
    (remark,) = told.remarks(plan(remarks=[odd]), "npu 1", repair)
    assert found["remedy"] == remark["remedy"]
    assert found["remedy"] == (
        "ansible 'npu 1' -i inventory/prod -m ascend.fleet.ascend_facts; "
        "ansible-playbook site.yml -i inventory/prod --limit 'npu 1'  # repairs it"
    )
    assert "--limit npu-7 " in refusal_text([odd], "npu-7")


def test_a_refusal_of_a_node_says_where_to_type_what() -> None:
    """The finding as the text; what is refused of no node in particular names none."""
    sick = refusal("cards", "x", "p", "w", "f", "npu-smi info")
    (found,) = told.findings("npu-1", plan(refusals=[sick]), "")
    assert (found["run_on"], refusal_text([sick], "npu-1").splitlines()[-1]) == (
        "node",
        "  next:   on npu-1: npu-smi info",
    )
    assert refusal_text([sick]).splitlines()[-1] == "  next:   npu-smi info"
    (remark,) = told.remarks(plan(remarks=[sick]), "npu-1")
    assert remark["run_on"] == "node"


def test_a_step_is_a_finding_or_one_for_each_cause() -> None:
    causes = [cause("distribution-extra", "fire 1 was added", subject="fire"), cause("lock", "another lock", "a", "b")]
    steps = [
        step("toolkit", "repair", "toolkit 8 is altered", "altered", "8", "/usr/local/Ascend"),
        step("environment", "repair", "environment e: ...", "complete", "e", "/opt/ascend/env/e", causes),
    ]
    found = told.findings("n", plan(steps=steps), REPAIR)
    assert [(each["component"], each["name"], each["subject"]) for each in found] == [
        ("cann", "toolkit", ""),
        ("env", "distribution-extra", "fire"),
        ("env", "lock", ""),
    ]
    assert {each["level"] for each in found} == {"change"}
    assert {each["remedy"] for each in found} == {REPAIR}
    assert (found[1]["wanted"], found[1]["found"]) == ("e", "complete")
    assert (found[2]["wanted"], found[2]["found"]) == ("a", "b")


def test_refusals_and_warnings_keep_their_words() -> None:
    sick = refusal("cards", "health", "card 3 is not healthy", "OK", "Alarm", "npu-smi", "npu-smi info", "3")
    late = refusal("system", "clock", "the time is not synchronised", "NTP", "no", "chronyc")
    found = told.findings("n", plan(refusals=[sick], warnings=[late]), REPAIR)
    assert [(each["level"], each["component"], each["name"], each["subject"]) for each in found] == [
        ("refusal", "cards", "health", "3"),
        ("warning", "system", "clock", ""),
    ]
    assert found[0]["remedy"] == "npu-smi"


@pytest.mark.parametrize("level", ["steps", "refusals", "warnings"])
def test_a_node_with_any_of_these_is_drifted(level: str) -> None:
    change = step("toolkit", "repair", "toolkit 8 is altered", "altered", "8", "/usr/local/Ascend")
    other = refusal("cann", "latest-other", "p", "w", "f", "r")
    facts = {**bare(), "npu": {**bare()["npu"], "devices": []}}
    planned = plan(**{level: [change if level == "steps" else other]})
    node = checked("n", facts, {"release": "8"}, planned, COMPONENTS, REPAIR)
    assert node["state"] == "drifted"
    assert exit_code(fleet([{**node, "groups": []}], RUN)["counts"], False) == 2


def test_a_remark_is_told_and_makes_no_node_drifted() -> None:
    remark = refusal("cann", "cann-layout-unknown", "p\udc80", "w", "f", "r", "/usr/local/Ascend")
    env = refusal("env", "other", "p", "w", "f", "r")
    planned = plan(remarks=[env, remark])
    assert told.findings("n", planned, REPAIR) == []
    facts = {**bare(), "npu": {**bare()["npu"], "devices": []}}
    node = checked("n", facts, {"release": "8"}, planned, COMPONENTS, REPAIR)
    assert (node["state"], node["findings"]) == ("clean", [])
    assert set(node["components"].values()) == {"clean"}
    assert [(each["component"], each["name"], each["problem"]) for each in node["remarks"]] == [
        ("cann", "cann-layout-unknown", "p\\udc80"),
        ("env", "other", "p"),
    ]
    (left,) = checked("n", facts, {"release": "8"}, planned, ("env",), REPAIR)["remarks"]
    assert left["name"] == "other"
    assert exit_code(fleet([{**node, "groups": []}], RUN)["counts"], False) == 0


def test_an_id_stays_when_the_words_change() -> None:
    def ids(words: str, node: str = "n") -> list[str]:
        return [
            each["id"] for each in told.findings(node, plan(refusals=[refusal("system", "disk", *[words] * 4)]), REPAIR)
        ]

    assert ids("12 MB free") == ids("11 MB free")
    assert ids("12 MB free") != ids("12 MB free", "m")


def test_two_findings_of_one_name_are_both_told() -> None:
    twice = [refusal("cann", "cann-altered", "p", "w", "f", "r", where) for where in ("/a", "/b", "/b")]
    found = told.findings("n", plan(warnings=twice), REPAIR)
    assert [each["where"] for each in found] == ["/a", "/b", "/b"]
    assert len({each["id"] for each in found}) == 3
    assert told.findings("n", plan(warnings=twice), REPAIR) == found


def test_a_name_that_is_no_utf8_can_be_written() -> None:
    causes = [cause("damage", "p\udc80 is missing", "w\ud800", "f", "\udcff")]
    (found,) = told.findings("n", plan(steps=[step("environment", "repair", "r", "f", "w", "/x", causes)]), REPAIR)
    assert json.loads(json.dumps(found, ensure_ascii=False).encode()) == found
    assert (found["problem"], found["subject"]) == ("p\\udc80 is missing", "\\udcff")


def test_the_worst_level_is_the_components_state() -> None:
    levels = [("cann", "warning"), ("cann", "refusal"), ("cann", "change"), ("env", "warning")]
    found = [{"component": component, "level": level} for component, level in levels]
    states = told.states(found, COMPONENTS, ("cards",))
    assert {name: state for name, state in states.items() if state != "clean"} == {
        "cann": "refusal",
        "env": "warning",
        "cards": "unknown",
    }
    assert list(told.states([], ("access", "env"), ())) == ["access", "env"]


def test_components_can_be_chosen() -> None:
    assert chosen(None) == chosen([]) == chosen("") == COMPONENTS
    assert chosen("env, cann") == chosen(["cann", "env"]) == ("access", "cann", "env")
    assert chosen("[env,cann]") == ("access", "cann", "env")
    with pytest.raises(AscendError, match="unknown component: kann"):
        chosen("kann")
    for cut in ("cann,", "[cann,"):  # what is left of "cann, env" behind -e
        with pytest.raises(AscendError, match=r"unknown component: .*next: .*without spaces"):
            chosen(cut)


# What came instead of facts (messages of OpenSSH 9.2, sudo 1.9.13, dash, ansible-core), reached -> name
SILENT: list[tuple[str, bool, str]] = [
    ("Failed to connect to the host via ssh: ssh: connect to host 192.0.2.1 port 22: Connection refused", False,
     "unreachable"),
    ("ssh: Could not resolve hostname npu-9: Name or service not known", False, "unreachable"),
    ("ssh: connect to host 192.0.2.1 port 22: Connection timed out", False, "unreachable"),
    ("Failed to connect to the host via ssh: Host key verification failed.", False, "host-key"),
    ("@@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.", False,
     "host-key"),
    ("No ED25519 host key is known for 192.0.2.1 and you have requested strict checking.", False, "host-key"),
    ("root@192.0.2.1: Permission denied (publickey,password).", False, "login"),
    ("sudo: a password is required", True, "sudo"),
    ("Missing sudo password", True, "sudo"),
    ("alice is not in the sudoers file.  This incident will be reported.", True, "sudo"),
    ("Timeout (32s) waiting for privilege escalation prompt: ", True, "sudo"),
    ("/bin/sh: 1: /usr/bin/python3: not found", True, "python"),
    ("/bin/sh: /usr/bin/python3: No such file or directory", True, "python"),
    ("ansible-core requires a minimum of Python version 3.7. Current version: 3.6.8", True, "python"),
    ("nothing within 120 s, the time limit of the check", True, "timeout"),
    ('Traceback (most recent call last):\n  File "x.py", line 3, in <module>\nMemoryError: no room', True, "crashed"),
    ("", True, "crashed"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "reached", "name"), SILENT)
def test_why_a_node_is_silent(said: str, reached: bool, name: str) -> None:
    finding = silence("npu-1", said, reached, "-i inventory/prod")
    assert (finding["component"], finding["level"], finding["name"]) == ("access", "unchecked", name)
    assert all(finding[key] for key in ("problem", "wanted", "found", "remedy", "where"))


def test_what_the_inventory_wants_and_cannot_be_is_told_as_that() -> None:
    """No "the check ended on the node": the node was not asked."""
    error = AscendError("ascend_cards_out is not a list of cards", wanted="[4, 6]", found="'4-6'", remedy="mend it")
    (finding,) = unchecked("npu-1", error, True, {}, COMPONENTS, "-i inventory/prod")["findings"]
    told = {
        key: finding[key] for key in ("component", "level", "name", "problem", "wanted", "found", "where", "remedy")
    }
    assert told == {
        "component": "access",
        "level": "unchecked",
        "name": "inventory",
        "problem": "ascend_cards_out is not a list of cards",
        "wanted": "[4, 6]",
        "found": "'4-6'",
        "where": "npu-1",
        "remedy": "mend it",
    }


def test_a_traceback_is_shown_by_its_end() -> None:
    said = 'Traceback (most recent call last):\n  File "/tmp/x.py", line 3, in <module>\nOSError: [Errno 5] I/O error\n'
    assert silence("n", said, True, "")["found"] == "OSError: [Errno 5] I/O error"
    assert silence("n", "@@@@@@@@@@@\nmux_client_request: x\nHost key verification failed.", False, "")["found"] == (
        "Host key verification failed."
    )
    assert len(silence("n", "x" * 100_000, True, "")["found"]) <= 300


def test_the_command_to_type_names_the_node_and_the_inventory() -> None:
    said = "ssh: connect to host 192.0.2.1 port 22: Connection refused"
    assert silence("npu-1", said, False, "-i inv")["remedy"].startswith("ansible npu-1 -i inv -m ping")


class Captured:
    """A module's exception as ansible-core 2.19 holds it."""

    class event:  # noqa: N801  (ansible's name)
        msg = "cannot import name x"


def test_the_nodes_own_words_come_first() -> None:
    result = {"msg": "MODULE FAILURE: see stdout", "module_stderr": "sudo: a password is required\n", "rc": 1}
    assert said_by(result).startswith("sudo: a password is required")
    assert said_by({"msg": "bad argument"}) == "bad argument"
    assert said_by({"exception": Captured()}) == "cannot import name x"
    assert said_by({}) == "no output"


def test_a_fleets_report_counts_its_nodes() -> None:
    silent = unchecked("b", "ssh: connect to host x port 22: Connection refused", False, {}, COMPONENTS, "")
    clean = {**silent, "name": "a", "state": "clean", "findings": []}
    report = fleet([silent, clean], RUN)
    assert [node["name"] for node in report["nodes"]] == ["a", "b"]
    assert report["counts"] == {
        "nodes": 2, "clean": 1, "drifted": 0, "unchecked": 1, "findings": 1,
        "by_component": {**dict.fromkeys(COMPONENTS, 0), "access": 1},
    }  # fmt: skip
    assert silent["components"] == {**dict.fromkeys(COMPONENTS, "unknown"), "access": "unchecked"}
    assert not report["partial"]
    assert fleet([], {**RUN, "components": ("access", "env")})["partial"]
    assert fleet([], {**RUN, "limit": "a"})["partial"]


@pytest.mark.parametrize(
    ("drifted", "unchecked", "accept", "code"),
    [(0, 0, False, 0), (1, 0, False, 2), (0, 1, False, 3), (1, 1, False, 3), (0, 1, True, 0), (1, 1, True, 2)],
)
def test_exit_codes(drifted: int, unchecked: int, accept: bool, code: int) -> None:
    assert exit_code({"drifted": drifted, "unchecked": unchecked}, accept) == code


def test_the_schema_names_the_planners_components_and_levels() -> None:
    schema = json.loads((ROOT / "docs" / "fleet.schema.json").read_text())
    assert tuple(schema["$defs"]["component"]["enum"]) == COMPONENTS
    assert set(schema["$defs"]["level"]["enum"]) == set(told.LEVELS)
