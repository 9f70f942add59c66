# SPDX-License-Identifier: Apache-2.0
"""Sessions that do not end as they should: sshd starts passwd in place of the command, or says no exit code."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll import login
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.enroll.password import Password

SAID = (
    b"WARNING: Your password has expired.\r\nYou must change your password now and login again!\r\n",
    b"Changing password for admin.\r\nCurrent pass",
    b"word: ",
)


class Channel:
    """It says its parts, and then nothing for ever."""

    def __init__(self, parts: tuple[bytes, ...]) -> None:
        self.parts, self.sent, self.closed = list(parts), b"", False
        self.status_event = threading.Event()

    def recv(self, _: int) -> bytes:
        if not self.parts:
            raise TimeoutError
        return self.parts.pop(0)

    def sendall(self, text: bytes) -> None:
        self.sent += text

    def close(self) -> None:
        self.closed = True
        self.status_event.set()

    def recv_exit_status(self) -> int:
        """As paramiko does it: without a limit."""
        self.status_event.wait()
        return -1


def test_its_question_is_not_waited_for_and_gets_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "COMMAND_S", 0.2)
    channel: Any = Channel(SAID)
    answer = login._heard(channel, login.Initial("admin", Password("geheim-99")))
    assert login.is_expired(answer.output)
    assert (channel.sent, channel.closed) == (b"", True)


def test_an_end_without_an_exit_code_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "COMMAND_S", 0.2)
    channel: Any = Channel((b"done\n", b""))
    assert login._heard(channel, login.Initial("admin", Password("geheim-99"))) == login.Answer(-1, "done\n")
