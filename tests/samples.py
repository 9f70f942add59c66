# SPDX-License-Identifier: Apache-2.0
"""Outputs of the tools: made-up ones, which are part of the project, and real ones, where they are at hand.

The made-up ones lie in ``tests/outputs``, the real ones in the folder that ASCEND_CORPUS names; both have a folder for
each kind. What a person reads in each of them is: ``tests/outputs/*.yml``, ``tests/corpus/*.yml``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
MADE_UP = HERE / "outputs"
REAL = Path(os.environ["ASCEND_CORPUS"]) if os.environ.get("ASCEND_CORPUS") else None
FOLDERS = [MADE_UP, *([REAL] if REAL else [])]


def expected(name: str, loader: type[Any] = yaml.SafeLoader) -> Any:
    """What a person read in all samples, also those not at hand; with yaml.BaseLoader every value is text."""
    real, made_up = (
        yaml.load((folder / f"{name}.yml").read_text(encoding="utf-8"), Loader=loader)
        for folder in (HERE / "corpus", MADE_UP)
    )
    return {**real, "samples": {**real["samples"], **made_up["samples"]}} if "samples" in real else {**real, **made_up}


def kind(name: str) -> list[Path]:
    """All samples of a kind ("hccn")."""
    return [path for folder in FOLDERS for path in sorted((folder / name).glob("*.txt"))]


def path(name: str) -> Path:
    """One sample ("hccn/022-ip.txt"); the test is skipped where it is a real one that is not at hand."""
    found = next((folder / name for folder in FOLDERS if (folder / name).is_file()), None)
    if found is None:
        pytest.skip(f"ASCEND_CORPUS names no folder with {name}")
    return found


def text(name: str) -> str:
    """One sample as the tool printed it, odd bytes replaced as when a tool's output is read."""
    return as_printed(path(name).read_bytes().decode(errors="replace"))


# Full-width forms of ASCII (U+FF01 to U+FF5E), but for the signs that tools print in a Chinese locale.
_WIDE = {0xFF01 + offset: 0x21 + offset for offset in range(94) if chr(0x21 + offset) not in ":,()"} | {0x3000: 0x20}


def as_printed(pasted: str) -> str:
    """What a tool printed, of what somebody pasted into a mail or an issue: without its quoting and its fences."""
    lines = [line for line in pasted.split("\n") if not line.startswith("```")]
    if all(line.lstrip().startswith(">") for line in lines if line.strip()):
        lines = [re.sub(r"^(\s*>)+ ?", "", line) for line in lines]
    return "\n".join(lines).translate(_WIDE)


def answers(text: str) -> list[tuple[str, str]]:
    """(command from its program's name on, answer) of each in a record of several, for one has no prompts."""
    parts = re.split(r"^(?:.*[#$] )?(?:[^\s:]*/)?(hccn_tool .*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def require_names(folder: str, names: Iterable[str]) -> None:
    """Require that every name of an expected value is that of a sample; without the real ones, of a made-up one."""
    there = {sample.name for sample in kind(folder)}
    missing = {name for name in names if REAL or name.startswith("9")} - there
    assert not missing, sorted(missing)
