# SPDX-License-Identifier: Apache-2.0
"""The network interface over which ranks of several nodes find each other (HCCL_SOCKET_IFNAME), and its address."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import struct
from contextlib import suppress
from typing import Any, Dict, List, Optional

from .. import files
from ..node import Node

_SIOCGIFADDR = 0x8915  # netdevice(7)
_IFF_UP = 1
_NAME_AT, _ADDRESS_AT, _ADDRESS_LENGTH = 16, 20, 4  # within struct ifreq
_GLOBAL = "00"  # scope of /proc/net/if_inet6


def choose(asked: str, names: List[str]) -> Optional[str]:
    """Return the interface that HCCL chooses among ``names``; None if there is none.

    ``asked`` is like HCCL_SOCKET_IFNAME: prefixes separated by commas ("eth,bond"), "=" for whole names, "^" to
    exclude. Without it, the first one by name that is neither docker's nor the loopback.
    """
    ordered = sorted(names)
    if not asked:
        others = [name for name in ordered if name != "lo"]
        return next((name for name in others if not name.startswith("docker")), next(iter(others), None))
    words = asked
    negated = words.startswith("^")
    words = words[1:] if negated else words
    exact = words.startswith("=")
    wanted = [word.strip() for word in (words[1:] if exact else words).split(",") if word.strip()]

    def fits(name: str) -> bool:
        return any(name == word if exact else name.startswith(word) for word in wanted)

    return next((name for name in ordered if fits(name) != negated and (name != "lo" or not negated)), None)


def read_interface(node: Node, asked: str) -> Dict[str, Any]:
    """Return ``{"asked", "name", "up", "address", "all"}`` of the interface that ``asked`` chooses.

    ``name`` is None if there is none; ``up``: whether it is up and has a carrier; ``address``: its IPv4 address, or
    else a global IPv6 one, None if it has neither.
    """
    folder = node.path("/sys/class/net")
    names = sorted(name for name in files.names(folder) if os.path.isdir(os.path.join(folder, name)))
    name = choose(asked, names)
    found: Dict[str, Any] = {"asked": asked, "name": name, "up": None, "address": None, "all": names}
    if name is not None:
        found["up"] = _is_up(os.path.join(folder, name))
        found["address"] = _ipv4(name) or _ipv6(node, name)
    return found


def _is_up(folder: str) -> bool:
    flags = (files.text(os.path.join(folder, "flags")) or "0").strip()
    state = (files.text(os.path.join(folder, "operstate")) or "").strip()
    # Interfaces that know no carrier (a bridge's member, a tunnel) say "unknown".
    return bool(int(flags, 16) & _IFF_UP) and state in ("up", "unknown", "")


def _ipv4(name: str) -> Optional[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, suppress(OSError):
        answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[: _NAME_AT - 1]))
        return socket.inet_ntoa(answer[_ADDRESS_AT : _ADDRESS_AT + _ADDRESS_LENGTH])
    return None


def _ipv6(node: Node, name: str) -> Optional[str]:
    for line in (files.text(node.path("/proc/net/if_inet6")) or "").splitlines():
        words = line.split()
        if len(words) == 6 and words[5] == name and words[3] == _GLOBAL:
            return str(ipaddress.IPv6Address(bytes.fromhex(words[0])))
    return None
