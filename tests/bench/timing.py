# SPDX-License-Identifier: Apache-2.0
"""Commands of the virtual environment, timed in turn, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
INVENTORY = ("-i", "inventory/sim")
SAMPLE_S = 0.5


@dataclass
class Timed:
    """A command, its runs in seconds of wall time and of CPU time, and what the last one printed.

    CPU time is that of all its processes, but for those that outlive it: SSH connections that stay open.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[int, ...] = (0,)
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    output: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def cpu_median(self) -> float:
        return statistics.median(self.cpu_seconds)

    def run(self) -> None:
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", **self.environment}
        begin, cpu = time.monotonic(), _cpu_of_children()
        done = subprocess.run(
            [BIN / self.argv[0], *self.argv[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        self.seconds.append(time.monotonic() - begin)
        self.cpu_seconds.append(_cpu_of_children() - cpu)
        self.output = done.stdout
        if done.returncode not in self.codes:
            told = f"bench: {' '.join(self.argv)}: exit code {done.returncode}; are the nodes up? make demo"
            sys.exit(f"{told}\n{done.stdout}{done.stderr}")


def in_turn(rounds: int, *commands: Timed, warm_up: bool = True) -> None:
    """Run the commands in turn, after one round that does not count."""
    for number in range(0 if warm_up else 1, rounds + 1):
        print(f"round {number} of {rounds}" if number else "warming up", flush=True)
        for command in commands:
            command.run()
    for command in commands if warm_up else ():
        del command.seconds[0]
        del command.cpu_seconds[0]


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Memory:
    """What this process' descendants hold at most, in MB (1048576 bytes), looked at twice a second while it is entered.

    ``process_mb`` is the largest process, ``all_mb`` all of them, in which memory that they share counts once.
    Looking costs time of its own: a run is timed without it.
    """

    def __init__(self) -> None:
        self.process_mb = self.all_mb = 0
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look)

    def __enter__(self) -> Memory:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._done.wait(SAMPLE_S):
            sizes = [_memory_kb(process) for process in _descendants(os.getpid())]
            self.process_mb = max(self.process_mb, *(own // 1024 for own, _ in sizes), 0)
            self.all_mb = max(self.all_mb, sum(share for _, share in sizes) // 1024)


def _memory_kb(process: int) -> tuple[int, int]:
    """Return a process' resident memory and its share of it; zeros for one that has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
        return sizes["Rss"], sizes["Pss"]
    return 0, 0


def _descendants(process: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name, in brackets, may hold spaces.
            parent = int((folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    waiting = [process]
    while waiting:
        below = children.get(waiting.pop(), [])
        yield from below
        waiting += below
