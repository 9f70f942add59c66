# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a single node before it trains with others. Pure: its answers in, failures out."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Mapping
from typing import Any

from ...ascend.finding import Finding, finding
from ...ascend.settings import drop_ins
from ...ascend.text import listed
from .wishes import Wishes

Answer = Mapping[str, Any]
RACK = "rack"
UNLIMITED = -1
MOST_DOWNS = 2  # of a link within a day: a cable that was changed goes down once or twice
# Findings of the facts that keep no node from training with others now.
_LATER = ("network-not-persistent",)
_OF_CARDS = ("npu", "driver")


def failure(name: str, problem: str, wanted: str, found: str, where: str, remedy: str) -> Finding:
    """Return what keeps a node from training with others, in the form of a finding."""
    return finding(RACK, name, problem, wanted, found, where, remedy)


def before_smoke(answer: Answer) -> list[Finding]:
    """Return why nothing may run on the node: its cards are in use, it is being changed, it has no environment."""
    if answer.get("silent"):
        return [answer["silent"]]
    facts = answer["look"]["facts"]
    return _changing(facts) + _cards(facts) + _in_use(facts) + _environment(facts)


def failures(answer: Answer, wishes: Wishes) -> list[Finding]:
    """Return everything that is wrong with the single node."""
    found = before_smoke(answer)
    if answer.get("silent"):
        return found
    look = answer["look"]
    found += _smoke(answer) + _interface(look["interface"]) + _taken(look["taken"]) + _limits(look, wishes)
    found += _name(look["host"]) + _paths(look)
    return found + (_network(look) if wishes.network else [])


def remarks(answer: Answer, wishes: Wishes) -> list[str]:
    """Return what an operator should know about the node, although it is no failure."""
    if answer.get("silent"):
        return []
    look, words = answer["look"], []
    facts = look["facts"]
    for name, want in sorted(wishes.kernel_settings.items()):
        have = facts["system"]["kernel_settings"].get(name)
        if have is not None and not drop_ins.fulfils(have, str(want)):
            words.append(f"{name} is {have or 'empty'}, not {want}: the kernel may hand out such a port; run site.yml")
    words += [f"card {left['card']} is left out: {left['why']}" for left in answer.get("left_out", [])]
    if not look["interface"]["asked"] and look["interface"]["name"]:
        words.append(f"train_interface is not set: HCCL will use {look['interface']['name']}")
    words += [f"{each['problem']}: {each['found']}" for each in facts["findings"] if each["name"] in _LATER]
    return words + (_of_cards(look["cards"]) if wishes.network else [])


def _of_cards(cards: list[Any]) -> list[str]:
    words = [
        f"the link of card {card['device']} went down {card['link_downs_of_day']} times within a day"
        for card in cards
        if 0 < (card["link_downs_of_day"] or 0) <= MOST_DOWNS
    ]
    for question in ("netdetect", "tls", "link_stat", "lldp"):
        silent = [str(card["device"]) for card in cards if question in card["unread"]]
        if silent:
            first = next(card["unread"][question] for card in cards if question in card["unread"])
            words.append(f"hccn_tool -{question} gave no answer for card {listed(silent, most=8)}: {first}")
    return words


def _changing(facts: Any) -> list[Finding]:
    change = facts["changes"]["running"]
    if not change:
        return []
    found = f"{change['action']} by {change['who']} from {change['control']}, since {change['began']}"
    wanted, remedy = "no change of the node in progress", "wait for it to end, or run site.yml again for this node"
    return [failure("being-changed", "the node is being changed", wanted, found, "the run lock", remedy)]


