# SPDX-License-Identifier: Apache-2.0
"""Say where things are. pyproject.toml makes the collection importable, as Ansible does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
for folder in ("sim", "sim/cann"):
    sys.path.insert(0, str(ROOT / folder))

# Tools of the virtual environment that runs pytest come first, also for the tools they start.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
# A user's own settings must not decide what a test sees.
for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
    del os.environ[name]
os.environ["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")


SHORT_S = 60  # a run that takes no longer needs no account of its time


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="every case, also those marked whole: `make test-all`")


# Side by side (-n) the tests of a folder run one after another, these folders first: they take longest. Files of
# tests/contract and tests/unit come last, each for itself, and fill what is left of the time.
ORDER = ("change", "e2e", "systems", "molecule")
ALONE = ("contract", "unit")


def place(nodeid: str) -> tuple[int, str]:
    """Where a test's group comes, and its name."""
    path = nodeid.partition("::")[0]
    folder = path.split("/")[1]
    if folder in ALONE:
        return len(ORDER) + 1 + ALONE.index(folder), path
    return ORDER.index(folder) if folder in ORDER else len(ORDER), folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the groups their order, and leave out what only the whole of the tests has."""
    if not config.getoption("--whole"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("whole")])
        items[:] = [item for item in items if not item.get_closest_marker("whole")]
    items.sort(key=lambda item: place(item.nodeid)[0])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say where the time went: of each folder of tests (of unit each folder below it), longest first."""
    seconds: dict[str, float] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folders = report.nodeid.partition("::")[0].split("/")[1:-1]
                name = "/".join(folders[: 2 if folders[:1] == ["unit"] else 1])
                seconds[name] = seconds.get(name, 0) + report.duration
    if sum(seconds.values()) >= SHORT_S:
        terminalreporter.write_sep("=", "where the time went")
        for name, spent in sorted(seconds.items(), key=lambda entry: -entry[1]):
            terminalreporter.write_line(f"{spent:7.0f} s  tests/{name}")


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist ships no types of it
    """Hands whole groups to the workers. Marks for that are lost on pytest 9.2, whose node ids do not change."""

    def _split_scope(self, nodeid: str) -> str:
        return place(nodeid)[1]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    return Groups(config, log)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """No test may leave a handler behind: what a later test of this process forks would not end when it is asked to."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    after = [signal.getsignal(number) for number in numbers]
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
    assert after == before, "it left a handler of a signal behind"


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
