# SPDX-License-Identifier: Apache-2.0
"""The login by key as site.yml does it, with OpenSSH, strict checking, and only the fleet's known_hosts."""

from __future__ import annotations

import random
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ...ascend.errors import AscendError
from ...ascend.text import one_line, shortened
from . import known_hosts
from .login import is_expired
from .target import ALONE, STRICT, Target

_TRUE = "ascend-fleet-is-in"
_LOGIN_S = 90
_ATTEMPTS = 5
_BACK_OFF_S = 0.5
_DROPPED = re.compile(r"kex_exchange_identification|Connection (?:closed|reset) by", re.IGNORECASE)
# What comes besides while sshd reads its configuration anew.
RESTARTING = re.compile(f"{_DROPPED.pattern}|Connection refused", re.IGNORECASE)
HOST_REFUSED = re.compile(r"host key verification failed|host key .*revoked|REMOTE HOST IDENTIFICATION", re.IGNORECASE)
_BY_KEY = (
    "-o",
    "PreferredAuthentications=publickey",
    "-o",
    "GlobalKnownHostsFile=/dev/null",
    "-o",
    "UpdateHostKeys=no",
    "-o",
    "ForwardAgent=no",
    "-o",
    "ConnectTimeout=20",
    "-o",
    "LogLevel=ERROR",
)
_LOCK = r"""
case $(getent shadow "$1" | cut -d: -f2) in
  '!'*) echo already; exit ;;
esac
[ "$2" = look ] || usermod -L "$1" && echo locked
"""


@dataclass(frozen=True)
class Access:
    """How the fleet's account logs in: ``private_key`` may be None (an agent's, or OpenSSH's defaults).

    ``revoked`` is the list of revoked keys, used if it exists.
    """

    account: str
    private_key: Path | None
    known_hosts: Path
    options: tuple[str, ...] = ()
    revoked: Path | None = None


@dataclass(frozen=True)
class Reply:
    """What OpenSSH, or the program that it ran, answered."""

    code: int
    output: str
    errors: str


def key_login(target: Target, access: Access) -> Reply | None:
    """Return None if the account logs in with its key and becomes root without a password; else what came instead."""
    reply = run(target, access, f"sudo -n echo {_TRUE}")
    return None if reply.code == 0 and _TRUE in reply.output else reply


def lock_password(target: Target, access: Access, user: str, check: bool) -> bool:
    """Lock the password of an account, or only look; return whether it was not locked before. Raises AscendError."""
    mode = "look" if check else "lock"
    reply = run(target, access, shlex.join(["sudo", "-n", "sh", "-c", _LOCK, "sh", user, mode]))
    if reply.code or not {"already", "locked"} & set(reply.output.split()):
        raise AscendError(
            "the initial account's password was not locked",
            wanted=f"usermod -L {user}, with code 0",
            found=_words(reply),
            where=target.shown,
            remedy=f"on the node: sudo usermod -L {user}",
        )
    return "locked" in reply.output.split()


def refused(target: Target, access: Access, reply: Reply, reasons: list[str]) -> AscendError:
    """Return the error of an account that was created but cannot log in; ``reasons`` are the node's own."""
    who = f"{access.account}@{target.shown}"
    if reply.code != 255 and "password" not in reply.errors.lower() and is_expired(reply.errors):
        problem, remedy = "the account has expired", f"chage -l {access.account}"
    elif reply.code != 255:
        problem = "the account logs in with its key, but cannot become root without a password"
        remedy = (
            f"sudo -l -U {access.account}; grep -r includedir /etc/sudoers  # a later rule? is /etc/sudoers.d read?"
        )
    elif "host key" in reply.errors.lower():
        problem, remedy = (
            "OpenSSH rejects the pinned host key",
            f"ssh-keygen -F {target.known_as} -f {access.known_hosts}",
        )
    else:
        problem = "the account was created, but sshd rejects its key"
        remedy = (
            f"journalctl -u sshd | grep {access.account}; sshd -T | grep -iE 'allow|deny|authorizedkeys|strictmodes'"
        )
    return AscendError(
        problem,
        wanted="a login with the key, and sudo -n",
        found="; ".join([*reasons, _words(reply)]),
        where=who,
        remedy=f"on the node: {remedy}",
    )


def _words(reply: Reply) -> str:
    return shortened(one_line(reply.errors or reply.output), 300) or f"code {reply.code}"


def certified(target: Target, access: Access) -> tuple[str, str]:
    """Return the fingerprint of a host key that OpenSSH accepts by its certificate, or "" and OpenSSH's complaint.

    paramiko knows neither @cert-authority nor @revoked. Nobody logs in. Raises OSError.
    """
    with markers_alone(access) as by_markers:
        reply = run(
            target, by_markers, "true", options=("-o", "PreferredAuthentications=none", "-o", "LogLevel=DEBUG1")
        )
    # What a server sends before its key was judged cannot begin a line. That the key is known is said before dates and
    # names are looked at; who comes to be asked for a login has passed it all.
    shown = re.search(r"^debug1: Server host certificate: \S+ (SHA256:[^\s,]+)", reply.errors, re.MULTILINE)
    if shown and re.search(r"^debug1: SSH2_MSG_SERVICE_ACCEPT received", reply.errors, re.MULTILINE):
        return shown[1], ""
    complaints = [line for line in reply.errors.splitlines() if re.match("Certificate invalid|.*revoked", line, re.I)]
    return "", shortened(one_line("; ".join(complaints)), 300)


@contextmanager
def markers_alone(access: Access) -> Iterator[Access]:
    """Yield the access with only the authorities and revoked keys of known_hosts. Raises OSError."""
    lines = known_hosts.read(access.known_hosts).splitlines()
    with tempfile.NamedTemporaryFile("w", suffix="-known_hosts", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines if line.startswith("@")))
        file.flush()
        yield replace(access, known_hosts=Path(file.name))


def run(
    target: Target,
    access: Access,
    command: str,
    given: str = "",
    options: Sequence[str] = (),
    again: re.Pattern[str] = _DROPPED,
) -> Reply:
    """Run a command on the node as the fleet's account; ``given`` is its input, ``again`` the output to retry on."""
    # Of an option that is given twice OpenSSH takes the first.
    argv = [
        "ssh",
        *options,
        *STRICT,
        *ALONE,
        *_BY_KEY,
        "-o",
        f'UserKnownHostsFile="{str(access.known_hosts).replace("%", "%%")}"',
    ]
    if access.revoked and access.revoked.is_file():
        argv += ["-o", f'RevokedHostKeys="{str(access.revoked).replace("%", "%%")}"']
    argv += ["-o", f"ProxyCommand={target.proxy.replace('%', '%%')}"] if target.proxy else []
    argv += ["-i", str(access.private_key), "-o", "IdentitiesOnly=yes"] if access.private_key else []
    argv += ["-p", str(target.port), "-l", access.account, *access.options, "--", target.name, command]
    for attempt in range(_ATTEMPTS):
        reply = _ran(argv, given)
        if reply.code != 255 or not again.search(reply.errors):
            break
        time.sleep(_BACK_OFF_S * 2**attempt * random.uniform(0.5, 1))
    return reply


def _ran(argv: list[str], given: str) -> Reply:
    try:
        done = subprocess.run(
            argv,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LOGIN_S,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return Reply(255, "", f"not finished within {_LOGIN_S} s: ssh, or sudo on the node")
    return Reply(done.returncode, done.stdout, done.stderr)
