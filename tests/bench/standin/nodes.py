# SPDX-License-Identifier: Apache-2.0
"""Any number of nodes whose SSH answers at once, each as one real or simulated node did."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
RACK = 16


class StandIns:
    """A folder with what was recorded of one node, the program that says it, and an inventory for each size."""

    def __init__(self, folder: Path) -> None:
        self.answers = folder / "answers"
        self.program = folder / "ssh"
        self.folder = folder
        self.answers.mkdir(parents=True)

    @property
    def recording(self) -> dict[str, str]:
        """The environment in which Ansible's commands are recorded."""
        return {"ANSIBLE_SSH_EXECUTABLE": str(HERE / "record.py"), "ASCEND_BENCH_ANSWERS": str(self.answers)}

    @property
    def replaying(self) -> dict[str, str]:
        """The environment in which Ansible's commands are answered."""
        return {"ANSIBLE_SSH_EXECUTABLE": str(self.program)}

    def build(self) -> None:
        """Compile the program, to start as fast as one can."""
        define = f'-DANSWERS="{self.answers}"'
        source = HERE / "answer.c"
        subprocess.run(["gcc", "-O2", "-static", "-Wall", define, "-o", str(self.program), str(source)], check=True)

    def inventory(self, count: int) -> Path:
        """Write ``count`` nodes in racks of sixteen, with the simulated fleet's variables; return the inventory.

        The addresses are of the range for benchmarks (RFC 2544). Nothing is sent there.
        """
        names = [f"npu-{number:04d}" for number in range(1, count + 1)]
        hosts = {
            name: {"ansible_host": f"198.18.{number >> 8}.{number & 255}", "ansible_user": "root"}
            for number, name in enumerate(names, 1)
        }
        racks = {
            f"rack_{first // RACK + 1:02d}": {"hosts": dict.fromkeys(names[first : first + RACK])}
            for first in range(0, count, RACK)
        }
        folder = self.folder / f"inventory-{count}"
        folder.mkdir()
        written = yaml.safe_dump({"ascend": {"hosts": hosts, "children": racks}}, sort_keys=False)
        (folder / "hosts.yml").write_text(written, encoding="utf-8")
        shutil.copytree(ROOT / "inventory/sim/group_vars", folder / "group_vars")
        return Path(os.path.relpath(folder, ROOT))
