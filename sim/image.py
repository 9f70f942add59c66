# SPDX-License-Identifier: Apache-2.0
"""The image of a simulated node: Debian 12 with sshd and Python, and the stand-ins for the NPU's tools."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODE = ROOT / "sim" / "node"
REPOSITORY = "localhost/ascend-sim-node"
SUITE = "bookworm"


def say(text: str) -> None:
    print(f"    {text}", flush=True)


def run_podman(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run podman, however it ends."""
    # runc, because crun needs a cgroup layout that hosts without systemd do not have.
    argv = [*as_root(), "podman", "--runtime", "runc", *arguments]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def podman(*arguments: str) -> str:
    """Run podman and return its output; stop the program with podman's words when it fails."""
    done = run_podman(*arguments)
    if done.returncode:
        sys.exit(f"podman {' '.join(arguments[:3])} ...: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo"]


def ensure_image() -> str:
    """Return the image's name, built on first use and whenever what goes into it changed."""
    name = f"{REPOSITORY}:{_digest()}"
    if podman("images", "--quiet", name).strip():
        return name
    started = time.monotonic()
    say("building the node image from Debian's packages (about half a minute, kept afterwards)")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "rootfs.tar"
        packages = ",".join((NODE / "packages.txt").read_text(encoding="utf-8").split())
        argv = [*as_root(), "mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}"]
        argv += [f"--customize-hook=copy-in {NODE / 'bin'} /opt", "--customize-hook=mv $1/opt/bin $1/opt/ascend-sim"]
        argv += ["--customize-hook=chroot $1 /opt/ascend-sim/prepare-image", SUITE, str(archive)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"mmdebstrap: {done.stderr.strip()[-2000:]}")
        podman("import", "--quiet", str(archive), name)
    say(f"built {name} in {time.monotonic() - started:.0f} s")
    for older in podman("images", "--format", "{{.Repository}}:{{.Tag}}", REPOSITORY).split():
        if older != name:
            run_podman("rmi", older)  # one that a node still runs on is refused, and stays
    return name


def _digest() -> str:
    """Return a name for all that goes into the image, so that a change of it makes another one."""
    digest = hashlib.sha256(SUITE.encode())
    for path in [NODE / "packages.txt", *sorted((NODE / "bin").iterdir()), Path(__file__)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