def _cards(facts: Any) -> list[Finding]:
    npu = facts["npu"]
    if not npu["answered"] or not npu["devices"]:
        silent = next((each for each in facts["findings"] if each["subset"] in _OF_CARDS), None)
        remedy = "npu-smi info; dmesg | tail"
        return [silent or failure("no-cards", "npu-smi shows no card", "cards", "none", "npu-smi info", remedy)]
    sick = [device for device in npu["devices"] if device["health"] != "OK" and not device.get("out")]
    if not sick:
        return []
    shown = listed(
        [f"{each['npu_id']}: {each['health'] or 'unread'} {' '.join(each['errors'])}".rstrip() for each in sick]
    )
    remedy = f"npu-smi info -t health -i {sick[0]['npu_id']}  # then the vendor; ascend_cards_out leaves a card out"
    return [failure("card-unhealthy", "cards are not healthy", "health OK", shown, "npu-smi info", remedy)]


def _in_use(facts: Any) -> list[Finding]:
    npu = facts["npu"]
    processes = npu["processes"]
    if not processes and not npu["process_count"]:
        if not npu["unclear"]:
            return []
        cards = listed([str(card) for card in npu["unclear"]])
        found, problem = f"cards {cards}", "cannot tell whether processes use the cards"
    else:
        found = listed(
            [f"{each['pid']} ({each['command'] or each['name']}, {each['user']})" for each in processes],
            npu["process_count"],
            3,
        )
        problem = "processes use the cards"
    remedy = "npu-smi info; fuser -v /dev/davinci*  # end a left-over job, wait 10 s; leave a running job alone"
    return [failure("cards-in-use", problem, "idle cards", found, "npu-smi info", remedy)]


def _environment(facts: Any) -> list[Finding]:
    environments = facts["environments"]
    if environments["current"] in environments["all"]:
        return []
    found = environments["current"] or "no link named current"
    remedy = "ansible-playbook site.yml --limit NODE"
    return [
        failure(
            "no-environment", "the node has no current environment", "one", found, "/opt/ascend/env/current", remedy
        )
    ]


def _smoke(answer: Answer) -> list[Finding]:
    proof, smoke = answer.get("proof"), answer.get("smoke")
    if proof and proof.get("failed"):
        parts = [str(proof.get(key, "")) for key in ("problem", "wanted", "found", "where", "remedy")]
        return [failure("proof", parts[0] or str(proof.get("msg", ""))[-500:], *parts[1:])]
    if smoke and not smoke.get("ok"):
        return [of_ranks("smoke", "a matmul and an all_reduce within the node fail", smoke)]
    return []


def of_ranks(name: str, problem: str, ranks: Any) -> Finding:
    """Return the failure of a node's ranks, in their own words."""
    found = ranks.get("error") or str(ranks.get("msg", "no answer"))[-500:]
    symptom = f" ({ranks['symptom']})" if ranks.get("symptom") else ""
    remedy = ranks.get("remedy") or "ascend-env python -c 'import torch, torch_npu; print(torch.npu.is_available())'"
    return failure(
        name, problem + symptom, "the right sums in time", found, f"torchrun, at: {ranks.get('at', '')}", remedy
    )


def _interface(found: Any) -> list[Finding]:
    asked = found["asked"] or "HCCL's own choice"
    where, look = f"train_interface ({asked})", "ip -brief address"
    if not found["name"]:
        have = "none of " + listed(found["all"], most=12)
        remedy = f"{look}  # then set train_interface in the inventory, for this node if it differs"
        return [
            failure(
                "interface-absent", "the interface in HCCL_SOCKET_IFNAME does not exist", asked, have, where, remedy
            )
        ]
    name = found["name"]
    if not found["up"]:
        return [
            failure(
                "interface-down",
                f"the interface {name} is not up",
                "UP",
                "down, or no carrier",
                where,
                f"{look}; ip link set {name} up",
            )
        ]
    if not found["address"]:
        return [
            failure(
                "interface-address",
                f"the interface {name} has no address",
                "an address",
                "none",
                where,
                f"{look}  # is it the right one?",
            )
        ]
    return []


