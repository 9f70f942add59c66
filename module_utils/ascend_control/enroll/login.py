# SPDX-License-Identifier: Apache-2.0
"""The login with the initial password, and the programs run in it. A second try could lock the account (faillock)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...ascend.errors import AscendError
from ...ascend.text import one_line, shortened
from .connection import connection, host_key
from .host_keys import HostKey
from .password import Password
from .target import Target

if TYPE_CHECKING:
    import paramiko

AUTH_S = 60  # PAM asks LDAP, and waits two seconds after a wrong password
COMMAND_S = 120
MOST_OUTPUT = 65536
_INTERRUPT = b"\x03"
# sudo asks in these words, so that its question is known from all else; %p is whose password it wants.
SUDO_ASKS = "ascend-fleet-sudo-asks:%p:"
_ASKED = re.compile(SUDO_ASKS.replace("%p", "([^:\\s]*)"))
_GOES_ON = "ascend-fleet-session-goes-on"
_EXPIRED = re.compile(
    r"password\s+(?:has\s+|is\s+)?expired|(?:must|required to) change your password|password change required",
    re.IGNORECASE,
)


class ExpiredError(AscendError):
    """The initial password is right, and has expired."""


@dataclass(frozen=True)
class Initial:
    """The account that a new node comes with."""

    user: str
    password: Password


@contextmanager
def logged_in(target: Target, pinned: HostKey, initial: Initial) -> Iterator[paramiko.Transport]:
    """Yield a connection with the initial account logged in, after a single try. Raises AscendError."""
    with connection(target, _kinds(pinned)) as transport:
        key = host_key(transport)
        if key != pinned:
            raise AscendError(
                "the node's host key changed a moment ago, so the password was not sent",
                wanted=pinned.shown,
                found=key.shown,
                where=target.shown,
                remedy="ip neigh; arping  # do two machines have the address?",
            )
        transport.auth_timeout = AUTH_S
        _authenticate(transport, target, initial)
        yield transport


def _kinds(key: HostKey) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if key.kind == "ssh-rsa" else (key.kind,)


def _authenticate(transport: paramiko.Transport, target: Target, initial: Initial) -> None:
    import paramiko

    methods = _methods(transport, target, initial)
    conversation = _Conversation(initial.password)
    try:
        if "password" in methods:
            left = transport.auth_password(initial.user, initial.password.reveal(), fallback=False)
        else:
            left = transport.auth_interactive(initial.user, conversation.answer)
    except paramiko.SSHException as error:
        raise _refused(error, conversation, transport, target, initial) from None
    except (EOFError, OSError) as error:
        raise _refused(error, conversation, transport, target, initial) from None
    if left:
        raise AscendError(
            "the password alone is not enough to log in",
            wanted="one login with only the password",
            found=f"the server asks for more: {', '.join(left)}",
            where=f"{initial.user}@{target.shown}",
            remedy="sshd -T | grep -i authenticationmethods  # on the console",
        )


def _methods(transport: paramiko.Transport, target: Target, initial: Initial) -> list[str]:
    """Ask which logins the server accepts, which does not count as a try."""
    import paramiko

    try:
        transport.auth_none(initial.user)
    except paramiko.BadAuthenticationType as error:
        methods = list(error.allowed_types)
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise _closed(error, transport, target, initial) from None
    else:
        raise AscendError(
            "the server lets anyone log in without a password",
            wanted="a login with a password",
            found="a login without one",
            where=f"{initial.user}@{target.shown}",
            remedy=f"passwd {initial.user}  # on the console; PermitEmptyPasswords no in sshd_config",
        )
    if not {"password", "keyboard-interactive"} & set(methods):
        raise AscendError(
            "the server accepts no passwords",
            wanted="password or keyboard-interactive",
            found=", ".join(methods),
            where=f"{initial.user}@{target.shown}",
            remedy="set PasswordAuthentication yes in sshd_config during the enrolment, or put the fleet's public key "
            "into the account's authorized_keys on the console",
        )
    return methods


class _Conversation:
    """Answers the first hidden question, and no other."""

    def __init__(self, password: Password) -> None:
        self._password = password
        self.words: list[str] = []
        self.answered = False
        self.unanswered: list[str] = []

    def answer(self, title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
        self.words += [text for text in (title, instructions) if text.strip()]
        if not prompts:
            return []
        if len(prompts) == 1 and not prompts[0][1] and not self.answered:
            self.answered = True
            return [self._password.reveal()]
        self.unanswered += [text.strip() for text, _ in prompts]
        # An empty answer ends the questions: the password is no code, and no new password.
        return ["" for _ in prompts]


def _refused(
    error: Exception, conversation: _Conversation, transport: paramiko.Transport, target: Target, initial: Initial
) -> AscendError:
    words = " ".join([*conversation.words, *conversation.unanswered, _banner(transport)])
    # PASSWD_CHANGEREQ has the number of another message, and paramiko takes it for that one.
    if "Illegal info request" in str(error) or _EXPIRED.search(words) or _asks_a_new_one(conversation):
        return expired(target, initial, words or "the server asks for a new one")
    if conversation.unanswered:
        return AscendError(
            "the server asks for more than the password",
            wanted="one question, for the password",
            found=initial.password.without(one_line(", ".join(conversation.unanswered))),
            where=f"{initial.user}@{target.shown}",
            remedy="enroll this node on its console, or turn off the second question for the enrolment (PAM's sshd)",
        )
    return _closed(error, transport, target, initial, words)


def _asks_a_new_one(conversation: _Conversation) -> bool:
    return any(re.search(r"new|current|retype", text, re.IGNORECASE) for text in conversation.unanswered)


def _closed(
    error: Exception, transport: paramiko.Transport, target: Target, initial: Initial, words: str = ""
) -> AscendError:
    shown = shortened(initial.password.without(one_line(f"{error} {words or _banner(transport)}")), 300).rstrip(".")
    checks = "passwd -S {0}; faillock --user {0}; chage -l {0}; sshd -T | grep -iE 'permitrootlogin|allow|deny'"
    reasons = "a wrong password, a locked account" + (
        ", or PermitRootLogin prohibit-password (OpenSSH's default; openEuler allows it)"
        if initial.user == "root"
        else ", or an account that is not allowed to log in (AllowUsers)"
    )
    return AscendError(
        "the login with the initial password failed; it was tried once and will not be tried again",
        wanted=f"a login as {initial.user}",
        found=f"{shown}: sshd answers the same for {reasons}",
        where=f"{initial.user}@{target.shown}",
        remedy=f"on the console: {checks.format(initial.user)}",
    )


def _banner(transport: paramiko.Transport) -> str:
    banner = transport.get_banner()
    return banner.decode("utf-8", "replace") if banner else ""


def expired(target: Target, initial: Initial, words: str) -> ExpiredError:
    """Return the error of a password that is right and has expired."""
    return ExpiredError(
        "the initial password has expired",
        wanted="a password that has not expired",
        found=shortened(initial.password.without(one_line(words)), 300),
        where=f"{initial.user}@{target.shown}",
        remedy=f"set enroll_new_password (Vault), or change it by hand: ssh {initial.user}@{target.host}",
    )


def is_expired(output: str) -> bool:
    """Whether what a session said is that the password has expired."""
    return bool(_EXPIRED.search(output))


@dataclass(frozen=True)
class Answer:
    """What a program on the node said, without the password, and how it ended; -1 for no exit code."""

    code: int
    output: str
    asked: tuple[str, ...] = ()  # whose password sudo wanted, each time


def executed(transport: paramiko.Transport, command: str, initial: Initial, terminal: bool = False) -> Answer:
    """Run a command on the node; if sudo asks for the account's password, it is given, once.

    Raises AscendError.
    """
    import paramiko

    try:
        channel = transport.open_session(timeout=AUTH_S)
        channel.settimeout(1.0)
        channel.set_combine_stderr(True)
        if terminal:
            channel.get_pty("dumb", 250, 50)
        channel.exec_command(command)
        return _heard(channel, initial)
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise AscendError(
            "the session on the node ended early",
            wanted="a command that finishes",
            found=initial.password.without(one_line(str(error) or type(error).__name__)),
            where="the initial account's session",
            remedy="run the same command again; on the console: journalctl -u sshd | tail",
        ) from None


def _heard(channel: paramiko.Channel, initial: Initial) -> Answer:
    until = time.monotonic() + COMMAND_S
    output, answered, refused = "", 0, False
    while True:
        if time.monotonic() > until:
            channel.close()
            raise AscendError(
                "a command on the node does not finish",
                wanted=f"a command that finishes within {COMMAND_S} s",
                found=initial.password.without(one_line(output[-300:])) or "no output",
                where="the initial account's session",
                remedy="df; ps -ef | tail  # log in; is the home on a file server that does not answer?",
            )
        try:
            part = channel.recv(4096)
        except TimeoutError:
            if refused:
                channel.sendall(_INTERRUPT)  # sudo misses one that comes before it reads
            continue
        if not part:
            break
        output = (output + part.decode("utf-8", "replace"))[-MOST_OUTPUT:]
        asked = tuple(_ASKED.findall(output))
        if len(asked) > answered:
            answered += 1
            # Another account's password (targetpw), or a second question: a wrong answer would be one more failure.
            refused = asked != (initial.user,)
            channel.sendall(_INTERRUPT if refused else initial.password.reveal().encode() + b"\n")
        elif not asked and is_expired(output) and re.search(r"password[^\r\n:]*:\s*$", output, re.IGNORECASE):
            channel.close()  # in a terminal sshd starts passwd in place of the command, which waits for an answer
            break
    text = initial.password.without(output.replace("\r\n", "\n"))
    # A server that ends its output and neither says a code nor closes would be waited for without end.
    ended = channel.status_event.wait(max(1.0, until - time.monotonic()))
    return Answer(channel.recv_exit_status() if ended else -1, _ASKED.sub("", text), tuple(_ASKED.findall(output)))


def changed_password(target: Target, pinned: HostKey, initial: Initial, new: Password) -> None:
    """Answer the questions for a new password, which come in a terminal. Raises AscendError.

    PAM asks before it lets the session continue; without PAM sshd starts ``passwd`` instead of the session's command.
    """
    with logged_in(target, pinned, initial) as transport:
        channel = transport.open_session(timeout=AUTH_S)
        channel.settimeout(1.0)
        channel.get_pty("dumb", 250, 50)
        channel.exec_command(f"echo {_GOES_ON}")
        words = _passwd(channel, initial.password, new)
    shown = new.without(initial.password.without(one_line(words)))
    if not re.search(rf"{_GOES_ON}|success|updated", shown, re.IGNORECASE):
        raise AscendError(
            "the expired password was not changed",
            wanted="passwd, which takes enroll_new_password",
            found=shortened(shown, 400) or "no output",
            where=f"{initial.user}@{target.shown}",
            remedy=f"by hand: ssh {initial.user}@{target.host}  # the rules are in /etc/security/pwquality.conf",
        )


def _passwd(channel: paramiko.Channel, old: Password, new: Password) -> str:
    """Return the output. Each question is answered once, because it is repeated if an answer was wrong."""
    until = time.monotonic() + COMMAND_S
    output, seen, given = "", 0, [new, new, old]
    while given and time.monotonic() < until:
        try:
            part = channel.recv(4096)
        except TimeoutError:
            continue
        if not part:
            return output
        output += part.decode("utf-8", "replace")
        question = re.search(r"[^\r\n]*password[^\r\n:]*:\s*$", output[seen:], re.IGNORECASE)
        if question:
            seen = len(output)
            is_new = re.search(r"new|retype|again", question[0], re.IGNORECASE)
            if not is_new and len(given) < 3:
                break
            channel.sendall((new if is_new else old).reveal().encode() + b"\n")
            given.pop()
    return output + _rest(channel)


def _rest(channel: paramiko.Channel) -> str:
    """Return the output until the end, or until nothing more comes."""
    words = ""
    for _ in range(5):
        try:
            part = channel.recv(4096)
        except TimeoutError:
            continue
        if not part:
            break
        words += part.decode("utf-8", "replace")
    return words
