#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs to send 1 GB of the depot to a node through SSH, as ratios to ``scp`` of the same; nodes of the demo.

Other ways to do it are measured beside it: sftp, Ansible's copy, and rsync where both ends have it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from timing import BIN, INVENTORY, ROOT, Timed, in_turn

sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index

NODE = "ascend-sim-1"
FILE = "cann/bench/payload.run"
THERE = "/var/tmp/ascend-bench"
LIMIT = 1.3
PLACES = ("cann_root", "ascend_root", "cache_dir", "state_dir", "tmp_dir")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ascend-bench-") as name:
        folder = Path(name)
        size = arguments.megabytes * 1_000_000
        entry = payload(folder, size)
        reached = variables()
        ours = Timed(("ansible-playbook", play(folder, entry), *INVENTORY))
        others = copies(folder, reached)
        sent: list[float] = []
        for number in range(arguments.rounds + 1):
            for each in (ours, *others.values()):
                clear()
                in_turn(1, each, warm_up=False)
            if number:
                sent.append(size / float(re.findall(r"sent in [\d:]+ \(([\d.]+) MB/s\)", ours.output)[0]) / 1e6)
            else:
                for each in (ours, *others.values()):
                    each.seconds.clear()
        clear()
        report(statistics.median(sent), ours, others)


def payload(folder: Path, size: int) -> dict[str, Any]:
    """Make a depot of one file that nothing compresses; return its entry."""
    path = folder / "depot" / FILE
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        for _ in range(size // 1_000_000):
            stream.write(os.urandom(1_000_000))
    index = Index(folder / "depot")
    index.enter(FILE)
    index.save()
    return {"version": "1", "url": f"ssh:/{FILE}", **index["files"][FILE]}


def play(folder: Path, entry: dict[str, Any]) -> str:
    """Write a play that sends the file to the node, and takes it in; return its path."""
    nothing = {"url": "", "sha256": "", "size_bytes": 0}
    wanted = {**dict.fromkeys(("kernels", "python", "uv"), nothing), "toolkit": entry}
    wanted |= {"environment": {"source": {}}, "depot": {"transport": "ssh", "folder": str(folder / "depot")}}
    places = {name: f"{THERE}/{name}" for name in PLACES}
    task = {"name": "Send", "ascend.fleet.depot_files": {"wanted": wanted, "steps": ["toolkit"], **places}}
    path = folder / "play.yml"
    path.write_text(json.dumps([{"hosts": NODE, "gather_facts": False, "become": True, "tasks": [task]}]))
    return str(path)


def variables() -> dict[str, str]:
    """Return how Ansible reaches the node."""
    argv = [str(BIN / "ansible-inventory"), *INVENTORY, "--host", NODE]
    found: dict[str, str] = json.loads(subprocess.run(argv, cwd=ROOT, check=True, capture_output=True).stdout)
    return found


def copies(folder: Path, reached: dict[str, str]) -> dict[str, Timed]:
    """Return the other ways, by their names."""
    source, target = str(folder / "depot" / FILE), f"{reached['ansible_user']}@{reached['ansible_host']}"
    options = [*reached["ansible_ssh_common_args"].split(), "-i", reached["ansible_ssh_private_key_file"]]
    batch = folder / "batch"
    batch.write_text(f"put {source} {THERE}/file\n")
    program = {name: shutil.which(name) for name in ("scp", "sftp", "rsync")}
    ways = {
        "scp": Timed((str(program["scp"]), "-q", *options, source, f"{target}:{THERE}/file")),
        "sftp": Timed((str(program["sftp"]), "-q", *options, "-b", str(batch), target)),
        "ansible copy": Timed(
            ("ansible", NODE, *INVENTORY, "-m", "copy", "-a", f"src={source} dest={THERE}/file"),
        ),
    }
    there = subprocess.run(["ssh", *options, target, "which rsync"], check=False, capture_output=True)
    if program["rsync"] and not there.returncode:
        shell = " ".join(["ssh", *options])
        ways["rsync"] = Timed((str(program["rsync"]), "-q", "-e", shell, source, f"{target}:{THERE}/file"))
    return ways


def clear() -> None:
    """Leave nothing of the last one on the node, and have it written what it was given."""
    command = f"rm -rf {THERE}; mkdir -p {THERE}; sync"
    subprocess.run(
        [BIN / "ansible", NODE, *INVENTORY, "-m", "raw", "-a", command], cwd=ROOT, check=True, capture_output=True
    )


def report(sent: float, ours: Timed, others: dict[str, Timed]) -> None:
    base = others["scp"].median
    for name, each in others.items():
        print(f"{name:14} {each.median:6.2f} s  {each.median / base:.2f} times scp")
    print(f"{'sending alone':14} {sent:6.2f} s  {sent / base:.2f} times scp (limit {LIMIT})")
    print(
        f"{'the whole play':14} {ours.median:6.2f} s  {ours.median / base:.2f} times scp: its sum is read twice as well"
    )


if __name__ == "__main__":
    main()
