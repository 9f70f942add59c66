# SPDX-License-Identifier: Apache-2.0
"""Judge the cards' own network: what keeps a card from training with other nodes' cards, what is lost at boot."""

from __future__ import annotations

import ipaddress
from typing import Callable, Dict, List

from ..finding import Finding, finding
from .ports import CONF, HEALTHY, Port, unread

# Without a gateway a card still reaches its own network.
_NEEDED = {"ip": "address", "link": "link", "net_health": "net health"}


def judge(ports: List[Port], conf_read: bool, timeout_s: float) -> List[Finding]:
    """Fill in the ports' ``reasons`` and return what is wrong, one finding for all cards that share it."""
    for port in ports:
        port.reasons += _reasons(port)
    with_port = [port for port in ports if port.roce is not False]
    findings = _silent(with_port, timeout_s) + _busy(with_port) + _no_address(with_port) + _duplicates(with_port)
    findings += _links(with_port) + _unhealthy(with_port) + _gateways(with_port)
    if conf_read:
        findings += _not_persistent(with_port)
    return findings + _unread(with_port)


def _reasons(port: Port) -> List[str]:
    if port.roce is False:
        return ["no RoCE port: %s" % port.words[:100]]
    reasons = ["no answer"] if port.hung or port.late else []
    reasons += ["no address"] if port.no_address else []
    reasons += ["link %s" % port.link] if port.link not in (None, "UP") else []
    reasons += ["net health: %s" % port.net_health] if port.net_health not in (None, HEALTHY) else []
    return reasons + ["%s cannot be read" % _NEEDED[question] for question, _ in port.unread if question in _NEEDED]


def _silent(ports: List[Port], timeout_s: float) -> List[Finding]:
    hung = [port for port in ports if port.hung]
    late = [port for port in ports if port.late and not port.hung]
    if not hung and not late:
        return []
    found = "nothing within %g s from %s" % (timeout_s, _cards(hung)) if hung else "slow answers"
    if late:
        found += "; time ran out before %s" % _cards(late)
    return [
        finding(
            "network",
            "hccn-tool-hangs",
            "hccn_tool does not answer",
            "an answer within %g s" % timeout_s,
            found,
            "hccn_tool -i %d" % (hung or late)[0].device,
            "dmesg | tail  # the driver hangs; end what uses the cards, or reboot the node",
        )
    ]


def _busy(ports: List[Port]) -> List[Finding]:
    """A busy tool gave no answer, so nothing is reported as wrong."""
    busy = [port for port in ports if port.busy]
    if not busy:
        return []
    return [
        finding(
            "network",
            "network-busy",
            "hccn_tool was busy every time: the network's state is unknown",
            "an answer",
            "%s: %s" % (_cards(busy), busy[0].busy),
            "hccn_tool -i %d" % busy[0].device,
            "ps -ef | grep hccn_tool  # which program keeps calling it? then check again",
        )
    ]


def _no_address(ports: List[Port]) -> List[Finding]:
    found = [port for port in ports if port.no_address]
    mask = next((port.netmask for port in ports if port.netmask), "255.255.0.0")
    groups = _grouped(found, lambda port: "yes" if port.conf and port.conf.address else "no")
    findings = []
    for configured, group in groups.items():
        number = group[0].device
        remedy = "hccn_tool -i %d -ip -s address 10.0.0.2 netmask %s  # with a free address from your plan" % (
            number,
            mask,
        )
        if configured == "yes":
            remedy = "hccn_tool -i %d -cfg recovery  # %s has the address; then hccn_tool -i %d -ip -g" % (
                number,
                CONF,
                number,
            )
        wanted = "a different address for every card"
        where = "hccn_tool -i %d -ip -g" % number
        findings.append(
            finding("network", "network-no-address", "cards have no address", wanted, _cards(group), where, remedy)
        )
    return findings


def _duplicates(ports: List[Port]) -> List[Finding]:
    groups = _grouped([port for port in ports if port.address], lambda port: port.address or "")
    shared = {address: group for address, group in groups.items() if len(group) > 1}
    if not shared:
        return []
    for group in shared.values():
        for port in group:
            port.reasons.append("address of another card")
    last = next(iter(shared.values()))[-1]
    mask = last.netmask or "255.255.0.0"
    return [
        finding(
            "network",
            "network-duplicate-address",
            "cards share an address",
            "a different address for every card",
            "; ".join("%s: %s" % (address, _cards(group)) for address, group in shared.items()),
            "hccn_tool -i %d -ip -g" % last.device,
            "hccn_tool -i %d -ip -s address 10.0.0.2 netmask %s  # with a free address from your plan"
            % (last.device, mask),
        )
    ]


