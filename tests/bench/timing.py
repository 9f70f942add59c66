# SPDX-License-Identifier: Apache-2.0
"""Commands of the virtual environment, timed in turn, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
INVENTORY = ("-i", "inventory/sim")


@dataclass
class Timed:
    """A command, its runs in seconds, and what the last one printed."""

    argv: tuple[str, ...]
    seconds: list[float] = field(default_factory=list)
    output: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def run(self) -> None:
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
        begin = time.monotonic()
        done = subprocess.run(
            [BIN / self.argv[0], *self.argv[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        self.seconds.append(time.monotonic() - begin)
        self.output = done.stdout
        if done.returncode:
            command = " ".join(self.argv)
            sys.exit(f"bench: {command}: exit code {done.returncode}; are the nodes up? make demo\n{done.stdout}")


def in_turn(rounds: int, *commands: Timed) -> None:
    """Run the commands in turn, after one round that does not count."""
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}" if number else "warming up", flush=True)
        for command in commands:
            command.run()
    for command in commands:
        del command.seconds[0]
