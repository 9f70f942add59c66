# SPDX-License-Identifier: Apache-2.0
"""A simulated node whose first program is systemd, and this machine's kernel settings beside it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import image

NAME = "ascend-e2e-systemd"
NODE = f"{NAME}-1"
# The kernel's own counters, and what belongs to networks.
COUNTERS = ("dentry-state", "file-nr", "inode-nr", "inode-state", "syncs", "ns_last_pid", "uuid", "nr")


class CommandError(Exception):
    """A command on the node ended with another code than 0."""


def sh(command: str, given: str = "") -> str:
    """Run a command as root on the node, outside of any unit; return what it prints."""
    argv = [*image.as_root(), "podman", "exec", "--interactive", NODE, "bash", "-c", command]
    done = subprocess.run(argv, input=given, check=False, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise CommandError(f"{command}: {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def printed(command: str) -> str:
    """What a command prints, whatever its exit code."""
    return sh(f"{command}; true")


def until(asked: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not asked():
        assert time.monotonic() < end
        time.sleep(0.5)


def show(unit: str, *names: str) -> list[str]:
    """Return a unit's properties, in the order asked for."""
    lines = dict(line.split("=", 1) for line in sh(f"systemctl show {unit}").splitlines() if "=" in line)
    return [lines[name] for name in names]


def reboot() -> None:
    """What a node does that is rebooted: systemd ends its units, and begins anew with /run empty."""
    argv = [*image.as_root(), "podman", "--runtime", "runc", "--hooks-dir", str(image.HOOKS), "restart"]
    subprocess.run([*argv, "--time", "120", NODE], check=True, capture_output=True, timeout=200)
    until(lambda: printed("systemctl is-system-running").strip() in ("running", "degraded"))


def kernel_settings() -> dict[str, str]:
    """This machine's kernel settings, but for those of networks and counters."""
    found = {}
    for path in Path("/proc/sys").rglob("*"):
        if path.is_file() and path.name not in COUNTERS and "/net/" not in str(path):
            try:
                found[str(path)] = path.read_text(encoding="utf-8", errors="replace")
            except OSError:  # write-only
                found[str(path)] = ""
    return found
