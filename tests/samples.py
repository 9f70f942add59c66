# SPDX-License-Identifier: Apache-2.0
"""Real outputs, where they are at hand: the folder that ASCEND_CORPUS names, one folder below it for each kind.

They are not part of the project. What a person reads in each of them is: ``tests/corpus/``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = os.environ.get("ASCEND_CORPUS", "")


def expected(name: str, loader: type[Any] = yaml.SafeLoader) -> Any:
    """What a person read in the samples: ``tests/corpus/NAME.yml``; with yaml.BaseLoader every value is text."""
    return yaml.load((Path(__file__).parent / "corpus" / f"{name}.yml").read_text(encoding="utf-8"), Loader=loader)


def kind(name: str) -> list[Path]:
    """All samples of a kind ("hccn"); the test is skipped without any."""
    found = sorted(Path(FOLDER, name).glob("*.txt")) if FOLDER else []
    if not found:
        pytest.skip(f"ASCEND_CORPUS names no folder with real outputs in {name}/")
    return found


def path(name: str) -> Path:
    """One sample ("hccn/022-ip.txt"); the test is skipped where it is not at hand."""
    found = Path(FOLDER, name)
    if not FOLDER or not found.is_file():
        pytest.skip(f"ASCEND_CORPUS names no folder with {name}")
    return found


def text(name: str) -> str:
    """One sample's text, odd bytes replaced as when a tool's output is read."""
    return path(name).read_text(encoding="utf-8", errors="replace")


def hold_names(folder: str, names: Iterable[str]) -> None:
    """Hold that the expected values speak of samples that are there: all of them, unless it is another corpus."""
    there = {sample.name for sample in kind(folder)}
    missing = set(names) - there
    assert not missing or not set(names) & there, sorted(missing)
