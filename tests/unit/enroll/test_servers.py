# SPDX-License-Identifier: Apache-2.0
"""Servers that are none, that flood, drop or are old, and some that ask: what each is told for, and what it costs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL
from paramiko.server import InteractiveQuery

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll import connection, login
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.connection import (
    DroppedError,
    NoKindError,
    shown_keys,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.host_keys import HostKey
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.login import ExpiredError, Initial
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.password import Password
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.target import Target

SECRET = "Ein-Geheimnis-9"
KEY = paramiko.ECDSAKey.generate()
PUBLIC = HostKey(KEY.get_name(), KEY.asbytes())
Handler = Callable[[socket.socket, int], None]


@contextmanager
def served(handle: Handler) -> Iterator[tuple[Target, list[int]]]:
    """A server on this machine; ``handle`` gets each connection and its number. Yields where, and the numbers."""
    listener = socket.create_server(("127.0.0.1", 0))
    numbers: list[int] = []
    streams: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            numbers.append(len(numbers))
            streams.append(stream)
            threading.Thread(target=_handled, args=(handle, stream, numbers[-1]), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    try:
        yield Target("127.0.0.1", "127.0.0.1", port, f"[127.0.0.1]:{port}"), numbers
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for stream in streams:
            stream.close()


def _handled(handle: Handler, stream: socket.socket, number: int) -> None:
    try:
        handle(stream, number)
    except (OSError, EOFError, paramiko.SSHException):
        stream.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.library()
    monkeypatch.setattr(connection, "BACK_OFF_S", 0.001)
    monkeypatch.setattr(connection, "GREETING_S", 0.4)
    monkeypatch.setattr(connection, "EXCHANGE_S", 0.6)


def found_at(handle: Handler) -> tuple[AscendError, int]:
    with served(handle) as (target, numbers):
        with pytest.raises(AscendError) as caught:
            shown_keys(target, lambda _: True)
        return caught.value, len(numbers)


def _silent(_stream: socket.socket, _number: int) -> None:
    threading.Event().wait(30)


def test_one_that_never_answers() -> None:
    error, times = found_at(_silent)
    assert "sends nothing" in error.problem
    assert times == 1


@pytest.mark.parametrize("piece", [b"x" * 4096, b"welcome\r\n" * 500])
def test_one_that_floods_its_greeting(piece: bytes) -> None:
    def flood(stream: socket.socket, _: int) -> None:
        while True:
            stream.sendall(piece)

    error, times = found_at(flood)
    assert "and is not an SSH server" in error.problem
    assert times == 1


def test_one_that_drips() -> None:
    def drip(stream: socket.socket, _: int) -> None:
        while True:
            stream.sendall(b".")
            threading.Event().wait(0.1)

    error, _ = found_at(drip)
    assert "is not an SSH server" in error.problem


def test_one_that_greets_and_is_silent_then() -> None:
    def greet(stream: socket.socket, _: int) -> None:
        stream.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        threading.Event().wait(30)

    error, _ = found_at(greet)
    assert "did not finish the key exchange" in error.problem
    assert "OpenSSH_9.2" in error.found


def test_another_server_shows_what_it_says() -> None:
    def greet(stream: socket.socket, _: int) -> None:
        stream.sendall(b"220 ftp.corp.test\r\n")
        threading.Event().wait(30)

    error, _ = found_at(greet)
    assert "220 ftp.corp.test" in error.found


@pytest.mark.parametrize("words", [b"", b"Exceeded MaxStartups\r\n", b"Not allowed at this time\r\n"])
def test_one_that_drops_all(words: bytes) -> None:
    def drop(stream: socket.socket, _: int) -> None:
        stream.sendall(words)
        stream.shutdown(socket.SHUT_RDWR)
        stream.close()

    error, times = found_at(drop)
    assert isinstance(error, DroppedError)
    assert times == connection.ATTEMPTS
    assert words.decode().strip() in error.found


def test_one_that_drops_the_first_is_asked_again() -> None:
    def drop(stream: socket.socket, number: int) -> None:
        if number < 3:
            stream.close()
        else:
            _Server().serve(stream)

    with served(drop) as (target, numbers):
        assert shown_keys(target, lambda _: True) == [PUBLIC]
        assert len(numbers) == 4


def test_nothing_listens() -> None:
    with served(_silent) as (target, _):
        pass
    with pytest.raises(AscendError, match="no connection") as caught:
        shown_keys(target, lambda _: True)
    assert "refused" in caught.value.found


def test_legacy_algorithms_alone() -> None:
    """As packets, since paramiko's own server has them no longer."""

    def legacy(stream: socket.socket, _: int) -> None:
        transport = paramiko.Transport(stream)
        transport.add_server_key(KEY)
        transport._preferred_kex = ("diffie-hellman-group14-sha1",)  # type: ignore[attr-defined]  # no public way
        transport._send_kex_init = lambda: _kexinit(transport)  # type: ignore[attr-defined]  # the same
        transport.start_server(event=threading.Event(), server=paramiko.ServerInterface())

    error, times = found_at(legacy)
    assert isinstance(error, NoKindError), error
    assert "legacy" in error.problem
    assert times == 1


