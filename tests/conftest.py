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


# Side by side (-n) the tests of a folder run one after another, these folders first: they take longest. Those of a row
# share a depot. The files of tests/unit come last, each for itself, and fill what is left of the time.
ORDER = (("change", "systems"), ("e2e",), ("contract",))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its group, and the groups their order."""
    places = {folder: number for number, folders in enumerate(ORDER) for folder in folders}

    def place(item: pytest.Item) -> int:
        folder, *below = item.path.relative_to(ROOT / "tests").parts
        number = places.get(folder, len(ORDER) + (folder == "unit"))
        group = ORDER[number][0] if number < len(ORDER) else "/".join([folder, *below]) if folder == "unit" else folder
        item.add_marker(pytest.mark.xdist_group(group))
        return number

    items.sort(key=place)


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
