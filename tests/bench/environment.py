#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What building an environment costs on a node beside ``uv pip sync`` alone: the same real wheels, an empty place, an
empty cache of uv, byte code compiled, all of it on the disk at the end.

A simulated node is installed with the demo's depot, sent through SSH. Then, in turn, module python_env and uv build
another environment from the wheels in the node's cache. Of both a play that does nothing is taken off.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from timing import ROOT, Timed, in_turn

FLEET = "ascend-bench-environment"
NODE = f"{FLEET}-1"
TARGET = "/opt/ascend/env/bench"
LIMIT = 1.2
# As environment/build.py starts it: with a cache beside the environment, so that files are linked.
ALONE = """set -e
mkdir -p {building}
export HOME={building} TMPDIR={building} UV_CACHE_DIR={building}/cache
export UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 PATH={python_bin}:/usr/local/bin:/usr/bin:/bin
{uv} venv --quiet --python {python} {target}
{uv} pip sync --quiet --python {target}/bin/python --require-hashes --no-index --find-links {wheelhouse} \\
  --link-mode hardlink {compiled} {lock}
sync --file-system {target}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--state", type=Path, help="of a node that was installed before and is kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ascend-bench-") as name:
        state = arguments.state or Path(name) / "state"
        fleet(state, "up", "--nodes", "1")
        try:
            measure(Path(name), {"ASCEND_SIM_STATE": str(state.resolve())}, arguments.rounds)
        finally:
            if not arguments.state:
                fleet(state, "down")


def fleet(state: Path, *words: str) -> None:
    argv = [sys.executable, str(ROOT / "sim/fleet.py"), "--name", FLEET, "--state", str(state), *words]
    subprocess.run(argv, check=True)


def measure(folder: Path, environment: dict[str, str], rounds: int) -> None:
    Timed(("ansible-playbook", "site.yml", "-i", "inventory/sim"), environment).run()
    wanted = plan(folder, environment)

    def timed(name: str, *tasks: dict[str, Any]) -> Timed:
        return Timed(("ansible-playbook", play(folder / f"{name}.yml", *tasks), "-i", "inventory/sim"), environment)

    nothing = timed("nothing", {"ansible.builtin.ping": {}})
    ways = {
        "python_env": timed("ours", {"ascend.fleet.python_env": module(wanted)}),
        "uv pip sync": timed("alone", {"ansible.builtin.shell": alone(wanted, "--compile-bytecode")}),
        "the same, no byte code": timed("plain", {"ansible.builtin.shell": alone(wanted, "")}),
    }
    lock = {"ansible.builtin.copy": {"src": wanted["environment"]["lock_file"], "dest": "/var/tmp/ascend-bench.txt"}}
    clear = {"ansible.builtin.shell": f"rm -rf {TARGET} {building()} && sync"}
    cleared = timed("clear", lock, clear)
    for number in range(rounds + 1):
        for way in (nothing, *ways.values()):
            cleared.run()
            in_turn(1, way, warm_up=False)
            if not number:
                way.seconds.clear()
    report(ways, nothing.median)


def plan(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Return what the node should have, as site.yml knows it."""
    path = folder / "wanted.json"
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.import_role": {"name": "ascend.fleet.ascend"}},
        {"ansible.builtin.import_role": {"name": "ascend.fleet.preflight"}},
        {
            "ansible.builtin.copy": {"content": "{{ preflight_node.wanted | to_json }}", "dest": str(path)},
            "delegate_to": "localhost",
        },
    ]
    Timed(("ansible-playbook", play(folder / "plan.yml", *tasks), "-i", "inventory/sim"), environment).run()
    wanted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return wanted


def play(path: Path, *tasks: dict[str, Any]) -> str:
    """Write a play with these tasks; return its path."""
    path.write_text(json.dumps([{"hosts": NODE, "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    return str(path)


def building() -> str:
    """Return the folder that python_env works in beside the environment."""
    place, _, name = TARGET.rpartition("/")
    return f"{place}/.building-{name}"


def module(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the module's options: as the role torch_npu has them, but for the place."""
    environment, uv = wanted["environment"], wanted["uv"]
    return {
        "path": TARGET,
        "release": wanted["release"],
        "python": wanted["python"]["program"],
        "cann_home": environment["cann_home"],
        "lock": Path(environment["lock_file"]).read_text(encoding="utf-8"),
        "lock_digest": environment["lock_digest"],
        "wheelhouse": environment["wheelhouse"],
        **{f"uv_{key}": uv[key] for key in ("url", "sha256", "size_bytes")},
    }


def alone(wanted: dict[str, Any], compiled: str) -> str:
    python = wanted["python"]
    return ALONE.format(
        building=building(),
        target=TARGET,
        python=python["program"],
        python_bin=python["bin"],
        uv=f"/var/cache/ascend-fleet/{wanted['uv']['sha256'][:16]}/{Path(wanted['uv']['url']).name}",
        wheelhouse=wanted["environment"]["wheelhouse"],
        lock="/var/tmp/ascend-bench.txt",
        compiled=compiled,
    )


def report(ways: dict[str, Timed], nothing: float) -> None:
    base = ways["uv pip sync"].median - nothing
    for name, way in ways.items():
        seconds = way.median - nothing
        print(
            f"{name:22} {seconds:6.2f} s  {seconds / base:.2f} times"
            + (f" (limit {LIMIT})" if way is ways["python_env"] else "")
        )


if __name__ == "__main__":
    main()