def _kexinit(transport: paramiko.Transport) -> None:
    message = paramiko.Message()
    message.add_byte(bytes([20]))
    message.add_bytes(b"0" * 16)
    for names in (
        ["diffie-hellman-group14-sha1"],
        ["ssh-rsa", "ssh-dss"],
        *[["3des-cbc"]] * 2,
        *[["hmac-md5"]] * 2,
        *[["none"]] * 2,
        [],
        [],
    ):
        message.add_list(names)
    message.add_boolean(False)
    message.add_int(0)
    transport.in_kex = True
    transport.local_kex_init = transport._latest_kex_init = message.asbytes()  # type: ignore[attr-defined]  # private
    transport._send_message(message)  # type: ignore[attr-defined]  # private


class _Server(paramiko.ServerInterface):
    """Takes the password in the way that it is made for, and counts how often it is tried."""

    def __init__(
        self, methods: str = "password", questions: tuple[tuple[str, bool], ...] = (), banner: str = ""
    ) -> None:
        self.methods, self.questions, self.banner = methods, questions, banner
        self.tries: list[str] = []
        self.users: set[str] = set()

    def serve(self, stream: socket.socket, key: paramiko.PKey = KEY) -> None:
        transport = paramiko.Transport(stream)
        transport.add_server_key(key)
        transport.start_server(server=self)

    def get_allowed_auths(self, username: str) -> str:
        self.users.add(username)
        return self.methods

    def get_banner(self) -> tuple[str, str]:
        return self.banner, "en"

    def check_auth_password(self, username: str, password: str) -> int:
        self.users.add(username)
        self.tries.append(password)
        return AUTH_SUCCESSFUL if password == SECRET else AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> int | InteractiveQuery:
        self.users |= {username, submethods}
        return InteractiveQuery("", "", *self.questions[:1])

    def check_auth_interactive_response(self, responses: list[str]) -> int | InteractiveQuery:
        self.tries += responses
        done = sum(1 for each in self.tries if each)
        if responses == [SECRET] and len(self.questions) == 1:
            return AUTH_SUCCESSFUL
        if responses == [SECRET] and done < len(self.questions):
            return InteractiveQuery("", "", *self.questions[1:])
        return AUTH_FAILED


def logged_in(server: _Server, password: str = SECRET) -> None:
    with (
        served(lambda stream, _: server.serve(stream)) as (target, _),
        login.logged_in(target, PUBLIC, Initial("root", Password(password))),
    ):
        pass


@pytest.mark.parametrize("prompt", ["Password: ", "(root@npu-001) 密码：", "Enter secret>"])
def test_any_single_question_that_is_not_shown_is_answered(prompt: str) -> None:
    server = _Server("keyboard-interactive", ((prompt, False),))
    logged_in(server)
    assert server.tries == [SECRET]


def test_a_second_question_gets_no_password() -> None:
    server = _Server("keyboard-interactive", (("Password: ", False), ("Verification code: ", False)))
    with pytest.raises(AscendError, match="more than the password") as caught:
        logged_in(server)
    assert server.tries.count(SECRET) == 1
    assert "Verification code" in caught.value.found


