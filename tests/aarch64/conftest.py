# SPDX-License-Identifier: Apache-2.0
"""One emulated aarch64 node, the real aarch64 wheels, and ansible-playbook over real SSH. Runs only when asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import demo
import pytest
import yaml

from tests.playbook_run import Run

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = "aarch64"
FLEET = "ascend-aarch64"
NODE = f"{FLEET}-1"
VARS = yaml.safe_load(Path(__file__).with_name("vars.yml").read_text(encoding="utf-8"))
RELEASE, CARDS = VARS["ascend_release"], VARS["ascend_card_count"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Emulated nodes take minutes and change the kernel's list of formats: only ``-m aarch64`` runs these tests."""
    if "aarch64" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("aarch64")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


class Fleet:
    """The emulated node and the playbooks over it."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def playbook(self, *arguments: str) -> Run:
        """Run ansible-playbook on the node; host keys are checked against the fleet's known_hosts. Says how long."""
        started = time.monotonic()
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventory/sim"),
                *("-e", "@tests/aarch64/vars.yml", *arguments),
            ],
            cwd=ROOT,
            env={**os.environ, "ASCEND_SIM_STATE": str(self.state), "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        print(f"{' '.join(arguments)}: {time.monotonic() - started:.0f} s")
        return Run(done.returncode, done.stdout + done.stderr, NODE)

    def run(self, command: str) -> str:
        """Run a shell command in the node; return what it wrote."""
        return fleet_command(self.state, "exec", NODE, "--", "sh", "-c", command)


def fleet_command(state: Path, *arguments: str) -> str:
    argv = [sys.executable, "sim/fleet.py", "--name", FLEET, "--state", str(state), *arguments]
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, end="")
    return done.stdout


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A bare node, removed at the end; CANN's packages, the depot and the image are kept, as the demo's are."""
    state = tmp_path_factory.mktemp("aarch64") / "state"
    assert demo.packages(RELEASE, ARCHITECTURE) == 0
    fleet_command(state, "down")
    fleet_command(state, "up", "--nodes", "1", "--arch", ARCHITECTURE)
    fleet = Fleet(state)
    # The simulated driver is older than what the release asks for, unless it is told.
    driver = yaml.safe_load((ROOT / "releases" / RELEASE / "release.yml").read_text(encoding="utf-8"))["driver"]
    versions = f"driver_version={driver['minimum']} firmware_version={driver['firmware']}"
    fleet.run(f"ascend-sim set card_count={CARDS} {versions}")
    yield fleet
    fleet_command(state, "down")
