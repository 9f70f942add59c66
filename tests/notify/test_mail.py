# SPDX-License-Identifier: Apache-2.0
"""The mail, and how the answer of sendmail is read."""

from __future__ import annotations

from email import message_from_string, policy
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice import mail
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice.outcome import outcome_line
from tests.notify.messages import NOW, full


def test_a_mail_is_whole_and_ascii() -> None:
    message = full("\u5361\u574f\u4e86")
    letter = mail.letter(
        {**message, "data": {**message["data"], "summary": "one\n\x1b[1mtwo"}}, "root", "fleet@a.example", NOW
    )
    assert letter.isascii()
    assert "\r" not in letter
    read = message_from_string(letter, policy=policy.default)
    assert read.defects == []
    assert dict(read.items())["To"] == "root"
    assert read["Date"].datetime.timestamp() == int(NOW)
    text = read.get_content()
    assert "new: npu-0001 cards: \u5361\u574f\u4e86\n" in text
    assert text.endswith("report: https://fleet.example.com/\n\none\n\\x1b[1mtwo\n")


@pytest.mark.parametrize(
    "bad", ["a@b.example\nBcc: c@d.example", "a b@c", "a@", "<a@b>", "a,b@c", "-", "\u00e4@b.example"]
)
def test_a_header_cannot_be_added_through_an_address(bad: str) -> None:
    good = "a@b.example"
    if bad != "-":
        assert mail.letter(full("x"), [bad], good, NOW) == ""
        assert mail.letter(full("x"), [good], bad, NOW) == ""
        letter = message_from_string(mail.letter(full("x"), [bad, good], good, NOW), policy=policy.default)
        assert (letter["To"], letter["Bcc"]) == (good, None)
    line = outcome_line([], [], [good, bad], good, {"rc": 0}, 10)
    wrong = "" if bad == "-" else "; NOT sent to mail: address 2 of notify_mail_to is not name@host"
    assert line == f"notifications: sent to mail{wrong}"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"rc": 0, "stderr": "a warning"}, ""),
        ({"rc": 124}, "sendmail took longer than 10 s"),
        ({"rc": 137}, "sendmail took longer than 10 s"),
        ({"rc": 127, "stderr": "timeout: no\nfile\n"}, "sendmail, exit code 127: timeout: no file"),
    ],
)  # fmt: skip
def test_the_mail_is_judged_by_its_program(answer: dict[str, Any], why: str) -> None:
    line = outcome_line([], [], ["a@b.example"], "a@b.example", answer, 10)
    assert line == (f"notifications: NOT sent to mail: {why}" if why else "notifications: sent to mail")
    assert outcome_line([], [], ["a@b.example"], "", answer, 10).endswith("notify_mail_from is not name@host")
