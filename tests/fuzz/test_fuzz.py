# SPDX-License-Identifier: Apache-2.0
"""A short run of the fuzz command, and that it sees what it looks for."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_smi import parse_info
from tests.fuzz import parsers
from tests.fuzz.parsers import Parser


def test_damaged_text_harms_no_parser(capsys: pytest.CaptureFixture[str]) -> None:
    assert parsers.main(["--runs", "20000", "--seed", "1"]) == 0, capsys.readouterr().out


def test_every_parser_of_text_is_fed(root: Path) -> None:
    top = root / "module_utils" / "ascend"
    sources = {".".join(path.relative_to(top).with_suffix("").parts): path.read_text() for path in top.rglob("*.py")}
    known = {(parser.module, parser.function) for parser in parsers.PARSERS}
    # Locks are the project's own files, held to their sums before they are read; records carry sums of their own; the
    # answers of the probe and of a rack's ranks come from the project's own programs.
    taken = {
        (module, line.split("(")[0].removeprefix("def "))
        for module, source in sources.items()
        for line in source.splitlines()
        if line.startswith("def parse")
        and "(text: str)" in line
        and module not in ("environment.lock", "record.text", "npu.probe_program", "rack.program")
    }
    assert taken <= known


def never_right(text: str) -> Any:
    raise ValueError(text)


def too_many(text: str) -> Any:
    devices = parse_info(text).devices
    return SimpleNamespace(devices=[*devices, *devices], problems=())


def other_values(text: str) -> Any:
    info = parse_info(text)
    return SimpleNamespace(devices=[parse_info(TWO).devices[0] for _ in info.devices], problems=())


def endless_problem(text: str) -> Any:
    return SimpleNamespace(devices=(), problems=("line 1: " + "x" * 5000,))


TWO = "| 99999 x | OK | 1.0 1 0 / 0 |\n| 0 | 0000:01:00.0 | 0 0 / 0 1 / 2 |\n"


@pytest.mark.parametrize("broken", [never_right, too_many, other_values, endless_problem])
def test_it_sees_a_broken_parser(
    broken: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = ModuleType("broken")
    vars(module)["parse"] = broken
    monkeypatch.setitem(sys.modules, "ansible_collections.ascend.fleet.plugins.module_utils.ascend.broken", module)
    monkeypatch.setattr(parsers, "PARSERS", [Parser("broken", "parse", ("npu-smi-info",))])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert parsers.main(["--runs", "300", "--seed", "7", "--jobs", "1"]) == 1
    output = capsys.readouterr().out
    files = sorted(tmp_path.glob("fuzz-broken.parse-*.txt"))
    assert files
    assert all(str(file) in output for file in files)
    assert "--seed 7" in output


def test_the_same_seed_gives_the_same_runs() -> None:
    names = tuple(parser.name for parser in parsers.PARSERS)
    counts = [{name: tally.runs for name, tally in parsers.fuzz(3, 900, names, jobs, None).items()} for jobs in (1, 2)]
    assert counts[0] == counts[1]
    assert sum(counts[0].values()) == 900
