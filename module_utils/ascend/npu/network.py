# SPDX-License-Identifier: Apache-2.0
"""Read the cards' own network, over which cards of several nodes train together: hccn_tool and /etc/hccn.conf.

hccn_tool is asked four questions per card, each with a time limit, several cards at a time. It numbers the chips like
/dev/davinci<N>. It writes its settings to /etc/hccn.conf, from which the driver sets up the ports at boot.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Collection, Dict, List, Optional, Tuple

from ..command import Result
from ..finding import Finding
from ..node import Node
from . import hccn, network_findings
from .ports import Answers, Port, Tool, as_facts, found_tool, read_ports, without_tool

if TYPE_CHECKING:
    from ..shapes import Device, Network

QUESTIONS = ("ip", "gateway", "link", "net_health")
# What says that a card has no address, as against words that nobody knows.
_NO_ADDRESS = re.compile(r"\bno (?:ip|address)|\bnot (?:set|config|exist|found)|\bnull\b", re.IGNORECASE)
_NOT_SUPPORTED = re.compile(r"\bnot support", re.IGNORECASE)


def read_network(
    node: Node, devices: List[Device], timeout_s: float, out: Collection[int] = ()
) -> Tuple[Network, List[Finding]]:
    """Return (facts, findings) of the network of ``devices``, dictionaries of ``npu_smi.Device``, except cards ``out``.

    ``{"tool", "roce", "cards"}``; ``roce`` is False if no card has its own port, None if unknown. A card is
    ``{"device", "npu_id", "chip_id", "address", "netmask", "gateway", "link", "net_health", "configured", "multi_node",
    "reasons"}``: ``device`` is hccn_tool's number, ``configured`` what /etc/hccn.conf says of address, netmask and
    gateway, ``reasons`` why the card cannot take part in training over several nodes; ``multi_node`` is None where
    hccn_tool stayed busy, and nobody knows.
    """
    tool = found_tool(node, timeout_s)
    if all(device["npu_id"] in out for device in devices):
        return as_facts(tool, []), []
    ports, conf_read, findings = read_ports(node, devices, out)
    if not tool:
        return as_facts(tool, ports), [without_tool(ports), *findings]
    findings = findings + ask_everything(tool, ports, conf_read)
    return as_facts(tool, ports), findings


def ask_everything(
    tool: Tool, ports: List[Port], conf_read: bool, answered: Optional[Dict[int, Answers]] = None
) -> List[Finding]:
    """Fill in the ports and return what is wrong. ``said`` has earlier answers of ports, by their number."""
    before = answered or {}
    answers = tool.ask_all(ports, lambda port: _ask(tool, port, before.get(port.device, Answers())))
    for port, answer in zip(ports, answers):
        _note(port, answer)
    return network_findings.judge(ports, conf_read, tool.timeout_s)


def _ask(tool: Tool, port: Port, answers: Answers) -> Answers:
    """Ask one port what it was not asked; after a question without an answer, or once the time is up, nothing more."""
    for question in QUESTIONS:
        asked = [question]
        if question == "gateway" and "ip" in answers.results and _wants_ipv6(port, answers.results["ip"]):
            asked = ["ip -inet6", question]
        for words in asked:
            if not answers.is_over() and words not in answers.results:
                tool.ask(port, words, answers)
        if answers.is_over():
            return answers
        if question == "ip" and _NOT_SUPPORTED.search(answers.results["ip"].printed):
            return answers
    return answers


def _wants_ipv6(port: Port, result: Result) -> bool:
    """Whether the file gives an IPv6 address to a card that has no other."""
    conf = port.conf
    return conf is not None and conf.ipv6_address is not None and hccn.parse_address(result.answer).address is None


def _note(port: Port, answers: Answers) -> None:
    """Write down what a card's answers say, and what they do not."""
    port.hung, port.late, port.busy = answers.hung, answers.late, answers.busy
    results = answers.results
    if "ip" in results:
        _note_address(port, results["ip"])
    if "ip -inet6" in results:
        found = hccn.parse_address(results["ip -inet6"].answer)
        if found.address:
            port.address, port.prefix_length, port.no_address = found.address, found.prefix_length, False
            port.unread = [words for words in port.unread if words[0] != "ip"]
    if "gateway" in results:
        port.gateway = _value(port, "gateway", results["gateway"], hccn.parse_gateway(results["gateway"].answer), True)
    if "link" in results:
        port.link = _value(port, "link", results["link"], hccn.parse_link(results["link"].answer), False)
    if "net_health" in results:
        health = hccn.parse_net_health(results["net_health"].answer)
        port.net_health = _value(port, "net_health", results["net_health"], health, False)


def _note_address(port: Port, result: Result) -> None:
    found = hccn.parse_address(result.answer)
    port.roce = not _NOT_SUPPORTED.search(found.error)
    port.address, port.netmask, port.prefix_length = found.address, found.netmask, found.prefix_length
    if not port.roce:
        port.words = found.error
    elif found.problems or (found.error and not _NO_ADDRESS.search(found.error)):
        port.unread.append(("ip", "; ".join(found.problems) or found.error))
    else:
        port.no_address = found.address is None


def _value(port: Port, question: str, result: Result, found: hccn.Value, optional: bool) -> Optional[str]:
    """Return the value; if there is none, note why, unless it is ``optional``.

    An unknown health is not good. Any other unknown word may be part of a known one.
    """
    if found.value is not None and (question == "net_health" or not found.problems):
        return found.value
    silent = not found.error and not found.problems
    if _NOT_SUPPORTED.search(found.error) or (optional and (silent or _NO_ADDRESS.search(found.error))):
        return None
    reason = "; ".join(found.problems) or found.error
    port.unread.append((question, reason or "exit code %d, no output" % result.code))
    return None
