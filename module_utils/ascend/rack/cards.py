# SPDX-License-Identifier: Apache-2.0
"""Questions about a card's network before several nodes train together, beyond what the facts contain."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Collection, Dict, List, Optional

from ..command import Result
from ..finding import quoted
from ..node import Node
from ..npu import hccn
from ..npu.hccn_answer import read
from ..npu.hccn_conf import address_of
from ..npu.labels import fold
from ..npu.ports import Answers, Port, Tool, found_tool, read_ports

if TYPE_CHECKING:
    from ..shapes import Device

QUESTIONS = ("netdetect", "tls", "link_stat", "lldp")
DAY_S = 86400
_STAMP = "%a %b %d %H:%M:%S %Y"
_NO_ADDRESS = "0.0.0.0"

Card = Dict[str, Any]


def read_cards(node: Node, devices: List[Device], timeout_s: float, out: Collection[int] = ()) -> List[Card]:
    """Return a dictionary a port, in the order of the facts' ``network.cards``; empty without hccn_tool.

    ``{"device", "netdetect", "tls", "link_up_count", "link_downs_of_day", "switch_port", "unread"}``: the address that
    the card watches, the TLS switch (0, 1), how often its link came up since the driver did, how often it went down
    within the day before the tool's own clock, the port of the switch by LLDP; each None if unknown, and then
    ``unread`` has the tool's words by question.
    """
    tool = found_tool(node, timeout_s)
    if not tool or all(device["npu_id"] in out for device in devices):
        return []
    ports, _, _ = read_ports(node, devices, out)
    answers = tool.ask_all(ports, lambda port: _ask(tool, port))
    return [_card(port, each) for port, each in zip(ports, answers)]


def _ask(tool: Tool, port: Port) -> Answers:
    """Ask everything; a question that hangs costs that card's later ones, because the driver serves them one by one."""
    answers = Answers()
    for question in QUESTIONS:
        if not answers.is_over():
            tool.ask(port, question, answers)
    return answers


def _card(port: Port, answers: Answers) -> Card:
    card: Card = {"device": port.device, "unread": {}}
    nothing = "no answer in time" if answers.hung or answers.late else answers.busy
    for question, names, parse in _PARSERS:
        result = answers.results.get(question)
        found = parse(result) if result else None
        card.update(found if found is not None else dict.fromkeys(names))
        if found is None:
            card["unread"][question] = quoted(result.last_lines(2) if result else nothing) or "no output"
    return card


def _netdetect(result: Result) -> Optional[Card]:
    """``netdetect address: 10.20.255.254``; 0.0.0.0, or no line, if none is set."""
    pairs = read(result.answer).pairs
    words = next((value for key, value in pairs if fold(key) in ("netdetectaddress", "address")), "")
    if not words and result.printed.strip():
        return None
    address = address_of(words.strip())
    return {"netdetect": "" if address in (None, _NO_ADDRESS) else address}


def _tls(result: Result) -> Optional[Card]:
    switch = hccn.parse_tls(result.answer).switch
    return None if switch is None else {"tls": switch}


def _link_stat(result: Result) -> Optional[Card]:
    stat = hccn.parse_link_stat(result.answer)
    if stat.up_count is None and not stat.changes:
        return None
    return {"link_up_count": stat.up_count, "link_downs_of_day": downs_of_day(stat)}


def downs_of_day(stat: hccn.LinkStat) -> Optional[int]:
    """Return how often the link went down within a day before the tool's own time; None if times cannot be read."""
    now = _seconds(stat.now)
    times = [_seconds(at) for at, word in stat.changes if word == "DOWN"]
    if now is None or None in times:
        return None
    return sum(1 for at in times if at is not None and now - at <= DAY_S)


def _seconds(stamp: str) -> Optional[float]:
    try:
        return time.mktime(time.strptime(stamp.strip(), _STAMP))
    except (ValueError, OverflowError):
        return None


def _lldp(result: Result) -> Optional[Card]:
    port = next((value for key, value in read(result.answer).pairs if fold(key) == "ifname"), "")
    return {"switch_port": port.strip()} if port.strip() else None


_PARSERS: List[Any] = [
    ("netdetect", ("netdetect",), _netdetect),
    ("tls", ("tls",), _tls),
    ("link_stat", ("link_up_count", "link_downs_of_day"), _link_stat),
    ("lldp", ("switch_port",), _lldp),
]
