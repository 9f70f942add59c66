# SPDX-License-Identifier: Apache-2.0
"""Every remedy that a report can show begins with a program whose machine is known, or is a sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.symptom_table import TABLE
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.silence_reasons import (
    CRASHED,
    REASONS,
    UNREACHABLE,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.remedies import on_words, placed, run_on
from tests.contract.tree import ROOT

# What reports show comes from these: nodes, the planner, the depot, drift and preflight.
SOURCES = ("ascend", "ascend_control/plan", "ascend_control/drift", "ascend_control/rack", "ascend_control/depot")
# The first words of sentences, options and settings: nothing is typed, or not as a command of its own.
NO_PROGRAM = frozenset(
    """-e ascend_rt_visible_devices ask build call choose correct depot_transport: do does download fill give install
    leave log look move name nothing nothing: playbooks/rollback.yml playbooks/train_status.yml point put read remove
    run sessions set start the upgrade use wait was write""".split()  # noqa: SIM905  (read as words)
)
POSITIONS = {"finding": 6, "refusal": 5, "failure": 5, "AscendError": 4}


def text_of(node: ast.AST) -> str:
    """Return the literal text of an expression, with {} for what is computed."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return text_of(node.left)
    return "{}"


def _names(node: ast.keyword | ast.Assign) -> list[str | None]:
    return [node.arg] if isinstance(node, ast.keyword) else [ast.unparse(to) for to in node.targets]


def written(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions that are a remedy: of that name, or in its place among a maker's arguments."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.keyword, ast.Assign)) and "remedy" in _names(node):
            yield node.value
        elif isinstance(node, ast.Call):
            at = POSITIONS.get(ast.unparse(node.func).rpartition(".")[2])
            yield from node.args[at : at + 1] if at else []


def remedies() -> Iterator[tuple[str, str]]:
    """Yield where a remedy is written, and its text; what begins with something computed says nothing here."""
    for row in TABLE:
        yield f"symptom {row.name}", row.remedy
    for reason in (*REASONS, UNREACHABLE, CRASHED):
        yield f"silence {reason.name}", reason.remedy
    for folder in SOURCES:
        for path in sorted((ROOT / "module_utils" / folder).rglob("*.py")):
            for node in written(ast.parse(path.read_text(encoding="utf-8"))):
                choices = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
                for text in map(text_of, choices):
                    if text and not text.startswith(("{}", "%")):
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", text


ALL = list(remedies())


def commands(remedy: str) -> list[str]:
    """Return what the shell would run one after the other, without the comment."""
    return re.split(r";|&&|\|\|", re.sub(r"'[^']*'|\$\([^)]*\)", "X", re.split(r"\s#\s", remedy)[0]))


def test_there_are_many() -> None:
    assert len(ALL) > 250
    assert {run_on(remedy, "npu-1") for _, remedy in ALL} == {"node", "control", ""}


def test_each_begins_with_a_program_or_is_a_sentence() -> None:
    odd = {
        place: remedy
        for place, remedy in ALL
        if not run_on(remedy, "npu-1") and remedy.split()[0].lower() not in NO_PROGRAM
    }
    assert odd == {}, "a program that plan/remedies.py does not know, or a sentence that NO_PROGRAM does not"
    both = {word for word in NO_PROGRAM if run_on(word, "npu-1")}
    assert both == set(), "these are words and programs: begin the sentence otherwise"


def test_what_begins_with_make_is_a_target() -> None:
    targets = re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    asked = {place: remedy.split()[1] for place, remedy in ALL if remedy.split()[0] == "make"}
    assert {place: word for place, word in asked.items() if word not in targets} == {}


def test_what_begins_with_an_english_word_is_the_program_of_that_name() -> None:
    english = {"find", "free", "head", "less", "mount", "source"}
    begun = {place: remedy.split()[:2] for place, remedy in ALL if remedy.split()[0] in english}
    assert {place: words for place, words in begun.items() if not re.match(r"[-/{%]", words[1])} == {}


def test_one_remedy_is_typed_on_one_machine() -> None:
    """What the node of the first command cannot do, such as ansible-playbook, stands in the comment."""
    mixed = {
        place: remedy
        for place, remedy in ALL
        if run_on(remedy, "npu-1") == "node"
        if any(run_on(command, "npu-1") == "control" for command in commands(remedy)) or " inventory/" in remedy
        if "/depot/" not in place  # those are the control node's
    }
    assert mixed == {}


@pytest.mark.parametrize(
    ("remedy", "node", "where"),
    [
        ("npu-smi info", "npu-1", "node"),
        ("timedatectl; systemctl restart chronyd", "npu-1", "node"),
        ("/usr/local/bin/ascend-env python -c 'import torch'", "npu-1", "node"),
        ("LD_PRELOAD=/x.so COMMAND", "npu-1", "node"),
        ("ANSIBLE_FORKS=5 ansible npu-1 -m ping", "npu-1", "control"),
        ("ansible-playbook site.yml --limit npu-1", "npu-1", "control"),
        ("ssh-keygen -y -f KEY", "npu-1", "control"),
        ("make depot-check", "npu-1", "control"),
        ("df -h /srv/depot", "control node", "control"),
        ("jq -r .nodes x.json", "the fleet", "control"),
        ("install Ascend HDK 24.1.rc1, reboot", "npu-1", ""),
        ("-e ascend_driver_policy=warn", "npu-1", ""),
        ("see https://example.org/df", "npu-1", ""),
        ("wait for it to end", "control node", ""),
        ("", "npu-1", ""),
    ],
)
def test_where_a_remedy_is_typed(remedy: str, node: str, where: str) -> None:
    assert run_on(remedy, node) == where


def test_the_words_before_a_command() -> None:
    assert on_words("node", ["npu-003"]) == "on npu-003"
    assert on_words("node", ["a", "b"], 2) == "on each node"
    assert on_words("control", ["a", "b"], 2) == "on the control node"
    assert on_words("", ["a"]) == ""
    assert placed("npu-smi info", "npu-003") == "on npu-003: npu-smi info"
    assert placed("ansible npu-003 -m ping", "npu-003") == "ansible npu-003 -m ping"
