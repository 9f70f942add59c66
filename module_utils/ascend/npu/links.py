# SPDX-License-Identifier: Apache-2.0
"""Whether the cards' own network is healthy, at the price of one question per chip.

A port that reaches its watched address has an address, a link and a route; only other ports are asked further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, List, Tuple

from ..finding import Finding
from ..node import Node
from .ports import HEALTHY, Answers, Port, as_facts, found_tool, read_ports, without_tool

if TYPE_CHECKING:
    from ..shapes import Device, Network

_PLAIN = ["net", "health", "status:", HEALTHY]


def read_links(
    node: Node, devices: List[Device], timeout_s: float, out: Collection[int] = ()
) -> Tuple[Network, List[Finding]]:
    """Return (facts, findings) in the form of ``network.read_network``.

    For a port that clearly says that it is healthy, ``address``, ``netmask``, ``gateway`` and ``link`` are None,
    because they were not asked. Any other port is asked everything, and judged.
    """
    tool = found_tool(node, timeout_s)
    if all(device["npu_id"] in out for device in devices):
        return as_facts(tool, []), []
    ports, conf_read, findings = read_ports(node, devices, out)
    if not tool:
        return as_facts(tool, ports), [without_tool(ports), *findings]

    def health(port: Port) -> Answers:
        answers = Answers()
        tool.ask(port, "net_health", answers)
        return answers

    answered = tool.ask_all(ports, health)
    others = {}
    for port, answers in zip(ports, answered):
        if _is_healthy(answers):
            port.roce, port.net_health = True, HEALTHY
        else:
            others[port.device] = answers
    if others:
        # Imported here: a node whose ports are well need not compile the readers of all answers.
        from .network import ask_everything

        asked = [port for port in ports if port.device in others]
        findings = findings + ask_everything(tool, asked, conf_read, others)
    return as_facts(tool, ports), findings


def _is_healthy(answers: Answers) -> bool:
    """Whether the answer is the one line of a healthy port; ``network`` reads all others."""
    result = answers.results.get("net_health")
    return result is not None and result.code == 0 and result.output.split() == _PLAIN
