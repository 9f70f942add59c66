# SPDX-License-Identifier: Apache-2.0
"""How OpenSSH reaches a node: address, port, name in known_hosts, and the program that connects through a jump host."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from ...ascend.errors import AscendError
from .known_hosts import SSH_PORT, name_of

# Without a terminal of its own it asks nobody.
STRICT = ("-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes")
ALONE = ("-o", "ControlMaster=no", "-o", "ControlPath=none")
HOST_NAME = re.compile(r"[A-Za-z0-9_.:%-]+")
_ASK_S = 20
_NEXT = "NEXT-HOP"


@dataclass(frozen=True)
class Target:
    """A node as OpenSSH sees it; ``name`` is what it was asked for, ``proxy`` a command for the shell, "" for none.

    ``alias`` is its HostKeyAlias, the only name that OpenSSH then asks for.
    """

    name: str
    host: str
    port: int
    known_as: str
    proxy: str = ""
    alias: str = ""

    @property
    def shown(self) -> str:
        """For a person."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.host if self.port == SSH_PORT else f"{host}:{self.port}"


def target(host: str, port: int | None, options: Sequence[str], known_hosts: str) -> Target:
    """Return what OpenSSH makes of a host with these options and the user's configuration. Raises AscendError."""
    host = host.strip("[]") if ":" in host else host
    if not HOST_NAME.fullmatch(host) or host.startswith("-"):
        raise AscendError(
            "not an address",
            wanted="a name, an IPv4 or an IPv6 address",
            found=repr(host),
            where="ansible_host",
            remedy="ansible-inventory --host NODE",
        )
    given = ["-p", str(port)] if port else []
    asked = subprocess.run(
        ["ssh", "-G", *given, *options, "--", host],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_ASK_S,
        check=False,
    )
    if asked.returncode:
        raise AscendError(
            "OpenSSH rejects the node's connection options",
            wanted="options that ssh accepts",
            found=asked.stderr.strip() or f"code {asked.returncode}",
            where="ansible_ssh_common_args, ansible_ssh_extra_args, ansible_ssh_args or ~/.ssh/config",
            remedy=shlex.join(["ssh", "-G", *given, *options, "--", host]),
        )
    found = dict(line.split(" ", 1) for line in asked.stdout.splitlines() if " " in line)
    address, number = found["hostname"], int(found["port"])
    alias = found.get("hostkeyalias", "")
    proxy = _proxy(found, address, number, host, _hops(options, known_hosts))
    return Target(host, address, number, alias or name_of(address, number), proxy, alias)


def _hops(options: Sequence[str], known_hosts: str) -> list[str]:
    """Return the options of an ssh to a jump host; the node's own ones are left out, except its file (-F)."""
    escaped = known_hosts.replace("%", "%%")
    words = [*STRICT, *ALONE, "-o", f'UserKnownHostsFile=~/.ssh/known_hosts "{escaped}"']
    for number, word in enumerate(options[:-1]):
        words += ["-F", options[number + 1]] if word == "-F" else []
    return words


def _proxy(found: dict[str, str], address: str, port: int, name: str, hops: Sequence[str]) -> str:
    jumps = found.get("proxyjump", "none")
    if jumps != "none":
        return _through(jumps.split(","), f"[{address}]:{port}", hops)
    command = found.get("proxycommand", "none")
    if command == "none":
        return ""
    values = {"%%": "%", "%h": address, "%p": str(port), "%n": name, "%r": found.get("user", "")}
    return re.sub("%.", lambda match: values.get(match[0], match[0]), command)


def _through(jumps: Sequence[str], to: str, hops: Sequence[str]) -> str:
    """Return the command through the jump hosts, the last one next to ``to``; each one's key is checked."""
    user, _, place = jumps[-1].removeprefix("ssh://").rpartition("@")
    match = re.fullmatch(r"\[?(?P<host>[^\]]*?)\]?(?::(?P<port>\d+))?", place)
    host, port = (match["host"], match["port"]) if match else (place, None)
    words = ["ssh", *hops, "-W", to]
    if jumps[:-1]:
        # The jump host's own configuration says where it is.
        inner = _through(jumps[:-1], _NEXT, hops).replace("%", "%%").replace(_NEXT, "[%h]:%p")
        words += ["-o", f"ProxyCommand={inner}"]
    words += ["-p", port] if port else []
    words += ["-l", user] if user else []
    return shlex.join([*words, "--", host])