def _links(ports: List[Port]) -> List[Finding]:
    groups = _grouped([port for port in ports if port.link not in (None, "UP")], lambda port: port.link or "")
    return [
        finding(
            "network",
            "network-link-down",
            "the link of some cards is not up",
            "link status: UP",
            "%s: %s" % (word, _cards(group)),
            "hccn_tool -i %d -link -g" % group[0].device,
            "hccn_tool -i %d -optical -g  # check the cable, the optical module and the switch port" % group[0].device,
        )
        for word, group in groups.items()
    ]


def _unhealthy(ports: List[Port]) -> List[Finding]:
    sick = [port for port in ports if port.net_health not in (None, HEALTHY)]
    findings = []
    for word, group in _grouped(sick, lambda port: port.net_health or "").items():
        first = group[0]
        gateway = first.gateway or (first.conf and first.conf.gateway) or "10.0.0.1"
        remedy = "hccn_tool -i %d -ping -g address %s  # what the card watches: hccn_tool -i %d -netdetect -g"
        if word == "Init":
            remedy = (
                "hccn_tool -i %d -netdetect -s address %s  # the address to watch; now: hccn_tool -i %d -netdetect -g"
            )
        findings.append(
            finding(
                "network",
                "network-unhealthy",
                "cards cannot reach the address that they watch",
                "net health status: %s" % HEALTHY,
                "%s: %s" % (word, _cards(group)),
                "hccn_tool -i %d -net_health -g" % first.device,
                remedy % (first.device, gateway, first.device),
            )
        )
    return findings


def _gateways(ports: List[Port]) -> List[Finding]:
    outside = [port for port in ports if _gateway_outside(port)]
    if not outside:
        return []
    shown = (
        "%s is not in %s/%s (card %s)" % (p.gateway, p.address, p.netmask or p.prefix_length, p.label) for p in outside
    )
    number = outside[0].device
    return [
        finding(
            "network",
            "network-gateway-unreachable-by-mask",
            "the gateway of cards is not in their own network",
            "a gateway in the network of address and netmask",
            "; ".join(shown),
            "hccn_tool -i %d -gateway -g" % number,
            "hccn_tool -i %d -gateway -s gateway 10.0.0.1  # with the gateway of that network" % number,
        )
    ]


def _gateway_outside(port: Port) -> bool:
    length = port.netmask or port.prefix_length
    if port.address is None or port.gateway is None or length is None:
        return False
    gateway = ipaddress.ip_address(port.gateway)
    if gateway.version != ipaddress.ip_address(port.address).version:
        return False
    return gateway not in ipaddress.ip_network("%s/%s" % (port.address, length), strict=False)


def _not_persistent(ports: List[Port]) -> List[Finding]:
    lost = [(port, words) for port in ports for words in [_differs(port)] if words]
    if not lost:
        return []
    first = lost[0][0]
    if first.prefix_length is not None and first.netmask is None:
        option = "-inet6 -s ipv6_address %s prefix_length %d" % (first.address, first.prefix_length)
    else:
        option = "-s address %s netmask %s" % (first.address, first.netmask or "255.255.0.0")
    remedy = "hccn_tool -i %d -ip %s  # also saves it" % (first.device, option)
    return [
        finding(
            "network",
            "network-not-persistent",
            "cards will lose or change their address at the next boot",
            "the same settings in %s as now" % CONF,
            "; ".join("card %s: %s" % (port.label, words) for port, words in lost),
            CONF,
            remedy,
        )
    ]


def _differs(port: Port) -> str:
    """Return how the file differs from the present settings; empty if it does not."""
    if port.address is None:
        return ""
    conf = port.conf
    written = conf and (conf.ipv6_address if ":" in port.address else conf.address)
    if conf is None or written != port.address:
        return "%s, in the file %s" % (port.address, written or "none")
    for name, now, later in (("netmask", port.netmask, conf.netmask), ("gateway", port.gateway, conf.gateway)):
        if now and now != later and ":" not in now:
            return "%s %s, in the file %s" % (name, now, later or "none")
    return ""


def _unread(ports: List[Port]) -> List[Finding]:
    groups: Dict[str, Dict[str, List[Port]]] = {}
    for port in ports:
        for question, reason in port.unread:
            groups.setdefault(question, {}).setdefault(reason, []).append(port)
    findings = []
    for question, by_card in groups.items():
        command = "hccn_tool -i %d -%s -g" % (next(iter(by_card.values()))[0].device, question)
        found = "; ".join("%s: %s" % (_cards(group), reason) for reason, group in by_card.items())
        findings.append(unread(command, found, command))
    return findings


def _grouped(ports: List[Port], key: Callable[[Port], str]) -> Dict[str, List[Port]]:
    groups: Dict[str, List[Port]] = {}
    for port in ports:
        groups.setdefault(key(port), []).append(port)
    return groups


def _cards(ports: List[Port]) -> str:
    return "%s %s" % ("card" if len(ports) == 1 else "cards", ", ".join(port.label for port in ports))
