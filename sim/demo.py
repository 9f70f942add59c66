#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Show the main job on simulated nodes: bare nodes, ``site.yml``, what every card answers, a drift check.

``demo.py --nodes N`` can be run again at any time and keeps what exists. ``--release R`` installs another release than
the inventory's, ``demo.py down`` removes the nodes. Exit code: that of the first step that failed.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from image import CACHE

ROOT = Path(__file__).resolve().parent.parent
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
FLEET = [sys.executable, str(ROOT / "sim" / "fleet.py")]
ARCHITECTURE = "x86_64"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["up", "down"], default="up")
    parser.add_argument("--nodes", type=int, default=2, help="how many nodes (default 2)")
    parser.add_argument("--release", default="", help="a folder below releases/ (default: what the inventory says)")
    arguments = parser.parse_args()
    if arguments.action == "down":
        return run("Removing the simulated nodes", [*FLEET, "down"])
    chosen = ["-e", f"ascend_release={arguments.release}"] if arguments.release else []
    steps = steps_of(arguments.release, arguments.nodes, chosen)
    started = time.monotonic()
    for number, (what, step) in enumerate(steps, 1):
        print(f"\n==> [{number}/{len(steps)}] {what}  ({time.monotonic() - started:.0f} s)", flush=True)
        code = step()
        if code:
            print(f"demo: stopped: {what}: exit code {code}", file=sys.stderr)
            return code
    print(f"\nDone in {time.monotonic() - started:.0f} s. The nodes are still there; a second run finds nothing to do:")
    again = " ".join([".venv/bin/ansible-playbook site.yml -i inventory/sim", *chosen])
    print(f"{again}   (make demo-down removes them)")
    return 0


def steps_of(release: str, nodes: int, chosen: list[str]) -> list[tuple[str, Callable[[], int]]]:
    """Return what the demo does, in order; ``release`` is empty for the inventory's."""
    up = [*FLEET, "up", "--nodes", str(nodes)]
    first: list[tuple[str, Callable[[], int]]] = [
        ("Making the simulated CANN packages", lambda: packages(release)),
        ("Starting the simulated nodes", lambda: call(up)),
    ]
    if release:
        first.append((f"Giving the nodes the driver that {release} asks for", lambda: driver(release, nodes)))
    names = ("site.yml", "playbooks/verify.yml", "playbooks/drift.yml")
    plays = [[str(PLAYBOOK), name, "-i", "inventory/sim", *chosen] for name in names]
    return [*first, *((" ".join(["ansible-playbook", *play[1:]]), functools.partial(call, play)) for play in plays)]


def driver(release: str, nodes: int) -> int:
    """Set the simulated nodes' driver. On real ones that is the vendor's work."""
    wanted = described(release)["driver"]
    settings = [f"driver_version={wanted['minimum']}", f"firmware_version={wanted['firmware']}"]
    names = [f"ascend-sim-{number}" for number in range(1, nodes + 1)]
    return max(call([*FLEET, "exec", name, "ascend-sim", "set", *settings]) for name in names)


def default_release() -> str:
    """Return the release that nodes get by default."""
    defaults = yaml.safe_load((ROOT / "roles" / "ascend" / "defaults" / "main.yml").read_text(encoding="utf-8"))
    return str(defaults["ascend_release"])


def packages(release: str = "", architecture: str = ARCHITECTURE) -> int:
    """Build a release's CANN packages into the depot's incoming folder; ``release`` is the default one when empty.

    The stub libraries define what torch-npu asks CANN for: the very wheels of the simulated nodes' locks, of all
    releases with that CANN, so that the packages are the same whichever of these releases is asked for.
    """
    cann = described(release or default_release())["cann"]
    argv = [sys.executable, str(ROOT / "sim" / "cann" / "build.py"), "--version", cann["version"]]
    argv += ["--layout", cann.get("layout", "ascend-toolkit"), "--arch", architecture]
    for folder in sorted((ROOT / "releases").glob("*/release.yml")):
        name = folder.parent.name
        if described(name)["cann"]["version"] != cann["version"]:
            continue
        code, wheel = torch_npu(name, architecture)
        if code:
            return code
        argv += ["--torch-npu-wheel", str(wheel)]
    return call([*argv, "--output", str(CACHE / "incoming")])


def described(release: str) -> dict[str, Any]:
    """Return what release.yml says."""
    path = ROOT / "releases" / release / "release.yml"
    said: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return said


def torch_npu(name: str, architecture: str) -> tuple[int, Path]:
    """Fetch the torch-npu wheel of a release, once; return pip's exit code and the wheel's path."""
    release = described(name)
    own = ROOT / "releases" / name / release["locks"][architecture]
    adapted = ROOT / "sim" / "locks" / f"{name}-{architecture}.txt"
    lock = (adapted if adapted.is_file() else own).read_text(encoding="utf-8")
    entry = next(line for line in lock.replace("\\\n", "").splitlines() if line.startswith("torch-npu=="))
    version, series = entry.split()[0].partition("==")[2], release["python"]["series"]
    tag = "cp" + series.replace(".", "")
    wheels = CACHE / "torch-npu"
    pattern = f"torch_npu-{version}-{tag}-*_{architecture}.whl"
    if not list(wheels.glob(pattern)):
        wheels.mkdir(parents=True, exist_ok=True)
        wanted = wheels / f"{name}-{architecture}.txt"
        wanted.write_text(entry + "\n", encoding="utf-8")
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        argv += ["--python-version", series, "--implementation", "cp", "--abi", tag, "--require-hashes"]
        for glibc in ("manylinux2014", "manylinux_2_28"):
            argv += ["--platform", f"{glibc}_{architecture}"]
        argv += ["--dest", str(wheels), "--requirement", str(wanted)]
        code = call(argv)
        if code:
            return code, wheels
    return 0, next(wheels.glob(pattern))


def run(what: str, argv: list[str]) -> int:
    print(f"==> {what}", flush=True)
    return call(argv)


def call(argv: list[str]) -> int:
    return subprocess.run(argv, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
