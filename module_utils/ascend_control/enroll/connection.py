# SPDX-License-Identifier: Apache-2.0
"""An SSH connection to a node up to the point at which its host key is known; nobody has logged in yet.

A failure here costs no login attempt, so a connection that the server drops is tried again: MaxStartups drops most of a
hundred that come at once. paramiko reads a greeting of any length, a minute for each line of it, and says nothing when
the time for the key exchange is over; so the greeting is looked at first, and the time is counted here.
"""

from __future__ import annotations

import logging
import random
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ...ascend.errors import AscendError
from ...ascend.text import one_line
from .host_keys import HostKey
from .target import Target

if TYPE_CHECKING:
    import paramiko

CONNECT_S = 20
GREETING_S: float = 20
EXCHANGE_S: float = 30
GREETING_BYTES = 8192
ATTEMPTS = 7
BACK_OFF_S = 0.5  # doubled each time, and spread: half a minute in all
# What OpenSSH of today refuses, too: paramiko before 5.0 would take them.
LEGACY = {
    "keys": ["ssh-rsa", "ssh-dss"],
    "pubkeys": ["ssh-rsa", "ssh-dss"],
    "kex": [
        "diffie-hellman-group1-sha1",
        "diffie-hellman-group14-sha1",
        "diffie-hellman-group-exchange-sha1",
    ],
    "ciphers": ["3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc", "blowfish-cbc"],
    "macs": ["hmac-md5", "hmac-md5-96", "hmac-sha1-96"],
}
# One of these at a time: a server shows one key a connection.
KINDS = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)


class DroppedError(AscendError):
    """The server ended the connection before anybody could log in; it may accept the next one."""


def library() -> None:
    """Require paramiko, and let it write nothing to Ansible's log. Raises AscendError."""
    try:
        import paramiko
    except ImportError as error:
        raise AscendError(
            "paramiko is not installed on the control node",
            wanted="paramiko 3.4 or newer, for the first login by password",
            found=str(error),
            where="the Python that runs ansible-playbook",
            remedy="pip install 'paramiko>=3.4'",
        ) from None
    # Its own lines would be in ansible.log at -vvv, and tracebacks on the terminal.
    logging.getLogger(paramiko.__name__).setLevel(logging.CRITICAL + 1)


@contextmanager
def connection(target: Target, kinds: Sequence[str] = ()) -> Iterator[paramiko.Transport]:
    """Yield a transport whose key exchange is done; ``kinds`` are the algorithms of host keys to ask for, all if empty.

    Raises AscendError.
    """
    with ExitStack() as ends:
        yield _tried(lambda: _connected(target, kinds, ends))


def _tried(connect: Callable[[], paramiko.Transport]) -> paramiko.Transport:
    for attempt in range(ATTEMPTS - 1):
        try:
            return connect()
        except DroppedError:
            time.sleep(BACK_OFF_S * 2**attempt * random.uniform(0.5, 1))
    return connect()


def _connected(target: Target, kinds: Sequence[str], ends: ExitStack) -> paramiko.Transport:
    with ExitStack() as inner:
        stream, complaint = _stream(target, inner)
        try:
            _greeted(stream, target)
            transport = _exchanged(stream, target, kinds)
        except DroppedError as error:
            if words := complaint():
                raise _of_jump(error, words, target) from None
            raise
        inner.callback(transport.close)
        ends.enter_context(inner.pop_all())
        return transport


def _stream(target: Target, ends: ExitStack) -> tuple[socket.socket, Callable[[], str]]:
    """Return a socket connected to the server, and a function for complaints of the program between, if any."""
    if target.proxy:
        return _proxied(target, ends)
    try:
        stream = socket.create_connection((target.host, target.port), timeout=CONNECT_S)
    except OSError as error:
        raise AscendError(
            "no connection to the node",
            wanted="an SSH server",
            found=f"no answer within {CONNECT_S} s" if isinstance(error, TimeoutError) else str(error),
            where=target.shown,
            remedy=f"ping {target.host}; nc -vz {target.host} {target.port}  # power, cable, address, firewall, sshd",
        ) from None
    ends.callback(stream.close)
    return stream, lambda: ""


def _proxied(target: Target, ends: ExitStack) -> tuple[socket.socket, Callable[[], str]]:
    ours, its = socket.socketpair()
    errors = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the connection)
    ends.callback(errors.close)
    with its:
        # In a session of its own, it has no terminal to ask at.
        program = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {target.proxy}"],
            stdin=its.fileno(),
            stdout=its.fileno(),
            stderr=errors,
            start_new_session=True,
        )
    ends.callback(_ended, program)
    ends.callback(ours.close)

    def complaint() -> str:
        errors.seek(0)
        return one_line(errors.read(4096).decode("utf-8", "replace"))

    return ours, complaint


def _ended(program: subprocess.Popen[bytes]) -> None:
    program.terminate()
    try:
        program.wait(5)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def _of_jump(error: AscendError, words: str, target: Target) -> AscendError:
    """Return the error in the words of the ssh through the jump host; few of them deserve another try."""
    kind = DroppedError if "kex_exchange_identification" in words else AscendError
    unknown = "host key" in words.lower()
    return kind(
        "the jump host's key is unknown" if unknown else "cannot connect through the jump host",
        wanted=error.wanted,
        found=words,
        where=f"{target.shown} through {target.proxy}",
        remedy="ssh JUMP-HOST  # once, and compare its key" if unknown else "run the command in `where` by hand",
    )


