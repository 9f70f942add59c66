# SPDX-License-Identifier: Apache-2.0
"""Read the cards' own network, by which cards of several nodes train together: hccn_tool and /etc/hccn.conf.

hccn_tool is asked four questions a card, each with a time limit, several cards at a time. It numbers the chips as
/dev/davinci<N> does. What it sets is written to /etc/hccn.conf, from which the driver sets the ports up at boot.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Set, Tuple

from ansible.module_utils.ascend import files
from ansible.module_utils.ascend.command import Result
from ansible.module_utils.ascend.node import Finding, Node, finding
from ansible.module_utils.ascend.npu import hccn, network_findings
from ansible.module_utils.ascend.npu.network_findings import CONF, Port

TOOL = "/usr/local/Ascend/driver/tools/hccn_tool"
PLACES = (TOOL, "/usr/local/bin/hccn_tool", "/usr/local/sbin/hccn_tool")
AT_ONCE = 8  # cards asked side by side
MOST_LIMITS = 3  # no card is asked anything new after this many time limits

QUESTIONS = ("ip", "gateway", "link", "net_health")
# What says that a card has no address, as against words that nobody knows.
_NO_ADDRESS = re.compile(r"\bno (?:ip|address)|\bnot (?:set|config|exist|found)|\bnull\b", re.IGNORECASE)
_NOT_SUPPORTED = re.compile(r"\bnot support", re.IGNORECASE)

Facts = Dict[str, Any]
Device = Dict[str, Any]


def read_network(node: Node, devices: List[Device], timeout_s: float) -> Tuple[Facts, List[Finding]]:
    """Return (facts, findings) of the network of ``devices``, dictionaries of ``npu_smi.Device``.

    ``{"tool", "roce", "cards"}``; ``roce`` is False when no card has a port of its own, None when nobody knows. A card
    is ``{"device", "npu_id", "chip_id", "address", "netmask", "gateway", "link", "net_health", "configured",
    "multi_node", "reasons"}``: ``device`` is hccn_tool's number, ``configured`` what /etc/hccn.conf says of address,
    netmask and gateway, ``reasons`` why the card cannot take part in training over several nodes.
    """
    tool = _find_tool(node)
    if not devices:
        return {"tool": tool, "roce": None, "cards": []}, []
    conf, findings = _read_conf(node)
    entries = {card.index: card for card in conf.cards} if conf else {}
    numbers = device_numbers(devices, _device_files(node) or set(entries))
    several = max(Counter(device["npu_id"] for device in devices).values()) > 1
    ports = [
        Port(number, device["npu_id"], device.get("chip_id"), several, entries.get(number))
        for number, device in zip(numbers, devices)
    ]
    if tool:
        _ask_all(node, tool, ports, timeout_s)
        findings = findings + network_findings.judge(ports, conf is not None, timeout_s)
    else:
        for port in ports:
            port.reasons.append("hccn_tool is missing")
        findings = [_missing(), *findings]
    known = [port.roce for port in ports if port.roce is not None]
    return {"tool": tool, "roce": any(known) if known else None, "cards": [_fact(port) for port in ports]}, findings


def device_numbers(devices: List[Device], known: Set[int]) -> List[int]:
    """Return hccn_tool's number of each device: its physical one where the table shows it.

    Else, of cards with one chip, the NPU id: it stays what it is when another card is lost. It is no such number where
    ``known``, the numbers that the node has, does not hold it. Else the running index.
    """
    physical = [device.get("phy_id") for device in devices]
    numbers = [number for number in physical if number is not None]
    if len(numbers) == len(devices) == len(set(numbers)):
        return numbers
    cards: List[int] = [device["npu_id"] for device in devices]
    modules = all(str(device.get("name", "")).startswith("910B") for device in devices)
    if len(set(cards)) == len(cards) and (known.issuperset(cards) if known else modules):
        return cards
    return list(range(len(devices)))


def _find_tool(node: Node) -> Optional[str]:
    root = files.pairs(files.text(node.path("/etc/ascend_install.info"))).get("Driver_Install_Path_Param")
    places = [os.path.join(root, "driver/tools/hccn_tool")] if root and os.path.isabs(root) else []
    paths = (node.path(place) for place in [*places, *PLACES])
    return node.find("hccn_tool") or next((path for path in paths if os.access(path, os.X_OK)), None)


def _device_files(node: Node) -> Set[int]:
    matches = (re.fullmatch("davinci([0-9]{1,4})", name) for name in files.names(node.path("/dev")))
    return {int(match.group(1)) for match in matches if match}


def _read_conf(node: Node) -> Tuple[Optional[hccn.Conf], List[Finding]]:
    """Return what /etc/hccn.conf says (an absent file says nothing), None when it is there and cannot be read."""
    path = node.path(CONF)
    text = files.text(path)
    if text is None and os.path.lexists(path):
        return None, [network_findings.unread(CONF, "the file cannot be read", "ls -l %s" % CONF)]
    conf = hccn.parse_conf(text or "")
    if conf.problems:
        return conf, [network_findings.unread(CONF, "; ".join(conf.problems[:5]), "cat %s" % CONF)]
    return conf, []


def _ask_all(node: Node, tool: str, ports: List[Port], timeout_s: float) -> None:
    deadline = time.monotonic() + MOST_LIMITS * timeout_s
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(ports))) as pool:
        answers = list(pool.map(lambda port: _ask(node, tool, port, timeout_s, deadline), ports))
    for port, answer in zip(ports, answers):
        _note(port, answer)


@dataclass
class _Answers:
    results: Dict[str, Result] = field(default_factory=dict)
    hung: bool = False
    late: bool = False


def _ask(node: Node, tool: str, port: Port, timeout_s: float, deadline: float) -> _Answers:
    """Ask one card; after a question without an answer, or when the time is up, nothing more."""
    answers = _Answers()
    for question in QUESTIONS:
        asked = [question]
        if question == "gateway" and "ip" in answers.results and _wants_ipv6(port, answers.results["ip"]):
            asked = ["ip -inet6", question]
        for words in asked:
            if time.monotonic() >= deadline:
                answers.late = True
                return answers
            options = ["-" + words.split()[0], *words.split()[1:]]
            result = node.run([tool, "-i", str(port.device), *options, "-g"], timeout_s)
            if result.timed_out:
                answers.hung = True
                return answers
            answers.results[words] = result
        if question == "ip" and _NOT_SUPPORTED.search(answers.results["ip"].output):
            return answers
    return answers


def _wants_ipv6(port: Port, result: Result) -> bool:
    """Whether the file gives an IPv6 address to a card that has no other."""
    conf = port.conf
    return conf is not None and conf.ipv6_address is not None and hccn.parse_address(result.output).address is None


def _note(port: Port, answers: _Answers) -> None:
    """Write down what a card's answers say, and what they do not."""
    port.hung, port.late = answers.hung, answers.late
    results = answers.results
    if "ip" in results:
        _note_address(port, results["ip"])
    if "ip -inet6" in results:
        found = hccn.parse_address(results["ip -inet6"].output)
        if found.address:
            port.address, port.prefix_length, port.no_address = found.address, found.prefix_length, False
            port.unread = [words for words in port.unread if words[0] != "ip"]
    if "gateway" in results:
        port.gateway = _value(port, "gateway", results["gateway"], hccn.parse_gateway(results["gateway"].output), True)
    if "link" in results:
        port.link = _value(port, "link", results["link"], hccn.parse_link(results["link"].output), False)
    if "net_health" in results:
        health = hccn.parse_net_health(results["net_health"].output)
        port.net_health = _value(port, "net_health", results["net_health"], health, False)


