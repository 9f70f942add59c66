# SPDX-License-Identifier: Apache-2.0
"""A node whose hccn_tool has an answer for each question, and one that has no hccn_tool."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.links import read_links
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.network import read_network

TOOL = "/opt/tools/hccn_tool"
Answer = str | Result
HANGS = Result(-9, "", True)
UNSUPPORTED = "This device does not support the command.\n"


def devices(count: int = 2, **more: Any) -> Any:
    return [{"npu_id": number, "chip_id": 0, "name": "910B3", "phy_id": None, **more} for number in range(count)]


class Tool:
    """A node whose hccn_tool has an answer for each question, and whose file says the same unless told otherwise."""

    def __init__(self, root: Path, cards: int = 2, conf: str | None = "same") -> None:
        self.root = root
        self.asked: list[str] = []
        self.answers: dict[str, Answer] = {}
        self.first: dict[str, list[Answer]] = {}  # what the first times are answered
        self.wait_s = 0.0
        self.lock = threading.Lock()
        for card in range(cards):
            self.answers[f"{card} -ip"] = f"ipaddr:10.9.0.{card + 1}\nnetmask:255.255.0.0\n"
            self.answers[f"{card} -gateway"] = f"default gateway:10.9.255.254, Iface:eth{card}\n"
            self.answers[f"{card} -link"] = "link status: UP\n"
            self.answers[f"{card} -net_health"] = "net health status: Success\n"
        if conf == "same":
            lines = (
                f"address_{card}=10.9.0.{card + 1}\nnetmask_{card}=255.255.0.0\ngateway_{card}=10.9.255.254\n"
                for card in range(cards)
            )
            conf = "".join(lines)
        if conf is not None:
            self.write(conf)

    def write(self, conf: str) -> None:
        (self.root / "etc").mkdir(exist_ok=True)
        (self.root / "etc/hccn.conf").write_text(conf)

    def run(self, argv: list[str], timeout_s: float) -> Result:
        program, dash_i, number, *words, dash_g = argv
        assert (program, dash_i, dash_g) == (TOOL, "-i", "-g")
        question = " ".join([number, *words])
        with self.lock:
            self.asked.append(question)
            first = self.first.get(question)
            answer = first.pop(0) if first else self.answers[question]
        assert timeout_s > 0
        time.sleep(self.wait_s)
        return answer if isinstance(answer, Result) else Result(0, answer, False)

    def read(self, found: Any = None, timeout_s: float = 5) -> tuple[Any, list[Any]]:
        return read_network(self.node(), devices() if found is None else found, timeout_s)

    def links(self, found: Any = None, timeout_s: float = 5) -> tuple[Any, list[Any]]:
        return read_links(self.node(), devices() if found is None else found, timeout_s)

    def node(self) -> Node:
        return Node(self.run, {"hccn_tool": TOOL}.get, str(self.root))


def named(findings: list[Any]) -> list[str]:
    assert {finding["subset"] for finding in findings} <= {"network"}
    assert all(finding["remedy"] and finding["problem"] and finding["found"] for finding in findings)
    return [finding["name"] for finding in findings]


def nowhere(name: str) -> str | None:
    assert name == "hccn_tool"
    return None


def no_run(argv: list[str], timeout_s: float) -> Result:
    raise AssertionError(argv)
