# SPDX-License-Identifier: Apache-2.0
"""A session in a terminal in which sshd starts passwd in place of the command: the password has expired."""

from __future__ import annotations

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

    def recv(self, _: int) -> bytes:
        if not self.parts:
            raise TimeoutError
        return self.parts.pop(0)

    def sendall(self, text: bytes) -> None:
        self.sent += text

    def close(self) -> None:
        self.closed = True

    def recv_exit_status(self) -> int:
        return -1


def test_its_question_is_not_waited_for_and_gets_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "COMMAND_S", 0.2)
    channel: Any = Channel(SAID)
    answer = login._heard(channel, login.Initial("admin", Password("geheim-99")))
    assert login.is_expired(answer.output)
    assert (channel.sent, channel.closed) == (b"", True)
