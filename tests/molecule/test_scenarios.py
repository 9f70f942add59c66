# SPDX-License-Identifier: Apache-2.0
"""Every scenario of molecule/ passes: on a simulated node, over SSH, through site.yml or by a role alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
WANTED = {"default", "converged", "half_installed", "wrong_chip", "driver_missing", "eula", "cann", "torch_npu"}

# The two roles alone. tests/change and tests/e2e provision whole nodes, tests/unit/plan and tests/e2e have refused
# ones, tests/e2e one in step, tests/change one half installed, in every way.
USUAL = {"cann", "torch_npu"}

pytestmark = pytest.mark.molecule


def test_all_scenarios_are_there() -> None:
    assert set(SCENARIOS) >= WANTED


@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=[] if name in USUAL else pytest.mark.whole) for name in SCENARIOS]
)
def test_scenario(scenario: str, tmp_path: Path) -> None:
    log = tmp_path / "molecule.log"
    with log.open("w") as output:
        done = subprocess.run(
            ["molecule", "-c", ".config/molecule/config.yml", "test", "--destroy", "always", "-s", scenario],
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=900,
            check=False,
        )
    assert done.returncode == 0, log.read_text()[-20000:]
