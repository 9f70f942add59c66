# SPDX-License-Identifier: Apache-2.0
"""Who pings whom, and who connects to whom: one question per node, a few per node, or all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...ascend.finding import Finding
from ...ascend.text import listed
from .alone import failure
from .wishes import MESH, PAIRS, Wishes

MOST_PEERS = 64  # of a node with mesh: 512 pings of its 8 cards, some minutes
FIRST_OF_HCCL = 60000


def offsets(count: int, mode: str) -> list[int]:
    """Return which nodes each of ``count`` asks, as distances in the nodes' order, which is a ring.

    ``pairs``: the next one. ``sample``: 1, 2, 4, 8 ... further on, so that any two are few steps apart. ``mesh``: all
    others, or as many as MOST_PEERS, spread evenly.
    """
    if count < 2:
        return []
    if mode == PAIRS:
        return [1]
    if mode != MESH:
        return sorted({1 << power for power in range((count - 1).bit_length()) if 1 << power < count})
    others = list(range(1, count))
    if len(others) <= MOST_PEERS:
        return others
    return sorted({others[number * len(others) // MOST_PEERS] for number in range(MOST_PEERS)})


def mode_words(count: int, mode: str) -> str:
    """Return how many pairs of nodes are asked, of how many there are."""
    asked, all_pairs = count * len(offsets(count, mode)), count * (count - 1)
    return f"mode {mode}: {asked} of {all_pairs} ordered pairs of nodes"


def questions(looks: Mapping[str, Any], wishes: Wishes) -> dict[str, dict[str, list[Any]]]:
    """Return node -> ``{"pings", "connections"}`` as the module ``rack_reach`` takes them.

    Card i pings card i, which is on the same rail. Each node connects to those that it pings and to the first one, at
    MASTER_PORT and at HCCL's first port.
    """
    names = list(looks)
    asked: dict[str, dict[str, list[Any]]] = {}
    for number, name in enumerate(names):
        peers = [names[(number + offset) % len(names)] for offset in offsets(len(names), wishes.mode)]
        mine = looks[name]["facts"].get("network", {}).get("cards", [])
        pings = []
        for peer in peers if wishes.network else []:
            theirs = {card["device"]: card["address"] for card in looks[peer]["facts"]["network"]["cards"]}
            for card in mine:
                if card["address"] and theirs.get(card["device"]):
                    pings.append(
                        {
                            "device": card["device"],
                            "address": theirs[card["device"]],
                            "to": peer,
                            "card": card["device"],
                        }
                    )
        targets = dict.fromkeys([*peers, *([names[0]] if number else [])])
        connections = [
            {"to": peer, "address": looks[peer]["interface"]["address"], "port": port}
            for peer in targets
            for port in (wishes.master_port, FIRST_OF_HCCL)
        ]
        asked[name] = {"pings": pings, "connections": connections}
    return asked


def failures(answers: Mapping[str, Any]) -> dict[str, list[Finding]]:
    """Return node -> failures from the answers of ``rack_reach``; ``answers`` are node -> its result.

    A connection or a ping has two ends. A node fails for what it could not reach; if several cannot reach one node,
    that node is at fault and they are not.
    """
    found = {name: [] if "connections" in answer else [_silent(answer)] for name, answer in answers.items()}
    _add(found, answers, "connections", _connections)
    _add(found, answers, "pings", _pings)
    return found


def _add(found: dict[str, list[Finding]], answers: Mapping[str, Any], kind: str, words: Any) -> None:
    lost = [(name, each) for name, answer in answers.items() for each in answer.get(kind, []) if each["ok"] is False]
    blamed = _blamed(answers, kind)
    for name in answers:
        by = [each for asker, each in lost if asker == name and each["to"] not in blamed - {name}]
        of = [(asker, each) for asker, each in lost if each["to"] == name and name in blamed and asker not in blamed]
        if by or of:
            found[name].append(words(by, of))


def _silent(answer: Mapping[str, Any]) -> Finding:
    words = str(answer.get("msg") or answer.get("error") or "no answer")[-500:]
    problem = "the node no longer answers, so it is unknown which nodes it reaches"
    return failure("no-answer", problem, "an answer", words, "rack_reach", "ansible NODE -m ping")


def _blamed(answers: Mapping[str, Any], kind: str) -> set[str]:
    """Return the nodes whose every question, or every question about them, failed, of two others at least."""
    asked: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    partners: dict[str, set[str]] = {}
    for name, answer in answers.items():
        for each in answer.get(kind, []):
            for end, other in ((name, each["to"]), (each["to"], name)):
                asked[end] += 1
                if each["ok"] is False:
                    lost[end] += 1
                    partners.setdefault(end, set()).add(other)
    whole = {name for name in asked if lost[name] == asked[name]}
    return {name for name in whole if len(partners[name]) > 1}


def _connections(by: Sequence[Any], of: Sequence[Any]) -> Finding:
    shown = [f"{each['to']} ({each['address']}:{each['port']}): {each['words']}" for each in by]
    shown += [f"from {asker} ({each['address']}:{each['port']}): {each['words']}" for asker, each in of]
    first = by[0] if by else of[0][1]
    remedy = (
        f"nc -vz {first['address']} {first['port']}; nft list ruleset  # firewall, VLAN, the right train_interface?"
    )
    problem = "nodes cannot reach each other through the interface in HCCL_SOCKET_IFNAME (EI0015)"
    return failure(
        "not-reached",
        problem,
        "an answer, even if nothing listens",
        listed(shown, most=4),
        "connect()",
        remedy,
    )


def _pings(by: Sequence[Any], of: Sequence[Any]) -> Finding:
    shown = [f"card {each['device']} to card {each['card']} of {each['to']}: {each['words']}" for each in by]
    shown += [f"from card {each['device']} of {asker}: {each['words']}" for asker, each in of]
    first = by[0] if by else of[0][1]
    command = f"hccn_tool -i {first['device']} -ping -g address {first['address']}"
    problem = "cards cannot reach cards of other nodes"
    return failure(
        "card-not-reached",
        problem,
        "no packet lost",
        listed(shown, most=4),
        command,
        command + "  # then check the switch ports, VLAN and PFC",
    )


def unasked(answers: Mapping[str, Any]) -> list[str]:
    """Return what was not asked, and why, so that it does not look as if it had been."""
    reasons = Counter(
        each["words"] for answer in answers.values() for each in answer.get("pings", []) if each["ok"] is None
    )
    return [f"{count} pings were not sent: {why}" for why, count in sorted(reasons.items())]
