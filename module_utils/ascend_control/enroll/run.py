# SPDX-License-Identifier: Apache-2.0
"""The enrolment of many nodes at once: look at all, judge all together, then log in.

No password leaves the control node before every node's host key was checked and compared with all the others'.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...ascend.errors import AscendError
from ...ascend.text import one_line
from . import account, certificates, host_keys, known_hosts, login, openssh
from .authority import REVOKED, is_revoked
from .certificates import Certifying
from .connection import shown_keys
from .host_keys import AUTHORITY, FIRST_USE, INVENTORY, PINNED, HostKey
from .login import ExpiredError, Initial
from .openssh import Access
from .password import Password
from .target import Target, target

ENROLLED, ALREADY, WOULD, FAILED = "enrolled", "already", "would enroll", "failed"


@dataclass(frozen=True)
class Asked:
    """One node of the inventory. ``public_key`` is a line, "" if check mode did not create it."""

    name: str
    host: str
    port: int | None
    options: tuple[str, ...]
    initial: Initial
    allowed: tuple[str, ...]
    public_key: str
    private_key: Path | None
    new_password: Password


@dataclass(frozen=True)
class Wishes:
    """How all nodes are to be enrolled; ``inventory`` are the options of commands in messages.

    ``certifying``: which certificates they get; ``renew``: only that, on enrolled nodes.
    """

    account: str
    known_hosts: Path
    first_use: bool = False
    lock: bool = False
    check: bool = False
    at_once: int = 50
    inventory: str = ""
    certifying: Certifying | None = None
    renew: bool = False

    @property
    def revoked(self) -> Path:
        """Where the list of revoked keys is, if there is one."""
        return self.known_hosts.with_name(REVOKED)


@dataclass
class Node:
    """A node's result: ``state``, or "" while it is in progress; ``error`` if it failed."""

    asked: Asked
    state: str = ""
    target: Target | None = None
    key: HostKey | None = None
    source: str = ""
    changed: list[str] = field(default_factory=list)
    error: AscendError | None = None
    seconds: float = 0.0

    @property
    def at(self) -> Target:
        """Its target, known once it was inspected."""
        if self.target is None:
            raise RuntimeError("the node was not inspected")
        return self.target

    @property
    def shown(self) -> HostKey:
        """The host key that it showed, known once it was inspected."""
        if self.key is None:
            raise RuntimeError("the node was not inspected")
        return self.key

    def fail(self, error: AscendError) -> None:
        """Mark it as failed; its first error counts."""
        self.state, self.error = FAILED, self.error or error


Prompt = Callable[[Sequence[str]], Password]
Step = Callable[[Node], None]


