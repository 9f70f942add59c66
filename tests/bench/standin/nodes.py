# SPDX-License-Identifier: Apache-2.0
"""Any number of nodes whose SSH answers at once, each as one real or simulated node did.

A node that stays as it is answers a module the same whenever it is asked. One that is changed does not: there each node
answers in the order in which the recorded one did (``in_turn``).
"""

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

    def __init__(self, folder: Path, answers: Path | None = None, in_turn: bool = False) -> None:
        self.answers = answers or folder / "answers"
        self.program = folder / "ssh"
        self.folder = folder
        self.turns = folder / "turns" if in_turn else None
        folder.mkdir(parents=True, exist_ok=True)
        self.answers.mkdir(parents=True, exist_ok=True)

    @property
    def recording(self) -> dict[str, str]:
        """The environment in which Ansible's commands are recorded."""
        recorder = {"ANSIBLE_SSH_EXECUTABLE": str(HERE / "record.py"), "ASCEND_BENCH_ANSWERS": str(self.answers)}
        return {**recorder, **self._counted}

    @property
    def replaying(self) -> dict[str, str]:
        """The environment in which Ansible's commands are answered."""
        return {"ANSIBLE_SSH_EXECUTABLE": str(self.program), **self._counted}

    @property
    def _counted(self) -> dict[str, str]:
        # Ansible would send files by sftp, which is another program.
        return {"ASCEND_BENCH_TURNS": str(self.turns), "ANSIBLE_SSH_TRANSFER_METHOD": "piped"} if self.turns else {}

    def begin(self) -> None:
        """Let the nodes be as the recorded one was at first."""
        assert self.turns
        shutil.rmtree(self.turns, ignore_errors=True)
        self.turns.mkdir()

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
