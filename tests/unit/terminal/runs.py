# SPDX-License-Identifier: Apache-2.0
"""Runs as Ansible's callbacks told them, on a clock of their own."""

from __future__ import annotations

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.terminal.watch import FAILED, Node, Watch

PLAY = "Provision the nodes whose plan is not empty"
SEND, TOOLKIT = "Transfer the depot files that the steps need", "Install the CANN toolkit 8.0.RC1"
GB = 10**9


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def names(count: int) -> list[str]:
    return [f"npu-{number:04d}" for number in range(1, count + 1)]


def batch(watch: Watch, clock: Clock, nodes: list[str], sizes: list[int], all_nodes: list[str], seconds: float) -> None:
    """One batch of a rollout that ends well, but for each fortieth node."""
    watch.begin(PLAY, all_nodes, nodes, sizes)
    for task in (SEND, TOOLKIT):
        watch.begin_task(task)
        for name in nodes:
            if watch.nodes[name].state != FAILED:
                watch.start(name, task)
        clock.now += seconds / 2
        for name in nodes:
            if task == TOOLKIT and int(name[-4:]) % 40 == 7:
                watch.end(name, FAILED, "No space left on device: /usr/local/Ascend")
            elif watch.nodes[name].since is not None:
                watch.end(name)


def rollout(count: int, forks: int = 50) -> tuple[Watch, Clock]:
    """A rollout in its last batch: most of its nodes are sent their files, some have them already."""
    clock = Clock()
    watch = Watch(forks, clock)
    fleet = names(count)
    tenth = max(1, count // 10)
    sizes = [1, tenth, count - 1 - tenth] if count > 2 else [1, 1]
    begin = 0
    for size in sizes[:-1]:
        batch(watch, clock, fleet[begin : begin + size], sizes, fleet, 300.0)
        watch.end_batch(fleet[1:2] if begin else ())
        begin += size
    watch.begin(PLAY, fleet, fleet[begin:], sizes)
    watch.begin_task(SEND)
    for number, name in enumerate(fleet[begin:]):
        if number >= forks + 10:
            break
        clock.now += 0.5
        watch.start(name, SEND)
        if number < 10 and count > 40:
            watch.end(name)
    clock.now += 60
    return watch, clock


def far(node: Node) -> tuple[int, int, float]:
    """How far a node's files are: the later it began, the less."""
    return 3 * GB, 3 * GB // (1 + node.number % 7), 57.3e6
