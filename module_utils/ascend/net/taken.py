# SPDX-License-Identifier: Apache-2.0
"""Which of the ports that a job over several nodes needs are taken, and by which process."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .. import files
from ..node import Node
from ..npu.processes import described

MOST_NAMED = 8  # ports whose process is looked for
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")  # proc(5): local address in hexadecimal, inode in column 10


def read_taken(node: Node, ports: Sequence[int], address: str) -> List[Dict[str, Any]]:
    """Return ``{"port", "why", "pid", "user", "command"}`` for each port on which nobody could listen now.

    We try to bind it, at ``address`` of the interface that ranks will use; a listener or a connection with that port is
    in the way. ``why`` is the kernel's reason; the process is None if it is unknown.
    """
    refused = [(port, why) for port in ports for why in [_refusal(address, port)] if why]
    owners = _owners(node, [port for port, _ in refused[:MOST_NAMED]]) if refused else {}
    taken = []
    for port, why in refused:
        process = described(node, owners[port]) if port in owners else {}
        taken.append({"port": port, "why": why, **{key: process.get(key) for key in ("pid", "user", "command")}})
    return taken


def _refusal(address: str, port: int) -> str:
    """Return why a program could not listen there; "" if it could."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as tried:
        # As torch's and HCCL's listeners do: connections that wait for their end are not in the way.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address, port))
            tried.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _owners(node: Node, ports: Sequence[int]) -> Dict[int, int]:
    """Return port -> process. Needs root for other accounts' processes; takes some 6 us per open file on the node."""
    inodes: Dict[str, int] = {}
    for table in _TABLES:
        for line in (files.text(node.path(table), 4 * 1024 * 1024) or "").splitlines()[1:]:
            port, inode = _row(line.split())
            if port is not None and port in ports and inode is not None:
                inodes.setdefault("socket:[%s]" % inode, port)
    found: Dict[int, int] = {}
    for name in files.names(node.path("/proc")) if inodes else []:
        if name.isdigit():
            folder = node.path("/proc/%s/fd" % name)
            for number in files.names(folder):
                port_of = inodes.get(files.link(os.path.join(folder, number)) or "")
                if port_of is not None:
                    found.setdefault(port_of, int(name))
    return found


def _row(words: List[str]) -> Tuple[Optional[int], Optional[str]]:
    if len(words) < 10 or ":" not in words[1]:
        return None, None
    return int(words[1].rpartition(":")[2], 16), words[9]
