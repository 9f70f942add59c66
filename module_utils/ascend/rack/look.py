# SPDX-License-Identifier: Apache-2.0
"""What a node answers before it trains with others: its facts, and what nothing else in the project asks."""

from __future__ import annotations

import socket
import time
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

from .. import facts
from ..command import Result
from ..in_time import in_time
from ..net import interface, taken
from ..node import Node
from ..npu.probe_account import prover
from ..places import Places
from . import cards, paths

TOOL_S = 30.0


class Asked(NamedTuple):
    """What is asked. ``network``: whether to ask the cards' network; ``interface`` is like HCCL_SOCKET_IFNAME."""

    places: Places
    users: Sequence[str]
    interface: str
    ports: Sequence[int]
    paths: Sequence[str]
    kernel_settings: Sequence[str]
    cards_out: Sequence[int]
    network: bool


def look_in_time(limit_s: float, node: Node, run: Callable[..., Result], asked: Asked) -> Dict[str, Any]:
    """Return ``look(node, run, asked)``, read in a child process. Raises AscendError if that does not end in time."""
    began = time.time()
    answer: Dict[str, Any] = in_time(limit_s, lambda at: look(node._replace(at=at), run, asked))
    # Both by this node's clock, around all that it was asked: the control node knows when that was.
    return {**answer, "began_s": began, "ended_s": time.time()}


def look(node: Node, run: Callable[..., Result], asked: Asked) -> Dict[str, Any]:
    """Return ``{"facts", "cards", "host", "interface", "taken", "paths", "account"}``.

    ``facts`` are those of ``ascend_facts``; ``cards`` as ``cards.read_cards`` says, empty where ``asked.network`` is
    False; ``host`` is ``{"name", "addresses", "error"}`` of the node's own name; ``taken`` the ports on which nobody
    could listen; ``account`` ``{"name", "why"}``, which read the paths.
    """
    subsets = ["system", "npu", "python", *(["network"] if asked.network else [])]
    found = facts.collect(
        node, asked.places, subsets, TOOL_S, False, asked.kernel_settings, asked.cards_out, asked.users
    )
    node.at("hccn_tool")
    devices = found["npu"]["devices"]
    of_cards = cards.read_cards(node, devices, TOOL_S, asked.cards_out) if asked.network and devices else []
    node.at("the network's interfaces")
    chosen = interface.read_interface(node, asked.interface)
    who = prover(node, asked.users)
    node.at("the node's own name, in /etc/hosts or DNS")
    host = own_name()
    node.at("the models and data of preflight_paths")
    return {
        "facts": found,
        "cards": of_cards,
        "host": host,
        "interface": chosen,
        "taken": taken.read_taken(node, asked.ports, chosen["address"]) if chosen["address"] else [],
        "paths": paths.read_paths(run, asked.paths, who.account),
        "account": {"name": who.name, "why": who.why},
    }


def own_name() -> Dict[str, Any]:
    """Return the node's name and the addresses to which it resolves here, which gloo and HCCL may use."""
    name = socket.gethostname()
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return {"name": name, "addresses": [], "error": str(error)}
    addresses: List[str] = sorted({str(entry[4][0]) for entry in found})
    return {"name": name, "addresses": addresses, "error": None}
