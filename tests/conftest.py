# SPDX-License-Identifier: Apache-2.0
"""Make library/ and module_utils/ importable the way Ansible imports them, and say where things are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import ansible.module_utils
import pytest

ROOT = Path(__file__).resolve().parent.parent
for folder in ("library", "filter_plugins", "sim", "sim/cann"):
    sys.path.insert(0, str(ROOT / folder))
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

# Tools of the virtual environment that runs pytest come first, also for the tools they start.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
# A user's own settings must not decide what a test sees.
for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
    del os.environ[name]
os.environ["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "tests/change: the faults that are tried often, all, or those whose name a regular expression finds"
    parser.addoption("--faults", default="often", help=words)


@pytest.fixture(scope="session")
def root() -> Path:
    """The top folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """Outside the checkout; kept between runs and never needed."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "ascend-fleet"
    path.mkdir(parents=True, exist_ok=True)
    return path
