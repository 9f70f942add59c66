# SPDX-License-Identifier: Apache-2.0
"""Every command that a page shows could be typed: playbooks, targets, scripts, flags, variables and hosts exist."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.contract import commands
from tests.contract.tree import ROOT, committed

PAGES = [
    path
    for path in committed()
    if path.suffix == ".md" and path.name != "CHANGELOG.md" and path.parent != ROOT / "roles"
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_can_be_typed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [problem for line in commands.shown(text) for problem in commands.problems(line)] == []
    assert commands.misspelt(text) == []


def test_bash_reads_the_commands_of_all_pages() -> None:
    lines = [line for page in PAGES for line in commands.shown(page.read_text(encoding="utf-8"))]
    done = subprocess.run(["bash", "-n"], input="\n".join(lines), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert len(lines) > 300


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ansible-playbook sitte.yml -i inventory/prod", "no playbook sitte.yml"),
        ("ansible-playbook ascend.fleet.drfit", "no playbook ascend.fleet.drfit"),
        ("ansible-playbook site.yml -i inventory/prd", "no inventory/prd"),
        ("ansible-playbook site.yml -e ascend_relase=9.0.0", "no variable ascend_relase"),
        ('ansible-playbook site.yml -e \'{"cann_accept_eula": "maybe"}\'', "cann_accept_eula"),
        ("ansible-playbook site.yml -e cann_cross=besides", "cann_cross"),
        ("ansible-playbook site.yml --chek", "--chek"),
        ("ansible-playbook site.yml --tags stag", "no tag stag"),
        ("ansible-playbook site.yml --limit 'npu 001'", "'npu 001' is no pattern"),
        ("cd ~/my-fleet && ansible-playbook ascend.fleet.sit", "no playbook"),
        ("ansible-playbok site.yml", "no program ansible-playbok"),
        ("ansible npu-001 -m ascend.fleet.ascend_fact", "no module"),
        ("ansible npu-001 -m pong", "no module pong"),
        ("ansible npu-001 -m ascend.fleet.ascend_facts -a gather_subsets=npu", "no option gather_subsets"),
        ("ansible-doc -t role ascend.fleet.verfy", "nothing named verfy"),
        ("ansible-galaxy collection biuld", "biuld"),
        ("ansible-runner run . -p ascend.fleet.drft", "no playbook"),
        ("make demoo", "no target demoo"),
        ("make demo NODE=4", "takes no NODE"),
        ("scripts/audit.py --servce osv", "no --servce"),
        ("python3 sim/flet.py up", "no sim/flet.py"),
        ("pytest tests/units", "no tests/units"),
        ("ascend-env --example", "no --example"),
        ("ascend-env llamafactory-cli train examples/tiny/none.yaml", "brings examples/tiny/none.yaml"),
    ],
)
def test_a_planted_misspelling_is_seen(line: str, problem: str) -> None:
    (shown,) = commands.shown(f"# Page\n\n```\n{line}   # why\n```\n")
    assert any(problem in each for each in commands.problems(shown)), commands.problems(shown)


def test_a_misspelt_variable_in_the_text_is_seen() -> None:
    text = "`ascend_relase: 9.0.0`, `cann_acept_eula`, `ascend_room`"
    meant = ["ascend_relase: ascend_release is meant", "cann_acept_eula: cann_accept_eula is meant"]
    assert commands.misspelt(text) == meant


def test_output_is_no_command() -> None:
    text = "```\nansible-playbook [core 2.19.14]\nTASK [make it so] ***\n  next: ansible-playbok\n```\n"
    assert list(commands.shown(text)) == []
