# SPDX-License-Identifier: Apache-2.0
"""Read /etc/hccn.conf, from which the driver sets up the cards' ports at boot, and recognise addresses.

Separate from the readers of hccn_tool's answers, because a node with healthy cards needs only this file.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Tuple, Union

from . import tool_output

_SETTING = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)_([0-9]{1,3})\s*=(.*)")
_NONE = ("", "NA", "N/A", "-", "NONE", "NULL", "(NULL)", "0.0.0.0", "::", "::0")


@dataclass(frozen=True)
class CardConf:
    """The file's lines for one card: ``values`` (name, value) of all of them; other fields are addresses or None."""

    index: int
    values: Tuple[Tuple[str, str], ...]
    address: Optional[str]
    netmask: Optional[str]
    gateway: Optional[str]
    ipv6_address: Optional[str]


class Conf(NamedTuple):
    """The cards in the order of their numbers."""

    cards: Tuple[CardConf, ...]
    problems: Tuple[str, ...]


def address_of(text: str) -> Optional[str]:
    """Return ``text`` as an address in its usual spelling, else None."""
    try:
        found: Union[ipaddress.IPv4Address, ipaddress.IPv6Address] = ipaddress.ip_address(text)
    except ValueError:
        return None
    # Pythons differ about zones and about 010.0.0.1: neither is an address here.
    return None if "%" in text or (found.version == 4 and str(found) != text) else str(found)


def netmask_of(text: str) -> Optional[str]:
    """Return the IPv4 netmask that ``text`` is, else None."""
    try:
        return text if str(ipaddress.IPv4Network("0.0.0.0/" + text).netmask) == text else None
    except ValueError:
        return None


def parse_conf(text: str) -> Conf:
    """Return the content of /etc/hccn.conf: one ``NAME_CARD=VALUE`` per line, without comments."""
    problems: List[str] = []
    found: Dict[int, List[Tuple[str, str]]] = {}
    for number, raw in tool_output.lines(text):
        line = re.split(r"(?:^|\s)#", raw, maxsplit=1)[0]
        match = _SETTING.match(line)
        if line.strip() == tool_output.ELIDED:
            problems.append("line %d: lines were left out" % number)
        elif match:
            name, index, value = match.groups()
            found.setdefault(int(index), []).append((name, value.strip().strip("\"'")))
        elif line.strip():
            problems.append("line %d: not NAME_CARD=VALUE: %s" % (number, tool_output.quoted(line.strip())))
    return Conf(tuple(_card_conf(index, found[index], problems) for index in sorted(found)), tuple(problems))


def _card_conf(index: int, values: List[Tuple[str, str]], problems: List[str]) -> CardConf:
    chosen: Dict[str, Optional[str]] = {}
    for name in ("address", "netmask", "gateway"):
        configured = list(dict.fromkeys(value for key, value in values if key.lower() == name))
        if len(configured) > 1:
            problems.append(
                "%s_%d has %d values: %s"
                % (name, index, len(configured), ", ".join(tool_output.quoted(one) for one in configured[:8]))
            )
        else:
            word = configured[0] if configured else ""
            value = netmask_of(word) if name == "netmask" else address_of(word)
            chosen[name] = checked("%s_%d" % (name, index), word, value, problems)
    names = re.compile("(?:ipv6|inet6).*addr|addr.*(?:ipv6|inet6)", re.IGNORECASE)
    six = next((value for key, value in values if names.search(key) and address_of(value)), None)
    address, netmask, gateway = (chosen.get(name) for name in ("address", "netmask", "gateway"))
    return CardConf(index, tuple(values), address, netmask, gateway, six)


def checked(name: str, text: str, value: Optional[str], problems: List[str]) -> Optional[str]:
    """Return ``value``, parsed from ``said``; None if that says "none", or if it is invalid, which is a problem."""
    if text.upper() in _NONE:
        return None
    if value is None:
        problems.append("%s is %s" % (name, tool_output.quoted(text)))
    return value
