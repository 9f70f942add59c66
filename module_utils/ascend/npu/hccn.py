# SPDX-License-Identifier: Apache-2.0
"""Read what hccn_tool says about a card's own network port.

One reader for each question that is asked; ``hccn_answer.read`` parses any other answer. Nothing here raises on a text,
or guesses: what cannot be read is a problem, and the rest is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

from . import tool_output
from .hccn_answer import read
from .hccn_conf import address_of, checked, netmask_of
from .labels import Block, Pair, fold, look_up

LINK_WORDS = ("UP", "DOWN", "PARTIAL LINK", "PARTIAL UP", "UNKNOWN")
_UNWELL = (
    "Fault",
    "Socket fail",
    "Socket failed",
    "Receive timeout",
    "Unreachable",
    "Time exceeded",
    "Thread error",
)
HEALTH_WORDS = ("Success", "Init", "Detect ip set", "Unknown", *_UNWELL)

_CHANGE = re.compile(r"(.*\S)\s+LINK[ _](UP|DOWN)$")
_BRACKETS = re.compile(r"([A-Za-z][A-Za-z_ ]{0,60})\[([^\]]{0,400})\]")
_CERTIFICATE = re.compile(r"dev_id:[0-9]+, \[([^\]]*)\] info:")
_ADDRESS = ("ipaddr", "ipaddress", "ip", "address", "ipv6address", "ipv6addr")
_GATEWAY = ("defaultgateway", "gateway", "ipv6gateway", "ipv6defaultgateway")


@dataclass(frozen=True)
class Value:
    """One value, None if there is none; ``error``: what the tool said instead."""

    value: Optional[str]
    error: str
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class Address:
    """``address`` and ``netmask`` (IPv4) or ``prefix_length`` (IPv6); all None, no error: the card has none."""

    address: Optional[str]
    netmask: Optional[str]
    prefix_length: Optional[int]
    error: str
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class LinkStat:
    """How often a link changed; ``changes`` are (time, "UP" or "DOWN") as the tool lists them, the newest first."""

    device: Optional[int]
    now: str
    up_count: Optional[int]
    down_count: Optional[int]
    changes: Tuple[Pair, ...]
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class Certificate:
    """``status``: 0 valid, 1 expires soon, 2 expired."""

    name: str
    subject: str
    issuer: str
    start: str
    end: str
    status: Optional[int]


@dataclass(frozen=True)
class Tls:
    """``switch`` 1: the card talks only to cards that have TLS switched on, too."""

    device: Optional[int]
    switch: Optional[int]
    preconfigured: Optional[int]
    alarm_days: Optional[int]
    certificates: Tuple[Certificate, ...]
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class Ping:
    device: Optional[int]
    address: Optional[str]
    sent: Optional[int]
    received: Optional[int]
    loss_percent: Optional[float]
    times_ms: Tuple[float, ...]
    problems: Tuple[str, ...]


def parse_address(text: str) -> Address:
    """Return what ``-ip -g`` says; with ``-inet6`` too."""
    answer = read(text)
    problems = list(answer.problems)
    values = [value.split("/") for key, value in answer.pairs if fold(key) in _ADDRESS]
    first = values[0][0].strip() if values else ""
    address = checked("address", first, address_of(first), problems)
    if len({value[0] for value in values}) > 1:
        problems.append(
            "%d addresses: %s" % (len(values), ", ".join(tool_output.quoted(value[0]) for value in values[:8]))
        )
    mask = look_up(answer.pairs, "netmask") or ""
    netmask = checked("netmask", mask, netmask_of(mask), problems)
    length = look_up(answer.pairs, "prefix_length") or (values[0][1] if values and len(values[0]) > 1 else "")
    prefix = tool_output.integer(length.strip())
    if length and (prefix is None or not 0 <= prefix <= 128):
        problems.append("prefix length is %s" % tool_output.quoted(length))
        prefix = None
    return Address(address, netmask, prefix, "" if values else _words(text), tuple(problems))


def parse_gateway(text: str) -> Value:
    """Return the address that ``-gateway -g`` names: "default gateway:ADDRESS, Iface:NAME", or a route to default."""
    answer = read(text)
    problems = list(answer.problems)
    gateways = [value for key, value in answer.pairs if fold(key) in _GATEWAY]
    gateways += [
        line[8:].replace("via ", "") for part in answer.sections for line in part.lines if line[:8] == "default "
    ]
    word = (gateways[0].partition(",")[0].split() or [""])[0] if gateways else ""
    return Value(
        checked("gateway", word, address_of(word), problems), "" if gateways else _words(text), tuple(problems)
    )


def parse_link(text: str) -> Value:
    """Return "UP", "DOWN" or another word in capitals from ``-link -g``."""
    return _word(text, "link status", [(word, word) for word in LINK_WORDS])


def parse_net_health(text: str) -> Value:
    """Return the word of ``-net_health -g``: whether the watched address answers. Only "Success" is healthy."""
    return _word(text, "net health status", [(word, word.upper()) for word in HEALTH_WORDS])


def parse_link_stat(text: str) -> LinkStat:
    """Return what ``-link_stat -g`` says, as lines or, on an Ascend 950, as a table."""
    answer = read(text)
    problems = list(answer.problems)
    device, changes = answer.device, []
    for section in answer.sections:
        for line in section.lines:
            match = _CHANGE.match(line)
            if match:
                changes.append((match.group(1), match.group(2)))
            else:
                problems.append("not understood: %s" % tool_output.quoted(line))
        for table in section.tables:
            for row in table.rows:
                values = {fold(name): value for name, value in zip(table.columns, row)}
                match = _CHANGE.match("at %s" % values.get("linkstatus", "").replace("_", " "))
                if match:
                    changes.append((values.get("timestamp", ""), match.group(2)))
                else:
                    problems.append("not understood: %s" % tool_output.quoted(" ".join(row)))
                device = tool_output.integer(values.get("npu", "")) if device is None else device
    up, down = (_count(answer.pairs, label, problems) for label in ("link up count", "link down count"))
    return LinkStat(device, look_up(answer.pairs, "current time") or "", up, down, tuple(changes), tuple(problems))


def parse_tls(text: str) -> Tls:
    """Return what ``-tls -g`` says: the switch, which must be the same on all nodes, and the certificates."""
    head: Dict[str, str] = {}
    certificates: List[Tuple[str, Dict[str, str]]] = []
    problems: List[str] = []
    for number, raw in tool_output.lines(text):
        line = raw.strip()
        named = _CERTIFICATE.match(line)
        values = {key.strip(): value for key, value in _BRACKETS.findall(line)}
        if named:
            certificates.append((named.group(1), {}))
        elif line.startswith("dev_id:") and "tls switch" in values:
            head.update(values, device=line[len("dev_id:") :].partition(",")[0])
        elif values and certificates:
            certificates[-1][1].update(values)
        elif line:
            problems.append("line %d: not understood: %s" % (number, tool_output.quoted(line)))
    found = tuple(_certificate(name, values) for name, values in certificates)
    numbers = ("device", "tls switch", "tls preconfigured", "tls alarm time threshold")
    if "tls switch" not in head:
        problems.append("no tls switch")
    device, switch, preconfigured, alarm_days = (_integer(head, name) for name in numbers)
    return Tls(device, switch, preconfigured, alarm_days, found, tuple(problems))


def parse_ping(text: str) -> Ping:
    """Return what ``-ping -g address ADDRESS`` says."""
    device = sent = received = address = loss = None
    times: List[float] = []
    problems: List[str] = []
    for number, raw in tool_output.lines(text):
        words = re.split(r"[ ,=]+", raw.strip())
        if words[0] == "device" and words[2:3] == ["PING"] and len(words) > 3:
            device, address = tool_output.integer(words[1]), address_of(words[3])
        elif words[:2] == ["recv", "seq"] and words[3:4] == ["time"] and words[-1].endswith("ms"):
            times += [value for value in [tool_output.number(words[-1][:-2])] if value is not None]
        elif words[1:3] == ["packets", "transmitted"] and words[4:5] == ["received"] and words[5:6]:
            sent, received = tool_output.integer(words[0]), tool_output.integer(words[3])
            loss = tool_output.number(words[5].rstrip("%"))
        elif raw.strip():
            problems.append("line %d: not understood: %s" % (number, tool_output.quoted(raw.strip())))
    if sent is None:
        problems.append("no count of packets")
    return Ping(device, address, sent, received, loss, tuple(times), tuple(problems))


def _word(text: str, label: str, known: List[Pair]) -> Value:
    """Return the value of one label: as ``known`` spells it, else with a problem."""
    answer = read(text)
    problems = list(answer.problems)
    spelt = look_up(answer.pairs, label)
    if spelt is None:
        return Value(None, _words(text), tuple(problems))
    value = next((word for word, upper in known if upper == spelt.upper()), None)
    if value is None:
        problems.append("%s is %s" % (label, tool_output.quoted(spelt)))
    return Value(value or spelt or None, "", tuple(problems))


def _words(text: str) -> str:
    """Return what a tool said instead of an answer: its first lines, joined."""
    lines = [line.strip() for _, line in tool_output.lines(text)]
    return " ".join([line[:200] for line in lines if line][:5])


def _count(pairs: Block, label: str, problems: List[str]) -> Optional[int]:
    digits = look_up(pairs, label)
    value = tool_output.integer(digits) if digits is not None else None
    if digits is not None and value is None:
        problems.append("%s is %s" % (label, tool_output.quoted(digits)))
    return value


def _certificate(name: str, values: Dict[str, str]) -> Certificate:
    subject, issuer, start, end = (values.get(key, "") for key in ("subject", "issuer", "start_time", "end_time"))
    return Certificate(name, subject, issuer, start, end, _integer(values, "tls expiration status"))


def _integer(values: Dict[str, str], name: str) -> Optional[int]:
    return tool_output.integer(values.get(name, ""))
