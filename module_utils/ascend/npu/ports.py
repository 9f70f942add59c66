# SPDX-License-Identifier: Apache-2.0
"""The ports of a node's chips: their numbers, their lines in /etc/hccn.conf, how they are asked, and their facts."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Collection, Dict, List, NamedTuple, Optional, Set, Tuple

from .. import files
from ..command import Result
from ..finding import Finding, finding
from ..node import Node
from . import hccn_conf, tools
from .busy import Turns, is_busy

if TYPE_CHECKING:
    from ..shapes import Address, Device, Network, Port as PortFact

TOOL = tools.FOLDER + "/hccn_tool"
CONF = "/etc/hccn.conf"
HEALTHY = "Success"
AT_ONCE = 8  # ports asked side by side
MOST_LIMITS = 3  # no port is asked anything new after this many time limits


@dataclass
class Port:
    """A chip's port and what is known about it. ``roce``: whether it has one; if not, ``words`` are the tool's.

    ``unread``: (question, answer) of the answers that cannot be read. ``hung``, ``late``: no answer in time; ``busy``:
    what the tool said each time that it was asked.
    """

    device: int
    npu_id: int
    chip_id: Optional[int]
    several: bool  # the node's cards have several chips
    conf: Optional[hccn_conf.CardConf]
    roce: Optional[bool] = None
    words: str = ""
    address: Optional[str] = None
    netmask: Optional[str] = None
    prefix_length: Optional[int] = None
    gateway: Optional[str] = None
    link: Optional[str] = None
    net_health: Optional[str] = None
    no_address: bool = False
    hung: bool = False
    late: bool = False
    busy: str = ""
    unread: List[Tuple[str, str]] = field(default_factory=list)
    reasons: List[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The card; of cards with several chips, the chip too: "3/1"."""
        return "%d/%s" % (self.npu_id, self.chip_id) if self.several else str(self.npu_id)


@dataclass
class Answers:
    """The tool's answers about a port, by question.

    ``hung``: the last question had no answer, ``late``: time was up, ``busy``: the words of a tool that stayed busy.
    """

    results: Dict[str, Result] = field(default_factory=dict)
    hung: bool = False
    late: bool = False
    busy: str = ""

    def is_over(self) -> bool:
        """Whether nothing more is to be asked of the port."""
        return self.hung or self.late or bool(self.busy)


class Tool(NamedTuple):
    """hccn_tool at ``path``; each question has ``timeout_s``, and none is asked after ``deadline`` (monotonic)."""

    node: Node
    path: str
    timeout_s: float
    deadline: float
    turns: Turns

    def ask(self, port: Port, question: str, answers: Answers) -> None:
        """Ask ``question`` ("link", "ip -inet6") of one port, and note the answer."""
        if time.monotonic() >= self.deadline:
            answers.late = True
            return
        first, *more = question.split()
        argv = [self.path, "-i", str(port.device), "-" + first, *more, "-g"]
        result = self.turns.ask(lambda: self.node.run(argv, self.timeout_s), self.deadline)
        if result.timed_out:
            answers.hung = True
        elif is_busy(result):
            answers.busy = result.last_lines(2)
        else:
            answers.results[question] = result

    def ask_all(self, ports: List[Port], ask: Callable[[Port], Answers]) -> List[Answers]:
        """Return what ``ask`` returns for each port; several are asked in parallel."""
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(ports))) as pool:
            return list(pool.map(ask, ports))


def found_tool(node: Node, timeout_s: float) -> Optional[Tool]:
    """Return hccn_tool, to be used from now on; None if there is none."""
    path = tools.find(node, "hccn_tool")
    return Tool(node, path, timeout_s, time.monotonic() + MOST_LIMITS * timeout_s, Turns()) if path else None


def read_ports(node: Node, devices: List[Device], out: Collection[int] = ()) -> Tuple[List[Port], bool, List[Finding]]:
    """Return (ports, whether /etc/hccn.conf was read, findings) of at least one device; no tool is asked.

    Cards whose NPU id is in ``out`` are counted, because hccn_tool numbers all of them, but have no port here.
    """
    conf, findings = _read_conf(node)
    entries = {card.index: card for card in conf.cards} if conf else {}
    numbers = device_numbers(devices, _device_files(node) or set(entries))
    several = max(Counter(device["npu_id"] for device in devices).values()) > 1
    ports = [
        Port(number, device["npu_id"], device.get("chip_id"), several, entries.get(number))
        for number, device in zip(numbers, devices)
        if device["npu_id"] not in out
    ]
    return ports, conf is not None, findings


def as_facts(tool: Optional[Tool], ports: List[Port]) -> Network:
    """Return the facts of the ports, as ``network.read_network`` says."""
    known = [port.roce for port in ports if port.roce is not None]
    return {"tool": tool and tool.path, "roce": any(known) if known else None, "cards": [_fact(port) for port in ports]}


def without_tool(ports: List[Port]) -> Finding:
    """Mark in every port that there is no hccn_tool, and return the finding."""
    for port in ports:
        port.reasons.append("hccn_tool is missing")
    return finding(
        "network",
        "hccn-tool-missing",
        "hccn_tool is missing",
        "hccn_tool in PATH or %s" % tools.FOLDER,
        "no such program",
        TOOL,
        "install the NPU driver, which contains hccn_tool; in a container, mount %s from the host" % TOOL,
    )


def device_numbers(devices: List[Device], known: Set[int]) -> List[int]:
    """Return hccn_tool's number of each device: the physical one if the table shows it.

    Otherwise, for cards with one chip, the NPU id, which does not change if another card is lost, provided that
    ``known``, the node's numbers, contains it. Otherwise the running index.
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


def _device_files(node: Node) -> Set[int]:
    matches = (re.fullmatch("davinci([0-9]{1,4})", name) for name in files.names(node.path("/dev")))
    return {int(match.group(1)) for match in matches if match}


def _read_conf(node: Node) -> Tuple[Optional[hccn_conf.Conf], List[Finding]]:
    """Return what /etc/hccn.conf says (an absent file says nothing), None if it exists but cannot be read."""
    path = node.path(CONF)
    text = files.text(path)
    if text is None and os.path.lexists(path):
        return None, [unread(CONF, "cannot read the file", "ls -l %s" % CONF)]
    conf = hccn_conf.parse_conf(text or "")
    if conf.problems:
        return conf, [unread(CONF, "; ".join(conf.problems[:5]), "cat %s" % CONF)]
    return conf, []


def unread(where: str, found: str, remedy: str) -> Finding:
    """Return the finding of an answer or a file that cannot be read."""
    return finding(
        "network", "network-unread", "cannot read the cards' network settings", "an answer", found, where, remedy
    )


def _fact(port: Port) -> PortFact:
    conf = port.conf
    configured: Optional[Address] = None
    if conf:
        address = conf.address or conf.ipv6_address
        configured = {"address": address, "netmask": conf.netmask, "gateway": conf.gateway}
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
        "multi_node": None if port.busy and not port.reasons else not port.reasons,
        "reasons": port.reasons,
    }
