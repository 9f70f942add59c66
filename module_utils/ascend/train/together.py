# SPDX-License-Identifier: Apache-2.0
"""For a run on several nodes, the checks on each before any of them begins: its interface, and rank 0's ports."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

from ..errors import AscendError
from ..net.interface import read_interface
from ..net.taken import read_taken
from ..node import Node
from ..text import listed

Seen = Tuple[List[AscendError], Dict[str, str]]


def check(node: Node, peers: Mapping[str, Any]) -> Seen:
    """Return (problems, variables that make HCCL, gloo and torch's RPC use the interface).

    ``peers``: the module's option; ``interface`` is like HCCL_SOCKET_IFNAME. gloo needs a whole name.
    """
    found = read_interface(node, str(peers["interface"]))
    name = found["name"]
    if name is None:
        return [_no_interface(found, "no interface has that name")], {}
    if not found["up"] or not found["address"]:
        return [_no_interface(found, "%s is down, or has no address" % name)], {}
    # The runner of rank 0 listens beside torchrun's: service/runner.py.
    ports = [int(peers["port"]) - 1, int(peers["port"])] if int(peers["rank"]) == 0 else []
    problems = [_taken(each) for each in read_taken(node, ports, found["address"])]
    return problems, {"HCCL_SOCKET_IFNAME": "=" + name, "GLOO_SOCKET_IFNAME": name, "TP_SOCKET_IFNAME": name}


def _no_interface(found: Mapping[str, Any], words: str) -> AscendError:
    return AscendError(
        "the nodes cannot find each other through the interface %s" % found["asked"],
        wanted="an interface that is up and has an address",
        found="%s; the node has %s" % (words, listed(found["all"])),
        where="train_interface",
        remedy="ip -br address  # then -e train_interface=NAME, or train_interface of this node in the inventory",
    )


def _taken(port: Mapping[str, Any]) -> AscendError:
    who = "process %s of %s: %s" % (port["pid"], port["user"], port["command"]) if port["pid"] else port["why"]
    return AscendError(
        "port %d of the first node is taken" % port["port"],
        wanted="train_master_port and the one after it, free",
        found=who,
        where="train_master_port",
        remedy="ss -ltnp 'sport = :%d'; or set -e train_master_port=..." % port["port"],
    )