class Enrolment:
    """The nodes of one run; ``before`` and ``after`` are the texts of known_hosts."""

    def __init__(self, asked: Iterable[Asked], wishes: Wishes, prompt: Prompt) -> None:
        self.nodes = [Node(each) for each in asked]
        self.wishes = wishes
        self.prompt = prompt
        self.before = self.after = ""

    def run(self) -> None:
        """Enroll the nodes. A problem of one node becomes its error. Raises AscendError, OSError."""
        self.before = self.after = known_hosts.read(self.wishes.known_hosts)
        if self.wishes.renew:
            self.access_file = self.wishes.known_hosts
            self._each(self._log_in)
            self._certify()
            return
        self._each(self._look)
        self._compare()
        with ExitStack() as ends:
            self.access_file = self._pin(ends)
            self._each(self._try_key)
            if self.wishes.check:
                for node in self._left():
                    node.state = WOULD
            else:
                self._passwords()
                self._each(self._enroll)
            self._certify()
            if self.wishes.lock:
                self._each(self._lock, self._enrolled())

    def _left(self) -> list[Node]:
        return [node for node in self.nodes if not node.state]

    def _enrolled(self) -> list[Node]:
        return [node for node in self.nodes if node.state in (ENROLLED, ALREADY)]

    def _each(self, step: Step, nodes: list[Node] | None = None) -> None:
        """Do a step for all nodes that are left, many at once."""
        nodes = self._left() if nodes is None else nodes
        with ThreadPoolExecutor(max(1, min(self.wishes.at_once, len(nodes)))) as pool:
            for node, done in [(node, pool.submit(_timed, step, node)) for node in nodes]:
                error = done.exception()
                if isinstance(error, AscendError):
                    node.fail(error)
                elif error is not None:
                    node.fail(_unexpected(error, node))

    def _look(self, node: Node) -> None:
        asked = node.asked
        node.target = self._target(asked)
        pinned = [key.fingerprint for key in known_hosts.pinned(self.before, node.target.known_as)]
        allowed = asked.allowed or pinned
        is_any = self.wishes.first_use and not allowed
        found = shown_keys(node.target, lambda key: is_any or host_keys.is_known(key, allowed))
        where = f"{asked.name} ({node.target.shown})"
        node.source = INVENTORY if asked.allowed else PINNED if pinned else FIRST_USE
        node.key = next((key for key in found if is_any or host_keys.is_known(key, allowed)), None)
        complaint = ""
        if not asked.allowed and (node.key is None or is_any) and known_hosts.AUTHORITY in self.before:
            # A pinned key may be older than the certificate.
            certified, complaint = openssh.certified(node.target, self._access(node, self.wishes.known_hosts))
            if certified:
                node.key, node.source = next((key for key in found if key.fingerprint == certified), None), AUTHORITY
        if node.key is None:
            if allowed:
                raise self._mismatch(node, found, allowed, where)
            raise host_keys.unknown(found, where, self.wishes.inventory, complaint)
        if is_revoked(self.wishes.revoked, node.key.line):
            raise host_keys.revoked(node.key, where, self.wishes.revoked)

    def _target(self, asked: Asked) -> Target:
        return target(asked.host, asked.port, asked.options, str(self.wishes.known_hosts))

    def _mismatch(self, node: Node, found: list[HostKey], allowed: Sequence[str], where: str) -> AscendError:
        source = INVENTORY if node.asked.allowed else str(self.wishes.known_hosts)
        replaced = f"ssh-keygen -R '{node.at.known_as}' -f {self.wishes.known_hosts}, and enroll it again"
        if node.asked.allowed:
            replaced = f'ssh_host_fingerprints: ["{found[0].fingerprint}"] in the inventory, and enroll it again'
        return host_keys.mismatch(found, allowed, where, source, replaced)

    def _compare(self) -> None:
        """Refuse a key that another node has, in this run or in known_hosts."""
        owners: dict[bytes, list[Node]] = {}
        for node in self.nodes:
            if node.key:
                owners.setdefault(node.key.blob, []).append(node)
        for node in [node for nodes in owners.values() for node in nodes]:
            others = [other.asked.name for other in owners[node.shown.blob] if other is not node]
            places = {other.target.known_as for other in owners[node.shown.blob] if other.target}
            others += [name for name in known_hosts.names_with(self.before, node.shown) if name not in places]
            if others:
                node.fail(host_keys.cloned(node.shown, others, f"{node.asked.name} ({node.at.shown})"))

    def _pin(self, ends: ExitStack) -> Path:
        """Write the keys of the remaining nodes; return the file for OpenSSH, in check mode a temporary one."""
        pins = {node.target.known_as: node.key for node in self._left() if node.target and node.key}
        if not self.wishes.check:
            self.before, self.after = known_hosts.pin(self.wishes.known_hosts, pins)
            return self.wishes.known_hosts
        self.after = known_hosts.merged(self.before, pins)
        file = Path(ends.enter_context(tempfile.TemporaryDirectory())) / "known_hosts"
        file.write_text(self.after, encoding="utf-8", errors="surrogateescape")
        return file

    def _access(self, node: Node, file: Path | None = None) -> Access:
        asked, wishes = node.asked, self.wishes
        return Access(wishes.account, asked.private_key, file or self.access_file, asked.options, wishes.revoked)

    def _try_key(self, node: Node) -> None:
        """Skip a node whose account logs in already, so its password is not asked for.

        A node with a host key that OpenSSH refuses (@revoked) gets no password either.
        """
        private_key = node.asked.private_key
        if private_key is not None and not private_key.is_file() and self.wishes.check:
            return
        reply = openssh.key_login(node.at, self._access(node))
        if reply is None:
            node.state = ALREADY
        elif openssh.HOST_REFUSED.search(reply.errors):
            raise openssh.refused(node.at, self._access(node), reply, [])

    def _log_in(self, node: Node) -> None:
        node.target = self._target(node.asked)
        reply = openssh.key_login(node.target, self._access(node))
        if reply is not None:
            raise openssh.refused(node.target, self._access(node), reply, ["perhaps the node is not enrolled"])
        node.state = ALREADY

    def _certify(self) -> None:
        """Give enrolled nodes their certificates, if the fleet has an authority."""
        certifying, check = self.wishes.certifying, self.wishes.check
        if certifying is None:
            return
        pins = known_hosts.keys_of_hosts(self.after)

        def certify(node: Node) -> None:
            which = certificates.Node(node.asked.name, pins)
            node.changed += certificates.certify(node.at, self._access(node), certifying, which, check)

        self._each(certify, self._enrolled())

    def _passwords(self) -> None:
        needed = [node for node in self._left() if not node.asked.initial.password]
        given = self.prompt([node.asked.name for node in needed]) if needed else Password("")
        for node in needed:
            if given:
                node.asked = _with_password(node.asked, given)
            else:
                node.fail(_no_password(node.asked))

    def _enroll(self, node: Node) -> None:
        initial, facts = node.asked.initial, []
        try:
            facts = self._made(node, initial)
        except ExpiredError:
            new = node.asked.new_password
            if not new:
                raise
            login.changed_password(node.at, node.shown, initial, new)
            node.changed.append("password")
            facts = self._made(node, Initial(initial.user, new))
        answer = openssh.key_login(node.at, self._access(node))
        if answer is not None:
            raise openssh.refused(node.at, self._access(node), answer, account.reasons(facts, self.wishes.account))
        node.state = ENROLLED

    def _made(self, node: Node, initial: Initial) -> list[str]:
        with login.logged_in(node.at, node.shown, initial) as transport:
            made = account.made(transport, node.at, initial, self.wishes.account, node.asked.public_key)
        node.changed += made.changed
        return made.facts

    def _lock(self, node: Node) -> None:
        user = node.asked.initial.user
        if user == self.wishes.account:
            return
        if openssh.lock_password(node.at, self._access(node), user, self.wishes.check):
            node.changed.append("password locked")


def _timed(step: Step, node: Node) -> None:
    began = time.monotonic()
    try:
        step(node)
    finally:
        node.seconds += time.monotonic() - began


def _with_password(asked: Asked, password: Password) -> Asked:
    return replace(asked, initial=Initial(asked.initial.user, password))


def _no_password(asked: Asked) -> AscendError:
    return AscendError(
        "the node has no initial password",
        wanted="enroll_password in the inventory (Vault), or an answer at the terminal",
        found="neither",
        where=f"{asked.initial.user} of {asked.name}",
        remedy="ansible-vault encrypt_string --stdin-name enroll_password >> inventory/prod/group_vars/NEW_RACK.yml",
    )


def _unexpected(error: BaseException, node: Node) -> AscendError:
    words = node.asked.initial.password.without(one_line(f"{type(error).__name__}: {error}"))
    return AscendError(
        "the enrolment of the node failed",
        wanted="success, or a known reason for the failure",
        found=words,
        where=node.asked.name,
        remedy="run it again for this node; if it fails again, report it",
    )
