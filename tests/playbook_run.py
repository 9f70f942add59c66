# SPDX-License-Identifier: Apache-2.0
"""What a playbook did, as Ansible's own output tells it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass
class Run:
    """Exit code, output, and each host's numbers of the recap; ``node`` is the one that it is about, if it is one."""

    code: int
    output: str
    node: str = ""
    recap: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, numbers in re.findall(r"^(\S+) +: (ok=.*)$", self.output, re.MULTILINE):
            self.recap[name] = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", numbers)}

    @property
    def changed(self) -> int:
        """How many tasks changed the node."""
        assert self.node in self.recap, self.output
        return self.recap[self.node]["changed"]

    @property
    def changed_tasks(self) -> list[str]:
        """The names of the tasks that changed the node."""
        changed = rf"changed: \[{self.node}\]"
        tasks = re.findall(rf"^TASK \[(.*?)\] \**\n(?:(?!TASK).*\n)*?{changed}", self.output, re.MULTILINE)
        return [re.sub(r"^[\w.]+ : ", "", task) for task in tasks]

    @property
    def steps(self) -> list[str]:
        """The components of the plan, in its order; of a single node that was stopped, those left to do."""
        steps = re.findall(r"^ *(?:- ')? *\d+\. ([a-z-]+) ", self.output, re.MULTILINE)
        left = re.search(r"steps that remain once this is fixed: ([a-z, -]+)", self.output)
        return steps or (left.group(1).split(", ") if left else [])

    def told(self, node: str) -> str:
        """All that was said of the node when tasks of it failed, on one line."""
        blocks = re.findall(rf"^fatal: \[{node}\].*?(?=^\S|\Z)", self.output, re.MULTILINE | re.DOTALL)
        return re.sub(r"\s+", " ", " ".join(blocks))

    def said(self, node: str) -> str:
        """The message with which the node failed first; "" when it did not."""
        words = self.told(node).split(" fatal: [")[0]
        if "rc: 137" in words:
            return "the module was killed"
        match = re.search(r" problem: (.*?)(?: remedy:| wanted:|$)", words)
        match = match or re.search(r"msg: (?:\|-|>-)? ?'?(.*?)(?:;? wanted:| rc: | unreachable: |$)", words)
        return match.group(1) if match else words[:200]
