# SPDX-License-Identifier: Apache-2.0
"""AGENTS.md and docs/doctor.md: each command, path, variable and exit code that they name is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from ansible.cli import CLI
from ansible.cli.adhoc import AdHocCLI
from ansible.cli.inventory import InventoryCLI
from ansible.cli.playbook import PlaybookCLI
from ansible.executor.task_queue_manager import TaskQueueManager

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.doctor import verdicts
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import fleet
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.inventory.values import specs
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.rack import report as rack
from tests.contract.tree import ROOT, yaml_files

AGENTS = ROOT / "AGENTS.md"
PAGES = [AGENTS, ROOT / "docs" / "doctor.md"]
MOST_LINES = 90
PLAYBOOKS = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
PROGRAMS: dict[str, type[CLI]] = {
    "ansible-playbook": PlaybookCLI,
    "ansible-inventory": InventoryCLI,
    "ansible": AdHocCLI,
}
# What a run makes, below the folder in which it is started, and what is written into that.
MADE = ("doctor/", "reports/", "verify/", "preflight/", "enroll/", "report.json", "ascend-fleet/")
OF_NODES = ("/opt/ascend", "/var/lib/ascend-fleet", "/usr/local/Ascend")
_PREFIXES = "ascend|cann|depot|doctor|drift|enroll|nightly|notify|preflight|remove|rollback|rollout|serve|train|verify"
VARIABLES = rf"\b(?:{_PREFIXES})_[a-z_]+\b"


def commands(text: str) -> Iterator[str]:
    """Every command of a block or between backquotes; what stands behind a # is a comment."""
    blocks = re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    yield from (line.strip() for line in lines if re.match(r"(\.\.\. )?(ansible(-\w+)? |make )", line.strip()))


def wrong(command: str) -> str:
    """What is wrong with a command, by the program's own parser; "" where nothing is."""
    for part in re.split(r" && | \| ", command):
        words = shlex.split(part, comments=True)
        if words[0] == "make":
            targets = re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            if not set(words[1:]) <= set(targets):
                return f"no such target: {part}"
        if words[0] not in PROGRAMS:
            continue
        program = PROGRAMS[words[0]](words)
        program.init_parser()
        try:
            given = program.parser.parse_args(words[1:])
        except SystemExit:
            return f"no such option: {part}"
        for playbook in getattr(given, "args", []) if words[0] == "ansible-playbook" else []:
            if not (ROOT / playbook).is_file():
                return f"no such playbook: {playbook}"
        unknown = {word.partition("=")[0] for word in given.extra_vars or []} - specs().keys()
        if words[0] == "ansible-playbook" and unknown:
            return f"no such variable: {unknown}"
    return ""


def paths(text: str) -> Iterator[str]:
    """What is named as a path: the targets of links, and words with a slash or an ending between backquotes."""
    yield from (target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text))
    yield from re.findall(r"`([\w./@-]*(?:/[\w.-]+|\.(?:md|yml|json|cfg)))`", text)


def missing(text: str, page: Path) -> list[str]:
    named = {path for path in paths(text) if path and not path.startswith(("http", *MADE, *OF_NODES))}
    places = (page.parent, ROOT, ROOT / "playbooks")
    return sorted(path for path in named if not any((place / path).exists() for place in places))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_one(page: Path) -> None:
    found = list(commands(page.read_text(encoding="utf-8")))
    assert len(found) > 2
    assert [fault for fault in map(wrong, found) if fault] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_and_variable_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert missing(text, page) == []
    parts = PLAYBOOKS | {"ascend_facts", "drift_helper"}
    assert set(re.findall(VARIABLES, text)) - specs().keys() - parts == set()


def test_links_within_a_page_lead_to_a_heading() -> None:
    for page in PAGES:
        for path, heading in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", page.read_text(encoding="utf-8")):
            target = page.parent / path if path else page
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, (
                page,
                heading,
            )


def cells(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose heading begins so."""
    (table,) = re.findall(rf"^\| {re.escape(first)}.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]


def test_every_playbook_is_in_one_row_of_what_changes_what() -> None:
    rows = cells(AGENTS.read_text(encoding="utf-8"), "|")
    named = [word for row in rows for word in re.findall(r"`([a-z_]+)`", row[1]) if word in PLAYBOOKS | {"site"}]
    assert sorted(set(named)) == sorted(PLAYBOOKS)
    assert {name for name in named if named.count(name) > 1} == {"remove"}, "with --check it changes nothing"


def test_exit_codes_are_those_of_the_code() -> None:
    rows = {row[0]: {code for code, cell in enumerate(row[1:]) if cell} for row in cells(AGENTS.read_text(), "command")}
    bad = list(product((0, 1), repeat=3))
    tests = [dict(zip((verdicts.BROKEN, verdicts.UNCHECKED, verdicts.ATTENTION), each, strict=True)) for each in bad]
    doctor = {verdicts.exit_code(counts, []) for counts in tests} | {
        verdicts.exit_code(dict.fromkeys(tests[0], 0), [{}])
    }
    drift = {fleet.exit_code({"drifted": drifted, "unchecked": away}, False, []) for drifted, away, _ in bad}
    ansible = {TaskQueueManager.RUN_OK, TaskQueueManager.RUN_FAILED_HOSTS, TaskQueueManager.RUN_UNREACHABLE_HOSTS}
    assert rows == {
        "`playbooks/doctor.yml`": doctor,
        "`playbooks/drift.yml`, `playbooks/merge.yml`": drift,
        "`playbooks/preflight.yml`": {rack.exit_code({"counts": {rack.FAIL: count}}) for count in (0, 1)},
        "`playbooks/enroll.yml`, `playbooks/ssh_certificates.yml`": {0, 2},
        "`site.yml` and all others": ansible,
    }
    # Those that fail by their report's code; every other one has Ansible's.
    texts = {path.stem: path.read_text() for path in yaml_files("playbooks")}
    assert {name for name, text in texts.items() if "_report.exit_code" in text} == {
        *("doctor", "enroll", "preflight", "ssh_certificates", "tell")
    }
    assert {name for name, text in texts.items() if "tasks/tell.yml" in text} == {"drift", "merge"}
    assert {name for name, text in texts.items() if "inventory_exit_code: 3" in text} == {"drift", "merge"}


def test_it_is_short() -> None:
    assert len(AGENTS.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize(
    "command",
    [
        "ansible-playbook playbooks/doktor.yml",
        "ansible-playbook site.yml --chek",
        "ansible-playbook site.yml -e ascend_relaese=1",
        "make .venv/instaled && ansible-playbook site.yml",
    ],
)
def test_a_command_that_is_none_is_seen(command: str) -> None:
    assert wrong(command)


def test_a_path_that_is_none_is_seen() -> None:
    assert missing("[a](docs/nosuch.md), `playbooks/nosuch.yml`, `docs/drift.md`", AGENTS) == [
        "docs/nosuch.md",
        "playbooks/nosuch.yml",
    ]
