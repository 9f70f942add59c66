# SPDX-License-Identifier: Apache-2.0
"""Two nodes with the real torch: copies of the one that the main job made, in a fleet of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.conftest import ROOT
from tests.playbook_run import Run

NAME = "ascend-e2e-rack"


class Rack:
    """The two nodes, and the playbook over them."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.out = state / "preflight"
        self.nodes = [f"{NAME}-1", f"{NAME}-2"]

    def sh(self, number: int, command: str, check: bool = True) -> str:
        argv = ["podman", "exec", self.nodes[number - 1], "bash", "-c", command]
        return subprocess.run(argv, check=check, capture_output=True, text=True, timeout=60).stdout

    def preflight(self, *arguments: str) -> Run:
        return self.playbook(
            "preflight", "-e", f"preflight_dir={self.out}", "-e", "preflight_paths=/data/model", *arguments
        )

    def playbook(self, name: str, *arguments: str) -> Run:
        argv = [str(Path(sys.executable).with_name("ansible-playbook")), f"playbooks/{name}.yml", "-i", "inventory/sim"]
        done = subprocess.run(
            [*argv, *arguments],
            cwd=ROOT,
            env={**os.environ, "ASCEND_SIM_STATE": str(self.state), "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        return Run(done.returncode, done.stdout + done.stderr)

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.out / "report.json").read_text(encoding="utf-8"))
        return report

    def failing(self) -> dict[str, list[str]]:
        """Node -> the names of its failures."""
        nodes = self.report()["nodes"]
        return {node["name"]: [each["name"] for each in node["failures"]] for node in nodes if node["failures"]}

    def interface(self, number: int, name: str) -> None:
        """Have the inventory say the node's interface."""
        file = self.state / "fleet.json"
        fleet = json.loads(file.read_text(encoding="utf-8"))
        fleet["nodes"][self.nodes[number - 1]]["vars"]["train_interface"] = name
        file.write_text(json.dumps(fleet), encoding="utf-8")
