# SPDX-License-Identifier: Apache-2.0
"""A node for unit tests: its files lie below a folder, its programs answer what the test says, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node

# What `npu-smi info` of a 910B prints above its cards.
NPU_SMI_HEAD = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 24.1.rc1                 Version: 24.1.rc1                                             |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
"""
HANGS = Result(-9, "", True)


class Programs:
    """``answers``: command line -> output, a Result, or what each call of several answers.

    A call that no test expects fails the test.
    """

    def __init__(self, answers: Mapping[str, str | Result | list[str | Result]]) -> None:
        self.answers = {words: said if isinstance(said, list) else [said] for words, said in answers.items()}
        self.asked: list[str] = []

    def run(self, argv: list[str], timeout_s: float) -> Result:
        words = " ".join([Path(argv[0]).name, *argv[1:]])
        assert timeout_s > 0
        assert words in self.answers, f"not expected: {words}"
        assert self.asked.count(words) < len(self.answers[words]), f"asked too often: {words}"
        answer = self.answers[words][self.asked.count(words)]
        self.asked.append(words)
        return answer if isinstance(answer, Result) else Result(0, answer, False)

    def all_asked(self) -> bool:
        """Whether every answer was wanted."""
        return sorted(self.asked) == sorted(words for words, said in self.answers.items() for _ in said)


def node(root: Path, programs: Programs | None = None, names: tuple[str, ...] = ("npu-smi", "hccn_tool")) -> Node:
    """A node whose files lie below ``root`` and that has the programs ``names``."""
    run = (programs or Programs({})).run
    return Node(run, lambda name: f"/usr/local/bin/{name}" if name in names else None, str(root))


def write(root: Path, path: str, text: str = "") -> Path:
    """Write a node's file, with its folders."""
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def names(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of findings, in their order."""
    return [finding["name"] for finding in findings]
