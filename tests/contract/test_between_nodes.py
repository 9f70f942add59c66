# SPDX-License-Identifier: Apache-2.0
"""The playbooks compare nodes with each other: Ansible runs them over nodes whose facts are given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.facts import SCHEMA
from tests import stand_in
from tests.contract.tree import ROOT
from tests.unit.plan.planner_nodes import bare

# In place of ascend_facts: a module that answers what lies in the node's state folder.
MODULE = """#!/bin/sh
# WANT_JSON
cat "$(sed 's/.*"state_dir": *"\\([^"]*\\)".*/\\1/' "$1")/answer.json"
"""
PROBLEM = "nodes with CANN 8.0.RC1 have different drivers, and HCCL hangs between them"


class Rack:
    """Nodes with these drivers, "" where npu-smi is silent."""

    def __init__(self, folder: Path, **drivers: str) -> None:
        self.folder = folder
        top = stand_in.collection(folder, "plugins/modules")
        (top / "plugins" / "modules" / "ascend_facts.sh").write_text(MODULE)
        hosts = {name: self._node(folder / name, driver) for name, driver in drivers.items()}
        local: dict[str, Any] = {
            "ansible_connection": "local",
            "ansible_user": "root",
            "ansible_python_interpreter": sys.executable,
        }
        local |= {"cann_accept_eula": True}
        inventory = {"ascend": {"hosts": hosts, "vars": {**local, "ascend_depot_dir": str(folder)}}}
        (folder / "hosts.json").write_text(json.dumps(inventory))

    def _node(self, state: Path, driver: str) -> dict[str, str]:
        found = {**bare(), "schema": SCHEMA}
        found["npu"] = {**found["npu"], "answered": bool(driver), "driver_version": driver or None}
        state.mkdir()
        (state / "answer.json").write_text(json.dumps({"changed": False, "ansible_facts": {"ascend": found}}))
        return {"ascend_state_dir": str(state)}

    def playbook(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("ansible-playbook")
        argv = [str(program), "-i", f"{self.folder}/hosts.json", f"{ROOT}/playbooks/{name}", *options]
        return subprocess.run(
            [*argv, "-e", f"drift_dir={self.folder}/reports"],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(self.folder), "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def report(self) -> Any:
        return json.loads((self.folder / "reports" / "latest" / "fleet.json").read_text())


def test_every_node_that_answers_is_compared_also_one_that_is_refused(tmp_path: Path) -> None:
    rack = Rack(tmp_path, **{"npu-1": "24.1.rc1", "npu-2": "24.1.rc1", "npu-3": "22.0.1", "npu-4": ""})
    planned = rack.playbook("plan.yml", "--check")
    assert planned.stdout.count(f"the fleet: warning: {PROBLEM} (24.1.rc1 on 2 nodes, 22.0.1 on 1 node (npu-3)") == 1
    assert "npu-smi info of 3 nodes; 1 node did not answer" in planned.stdout
    assert "peer" not in planned.stdout, "it is for the comparison"
    checked = rack.playbook("drift.yml")
    shown = " ".join(checked.stdout.split())
    assert f"The fleet: {PROBLEM}: 24.1.rc1 on 2 nodes, 22.0.1 on 1 node (npu-3)" in shown, checked.stderr[-3000:]
    between = rack.report()["between"]
    assert checked.returncode == 2
    assert (between["compared"], [each["name"] for each in between["findings"]]) == (3, ["drivers-differ"])


@pytest.mark.parametrize("limit", ["npu-1", "npu-1,npu-2"])
def test_a_limit_compares_with_nobody_else(tmp_path: Path, limit: str) -> None:
    rack = Rack(tmp_path, **{"npu-1": "24.1.rc1", "npu-2": "24.1.rc1", "npu-3": "25.0.rc1"})
    scope = "between 2 nodes" if "," in limit else "with no other node"
    planned = rack.playbook("plan.yml", "--limit", limit, "--check")
    assert "different drivers" not in planned.stdout
    assert f"--limit {limit}: drivers compared {scope}" in planned.stdout, planned.stdout[-3000:]
    checked = rack.playbook("drift.yml", "--limit", limit)
    assert f"Partial: --limit {limit}; drivers compared {scope}." in checked.stdout
    assert rack.report()["between"] == {"compared": limit.count("npu"), "findings": [], "remarks": []}