def _taken(taken: list[Any]) -> list[Finding]:
    if not taken:
        return []
    shown = []
    for each in taken:
        who = f", {each['pid']} ({each['command']}, {each['user']})" if each["pid"] else ""
        shown.append(f"{each['port']}: {each['why']}{who}")
    remedy = f"ss -ltnp 'sport = :{taken[0]['port']}'"
    remedy += "  # end a left-over job, or change train_master_port or HCCL_IF_BASE_PORT"
    return [
        failure(
            "port-taken",
            "ports that a job needs are in use",
            "MASTER_PORT and 60000-60031 free",
            listed(shown, most=4),
            "bind()",
            remedy,
        )
    ]


def _limits(look: Any, wishes: Wishes) -> list[Finding]:
    found = []
    for name, want in sorted(wishes.limits.items()):
        have = look["facts"]["system"]["limits"].get(name, [UNLIMITED, UNLIMITED])[1]
        if have != UNLIMITED and have < int(want):
            found.append(f"{name} is {have}, not {want}")
    if not found:
        return []
    remedy = "ansible-playbook site.yml --limit NODE  # writes /etc/security/limits.d; then a new session"
    return [
        failure(
            "limits",
            "limits are lower than the release needs",
            "those of the release",
            "; ".join(found),
            "ulimit -H -a",
            remedy,
        )
    ]


def _name(host: Any) -> list[Finding]:
    name = host["name"]
    remedy = f"getent hosts {shlex.quote(name)}; edit /etc/hosts: the address of train_interface, then {name}"
    wanted = "one of the node's own addresses, not 127.*"
    if host["error"] or not host["addresses"]:
        return [
            failure(
                "own-name",
                "the node cannot resolve its own name",
                wanted,
                f"{name}: {host['error']}",
                "/etc/hosts",
                remedy,
            )
        ]
    loops = [address for address in host["addresses"] if ipaddress.ip_address(address.partition("%")[0]).is_loopback]
    # An IPv6 loopback beside a real address is what every distribution writes.
    if not any(":" not in address for address in loops) and len(loops) < len(host["addresses"]):
        return []
    return [
        failure(
            "own-name",
            "the node's own name resolves to loopback only",
            wanted,
            f"{name} is {', '.join(loops)}",
            "/etc/hosts",
            remedy,
        )
    ]


def _paths(look: Any) -> list[Finding]:
    account, found = look["account"]["name"], []
    for path, each in look["paths"].items():
        if each["error"]:
            remedy = f"runuser -u {account} -- ls -la {shlex.quote(path)}; findmnt -T {shlex.quote(path)}"
            wanted = f"files that {account} can read"
            found.append(failure("path", f"{path} cannot be read", wanted, each["error"], path, remedy))
    return found


def _network(look: Any) -> list[Finding]:
    found = [each for each in look["facts"]["findings"] if each["subset"] == "network" and each["name"] not in _LATER]
    silent = [card["device"] for card in look["cards"] if card["netdetect"] == ""]
    healthy = {card["device"] for card in look["facts"]["network"]["cards"] if card["net_health"] == "Success"}
    unwatched = [number for number in silent if number not in healthy]
    if unwatched and not any(each["name"] == "network-unhealthy" for each in found):
        number = unwatched[0]
        cards = "cards " + listed([str(each) for each in unwatched], most=8)
        remedy = f"hccn_tool -i {number} -netdetect -s address 10.0.0.1  # the gateway of the card's network"
        found.append(
            failure(
                "no-detect-address",
                "cards watch no address",
                "a detect address",
                cards,
                f"hccn_tool -i {number} -netdetect -g",
                remedy,
            )
        )
    flapping = [card for card in look["cards"] if (card["link_downs_of_day"] or 0) > MOST_DOWNS]
    if flapping:
        number = flapping[0]["device"]
        shown = listed([f"card {card['device']}: {card['link_downs_of_day']} times" for card in flapping], most=8)
        remedy = f"hccn_tool -i {number} -link_stat -g; hccn_tool -i {number} -optical -g"
        remedy += "  # check the cable and the optical module"
        found.append(
            failure(
                "link-flaps",
                "links keep going down",
                f"at most {MOST_DOWNS} times a day",
                shown,
                f"hccn_tool -i {number} -link_stat -g",
                remedy,
            )
        )
    return found