def test_a_question_for_a_new_password_is_an_expired_one() -> None:
    server = _Server("keyboard-interactive", (("Password: ", False), ("New password: ", False)))
    with pytest.raises(ExpiredError, match="has expired"):
        logged_in(server)
    assert server.tries.count(SECRET) == 1


@pytest.mark.parametrize("methods", ["password", "password,keyboard-interactive", "keyboard-interactive,password"])
def test_a_wrong_password_is_tried_once_by_one_method(methods: str) -> None:
    server = _Server(methods, (("Password: ", False),), banner="Account locked due to 3 failed logins")
    with pytest.raises(AscendError, match="tried once") as caught:
        logged_in(server, "falsch-1")
    assert server.tries == ["falsch-1"]
    assert "Account locked due to 3 failed logins" in caught.value.found
    assert "falsch-1" not in str(caught.value)


def test_a_method_that_is_taken_back_is_not_followed_by_another() -> None:
    class _Fickle(_Server):
        def check_auth_password(self, username: str, password: str) -> int:
            self.methods = "keyboard-interactive"
            return super().check_auth_password(username, password)

    server = _Fickle("password", (("Password: ", False),))
    with pytest.raises(AscendError, match="tried once"):
        logged_in(server, "falsch-1")
    assert server.tries == ["falsch-1"]


def test_the_message_that_paramiko_takes_for_another_is_an_expired_password() -> None:
    class _Expired(_Server):
        def check_auth_password(self, username: str, password: str) -> int:
            assert (username, password) == ("root", SECRET)
            message = paramiko.Message()
            message.add_byte(bytes([60]))  # PASSWD_CHANGEREQ
            message.add_string("Your password has expired")
            message.add_string("")
            self.transport._send_message(message)  # type: ignore[attr-defined]  # private
            threading.Event().wait(2)
            return AUTH_FAILED

        def serve(self, stream: socket.socket, key: paramiko.PKey = KEY) -> None:
            self.transport = paramiko.Transport(stream)
            self.transport.add_server_key(key)
            self.transport.start_server(server=self)

    with pytest.raises(ExpiredError, match="has expired"):
        logged_in(_Expired())


def test_a_key_that_changes_between_look_and_login_gets_no_password() -> None:
    server = _Server()
    other = paramiko.ECDSAKey.generate()
    with (
        served(lambda stream, _: server.serve(stream, other)) as (target, _),
        pytest.raises(AscendError, match="changed a moment ago"),
        login.logged_in(target, PUBLIC, Initial("root", Password(SECRET))),
    ):
        pass
    assert server.tries == []


def test_a_server_that_lets_all_in_or_has_keys_alone() -> None:
    with pytest.raises(AscendError, match="accepts no passwords"):
        logged_in(_Server("publickey"))


def test_a_password_is_shown_by_nothing(tmp_path: Path) -> None:
    initial = Initial("root", Password(SECRET))
    assert SECRET not in repr(initial) + str(initial)


class _MissesTheFirst:
    """A channel to sudo, which has printed its question and not begun to read: the first interrupt is lost."""

    def __init__(self) -> None:
        self.output = [b"ascend-fleet-sudo-asks:root:"]
        self.sent: list[bytes] = []
        self.waited = 0
        self.status_event = threading.Event()
        self.status_event.set()

    def recv(self, _: int) -> bytes:
        if self.output:
            return self.output.pop()
        self.waited += 1
        assert self.waited < 10, "it waits for sudo, and sudo for it"
        if len(self.sent) < 2:
            raise TimeoutError
        return b""

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)

    def recv_exit_status(self) -> int:
        return 1


def test_an_interrupt_that_sudo_missed_is_sent_again() -> None:
    channel: Any = _MissesTheFirst()
    answer = login._heard(channel, Initial("admin", Password(SECRET)))
    assert (channel.sent, answer.asked, answer.code) == ([b"\x03", b"\x03"], ("root",), 1)
