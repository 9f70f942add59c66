# SPDX-License-Identifier: Apache-2.0
"""What playbooks show of a plan: ``make plan`` a table, ``site.yml --check --diff`` the plan before all else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contract.test_between_nodes import Rack
from tests.contract.tree import ROOT, modules

pytestmark = pytest.mark.slow


def test_make_plan_shows_a_table_and_refusals_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASCEND_FLEET_VIEW", "plan")
    rack = Rack(tmp_path, **{"npu-1": "24.1.rc1", "npu-2": "24.1.rc1", "npu-3": "22.0.1"})
    done = rack.playbook("plan.yml", "--check", "-e", f"ascend_depot_dir={tmp_path}/none")
    shown = done.stdout
    assert done.returncode == 2, shown + done.stderr
    assert shown.startswith("+-"), shown
    assert "| NODES " in shown
    assert "| 2 nodes (npu-1, npu-2)" in shown
    assert shown.count("found:  22.0.1\n") == 1
    assert "the fleet: warning: nodes with CANN 8.0.RC1 have different drivers" in shown
    assert [words for words in ("TASK [", "fatal: ", "PLAY RECAP", "\x1b") if words in shown] == []


@pytest.mark.whole
def test_check_begins_with_the_plan_and_counts_what_the_depot_lacks(tmp_path: Path) -> None:
    rack = Rack(tmp_path, **{"npu-1": "24.1.rc1"})
    linked = tmp_path / "ansible_collections" / "ascend" / "fleet" / "plugins" / "modules"
    for module in modules():
        if module.stem != "ascend_facts":
            (linked / module.name).symlink_to(ROOT / "library" / module.name)
    options = ("--check", "--diff", "-e", f"ascend_depot_dir={tmp_path}/none")
    shown = rack.playbook("site.yml", *options).stdout
    before, _, after = shown.partition("1. python ")
    assert [line for line in before.splitlines() if line.startswith(("+", "---"))] == []
    assert "+Python 3.10: complete" in after, "the nodes' own diffs"
    (count,) = re.findall(r"^The depot lacks (\d+) files", after.partition("PLAY RECAP")[0], re.MULTILINE)
    assert int(count) > 100
    in_full = rack.playbook("site.yml", *options, "-v").stdout.partition("1. python ")[0]
    assert sum(line.startswith("+") for line in in_full.splitlines()) >= int(count)
