# SPDX-License-Identifier: Apache-2.0
"""Whether this node reaches others: card to card by hccn_tool, and its interface's address to theirs by TCP."""

from __future__ import annotations

import errno
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, Callable, Dict, List, Sequence

from ..finding import quoted
from ..node import Node
from ..npu import hccn, tools
from ..npu.busy import Turns

Ping = Dict[str, Any]
Target = Dict[str, Any]

AT_ONCE = 8  # cards that ping side by side; one card's pings come one after another
CONNECTIONS_AT_ONCE = 64
CONNECT_S = 5.0
# What comes from the other kernel itself: the packet got there, and its answer back.
_ANSWERED = (0, errno.ECONNREFUSED)


def ping_cards(
    node: Node, pings: Sequence[Ping], timeout_s: float, now: Callable[[], float], limit_s: float
) -> List[Ping]:
    """Return each of ``pings`` (``{"device", "address", "to", "card"}``) with ``ok``, ``loss_percent`` and ``words``.

    ``ok`` is None if it was not asked, because there is no hccn_tool or the time (``limit_s`` from now) was up.
    ``words`` are the tool's if a packet was lost.
    """
    path = tools.find(node, "hccn_tool")
    until = now() + limit_s
    turns = Turns()
    by_device: Dict[int, List[Ping]] = {}
    for ping in pings:
        by_device.setdefault(ping["device"], []).append(ping)

    def of_card(asked: List[Ping]) -> List[Ping]:
        return [_pinged(ping, path) for ping in asked]

    def _pinged(ping: Ping, tool: Any) -> Ping:
        if not tool or now() >= until:
            return {
                **ping,
                "ok": None,
                "loss_percent": None,
                "words": "no hccn_tool" if not tool else "time ran out",
            }
        argv = [tool, "-i", str(ping["device"]), "-ping", "-g", "address", ping["address"]]
        result = turns.ask(lambda: node.run(argv, timeout_s), until)
        found = hccn.parse_ping(result.answer)
        # hccn_tool ends with 0 whatever was lost: its count says it.
        ok = not result.timed_out and bool(found.received) and found.received == found.sent
        words = "" if ok else quoted(result.last_lines(4)) or "nothing within %g s" % timeout_s
        return {**ping, "ok": ok, "loss_percent": found.loss_percent, "words": words}

    if not by_device:
        return []
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(by_device))) as pool:
        return [ping for answered in pool.map(of_card, by_device.values()) for ping in answered]


def connect(source: str, interface: str, targets: Sequence[Target]) -> List[Target]:
    """Return each of ``targets`` (``{"to", "address", "port"}``) with ``"ok"`` and ``"words"``.

    The connection starts from the interface's own address, like a rank's. A port that refuses it is reached, because
    the other kernel answers although nobody listens there yet; a port that a firewall drops or prohibits is not. A
    firewall that rejects with a TCP reset or "port unreachable" looks like that kernel.
    """
    if not targets:
        return []

    def tried(target: Target) -> Target:
        number = _tried(source, interface, target)
        return {**target, "ok": number in _ANSWERED, "words": "" if number in _ANSWERED else os.strerror(number)}

    with ThreadPoolExecutor(max_workers=min(CONNECTIONS_AT_ONCE, len(targets))) as pool:
        return list(pool.map(tried, targets))


def _tried(source: str, interface: str, target: Target) -> int:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as going:
        going.settimeout(CONNECT_S)
        # Kernels before 5.7 give this to root alone: then the source address has to do.
        with suppress(OSError):
            going.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        try:
            going.bind((source, 0))
            going.connect((target["address"], target["port"]))
        except socket.timeout:
            return errno.ETIMEDOUT
        except OSError as error:
            return error.errno or errno.EIO
    return 0