def _note_address(port: Port, result: Result) -> None:
    found = hccn.parse_address(result.output)
    port.roce = not _NOT_SUPPORTED.search(found.error)
    port.address, port.netmask, port.prefix_length = found.address, found.netmask, found.prefix_length
    if not port.roce:
        port.words = found.error
    elif found.problems or (found.error and not _NO_ADDRESS.search(found.error)):
        port.unread.append(("ip", "; ".join(found.problems) or found.error))
    else:
        port.no_address = found.address is None


def _value(port: Port, question: str, result: Result, found: hccn.Value, optional: bool) -> Optional[str]:
    """Return the value; where there is none, note why: a card need not have an ``optional`` one.

    A health that nobody knows is none that is good. Any other word that nobody knows may be a part of one.
    """
    if found.value is not None and (question == "net_health" or not found.problems):
        return found.value
    silent = not found.error and not found.problems
    if _NOT_SUPPORTED.search(found.error) or (optional and (silent or _NO_ADDRESS.search(found.error))):
        return None
    said = "; ".join(found.problems) or found.error
    port.unread.append((question, said or "exit code %d, no word" % result.code))
    return None


def _fact(port: Port) -> Facts:
    conf = port.conf
    configured = {"address": conf.address or conf.ipv6_address, "netmask": conf.netmask} if conf else None
    if conf and configured:
        configured["gateway"] = conf.gateway
    return {
        "device": port.device,
        "npu_id": port.npu_id,
        "chip_id": port.chip_id,
        "address": port.address,
        "netmask": port.netmask,
        "gateway": port.gateway,
        "link": port.link,
        "net_health": port.net_health,
        "configured": configured,
        "multi_node": not port.reasons,
        "reasons": port.reasons,
    }


def _missing() -> Finding:
    return finding(
        "network",
        "hccn-tool-missing",
        "hccn_tool is missing",
        "hccn_tool in PATH or %s" % os.path.dirname(TOOL),
        "no such program",
        TOOL,
        "install the NPU driver: it brings hccn_tool; in a container, mount %s from the host" % TOOL,
    )
