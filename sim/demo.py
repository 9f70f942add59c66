#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Show the main job on simulated nodes: bare nodes, ``site.yml``, what every card answers, a drift check.

``demo.py --nodes N`` may be run again at any time: what is there is kept. ``demo.py down`` removes the nodes.
Exit code: that of the first step that failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascend-fleet"
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
# The stub libraries define what this very wheel asks CANN for: the same file as in sim/lock-x86_64.txt.
TORCH_NPU = "torch-npu==2.1.0.post3"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["up", "down"], default="up")
    parser.add_argument("--nodes", type=int, default=2, help="how many nodes (default 2)")
    arguments = parser.parse_args()
    fleet = [sys.executable, str(ROOT / "sim" / "fleet.py")]
    if arguments.action == "down":
        return run("Removing the simulated nodes", [*fleet, "down"])
    steps = [
        ("Making the simulated CANN packages", packages),
        (
            "Starting the simulated nodes",
            lambda: call([*fleet, "up", "--nodes", str(arguments.nodes), "--depot", depot()]),
        ),
        ("ansible-playbook site.yml -i inventory/sim", lambda: playbook("site.yml")),
        ("ansible-playbook playbooks/verify.yml -i inventory/sim", lambda: playbook("playbooks/verify.yml")),
        ("ansible-playbook playbooks/drift.yml -i inventory/sim", lambda: playbook("playbooks/drift.yml")),
    ]
    started = time.monotonic()
    for number, (what, step) in enumerate(steps, 1):
        print(f"\n==> [{number}/{len(steps)}] {what}  ({time.monotonic() - started:.0f} s)", flush=True)
        code = step()
        if code:
            print(f"demo: stopped: {what}: exit code {code}", file=sys.stderr)
            return code
    print(f"\nDone in {time.monotonic() - started:.0f} s. The nodes are still there; a second run finds nothing to do:")
    print(".venv/bin/ansible-playbook site.yml -i inventory/sim   (make demo-down removes them)")
    return 0


def depot() -> str:
    folder = CACHE / "depot"
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def packages() -> int:
    """Build the CANN packages into the depot's incoming folder, from the stub libraries that the real wheel needs."""
    wheels = CACHE / "torch-npu"
    if not list(wheels.glob("torch_npu-*.whl")):
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        fetch += ["--python-version", "3.10", "--implementation", "cp", "--abi", "cp310"]
        fetch += ["--platform", "manylinux2014_x86_64", "--dest", str(wheels), TORCH_NPU]
        code = call(fetch)
        if code:
            return code
    wheel = next(iter(wheels.glob("torch_npu-*.whl")))
    build = [sys.executable, str(ROOT / "sim" / "cann" / "build.py")]
    return call([*build, "--output", str(CACHE / "incoming"), "--torch-npu-wheel", str(wheel)])


def playbook(name: str) -> int:
    return call([str(PLAYBOOK), name, "-i", "inventory/sim"])


def run(what: str, argv: list[str]) -> int:
    print(f"==> {what}", flush=True)
    return call(argv)


def call(argv: list[str]) -> int:
    return subprocess.run(argv, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