def _greeted(stream: socket.socket, target: Target) -> None:
    """Wait for the server's first line without consuming it. Raises AscendError."""
    until = time.monotonic() + GREETING_S
    seen = b""
    while b"SSH-" not in seen:
        if time.monotonic() > until:
            raise _no_server("sends nothing" if not seen else "is not an SSH server", target, seen)
        if not select.select([stream], [], [], max(0.0, until - time.monotonic()))[0]:
            continue
        try:
            peeked = stream.recv(GREETING_BYTES, socket.MSG_PEEK)
        except OSError:
            peeked = b""
        if not peeked:
            raise _dropped(target, seen)
        if len(peeked) >= GREETING_BYTES and b"SSH-" not in peeked:
            raise _no_server(f"sends {GREETING_BYTES} bytes or more, and is not an SSH server", target, peeked)
        if peeked == seen:
            if _is_over(stream):
                raise _dropped(target, seen)
            time.sleep(0.05)  # what is only looked at stays readable
        seen = peeked


def _is_over(stream: socket.socket) -> bool:
    """Whether the other side has ended the connection after what it sent."""
    poll = select.poll()
    poll.register(stream, select.POLLRDHUP)
    return bool(poll.poll(0))


def _no_server(what: str, target: Target, seen: bytes) -> AscendError:
    shown = one_line(seen[:80].decode("utf-8", "replace"))
    return AscendError(
        f"the program that listens there {what}",
        wanted=f"an SSH server's greeting (SSH-2.0-...) within {GREETING_S} s",
        found=f"{shown!r}" if shown else "an open connection without a single byte",
        where=target.shown,
        remedy=f"nc {target.host} {target.port}  # another port? On the console: systemctl status sshd, and its load",
    )


def _dropped(target: Target, seen: bytes) -> DroppedError:
    shown = one_line(seen[:200].decode("utf-8", "replace"))
    return DroppedError(
        f"the server dropped {ATTEMPTS} connections before login in half a minute",
        wanted="a connection that stays open",
        found=f"closed after {shown!r}" if shown else "closed without any output",
        where=target.shown,
        remedy="on its console: journalctl -u sshd | tail  # MaxStartups, hosts.deny, PerSourcePenalties; try again",
    )


def _exchanged(stream: socket.socket, target: Target, kinds: Sequence[str]) -> paramiko.Transport:
    import paramiko

    transport = paramiko.Transport(stream, disabled_algorithms=LEGACY)
    transport.banner_timeout = GREETING_S
    transport.handshake_timeout = EXCHANGE_S
    options = transport.get_security_options()
    options.key_types = [name for name in options.key_types if name in (kinds or options.key_types)]
    try:
        transport.start_client(timeout=EXCHANGE_S)
        # After its time it returns as if all was well.
        if not transport.is_active() or not transport.initial_kex_done:
            raise AscendError(
                "the server did not finish the key exchange",
                wanted=f"a key exchange that finishes within {EXCHANGE_S} s",
                found=f"{transport.remote_version or 'no version'}, then no answer",
                where=target.shown,
                remedy="on its console: systemctl restart sshd; uptime  # is it overloaded, or short of entropy?",
            )
    except paramiko.SSHException as error:
        transport.close()
        raise _legacy(error, transport, target) if _is_legacy(error) else _dropped(target, b"") from None
    except (EOFError, OSError):
        transport.close()
        raise _dropped(target, b"") from None
    except AscendError:
        transport.close()
        raise
    return transport


def _is_legacy(error: Exception) -> bool:
    return "no acceptable" in str(error) or "Incompatible" in str(error)


class NoKindError(AscendError):
    """The server has no host key of the kinds that were asked for, or offers only legacy algorithms."""


def _legacy(error: Exception, transport: paramiko.Transport, target: Target) -> NoKindError:
    return NoKindError(
        "the server offers only legacy algorithms",
        wanted="a modern key exchange, host key, cipher and MAC (OpenSSH 7.4 or newer has them; SHA-1 does not count)",
        found=f"{one_line(str(error))}; {one_line(transport.remote_version or '')}",
        where=target.shown,
        remedy=f"ssh -vv -p {target.port} {target.host} 2>&1 | grep -i 'peer server' -A9  # what it offers; "
        "then set Ciphers, MACs, KexAlgorithms and HostKeyAlgorithms in its sshd_config, or install a newer OpenSSH",
    )


def host_key(transport: paramiko.Transport) -> HostKey:
    """Return the key that the server has proven to own."""
    key = transport.get_remote_server_key()
    return HostKey(key.get_name(), key.asbytes())


def shown_keys(target: Target, is_right: Callable[[HostKey], bool]) -> list[HostKey]:
    """Return the host keys that the server shows; the right one comes last, and ends the search.

    Raises AscendError.
    """
    found: list[HostKey] = []
    with connection(target) as transport:
        found.append(host_key(transport))
    for kinds in KINDS:
        if is_right(found[-1]):
            return found
        if any(found[0].kind in (kind, "ssh-rsa" if "rsa" in kind else "") for kind in kinds):
            continue
        try:
            with connection(target, kinds) as transport:
                found.append(host_key(transport))
        except NoKindError:
            continue
    return found
