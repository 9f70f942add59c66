# SPDX-License-Identifier: Apache-2.0
"""When a drift check notifies, and of what."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice.message import is_due, lines
from tests import fleets
from tests.notify.messages import drifted, mention, message_of, report


@pytest.mark.parametrize(
    ("fleet", "due"),
    [
        (report(), False),
        (drifted(report(before=(1, 0))), False),
        (drifted(report(before=(0, 1)), drifted=0, unchecked=1), False),
        (drifted(report(before=(0, 0))), True),
        (drifted(report(before=(0, 1))), True),
        (drifted(report(before=(1, 0)), unchecked=2), True),
        (report(before=(3, 0)), True),
        (report(before=None), False),
        (drifted(report(before=None)), True),
        (report(changes={"new": [mention()], "gone": []}), True),
        (report(changes={"new": [], "gone": [mention()]}), True),
        (report(changes={"new": [mention()], "gone": []}, partial=True), False),
        (drifted(report(before=(0, 0), partial=True)), False),
        (report(history="the disk is full"), False),
        (drifted(report(before=(1, 0), history="the disk is full")), True),
        (drifted(report(history="the disk is full", partial=True)), False),
    ],
)
def test_when_to_tell(fleet: dict[str, Any], due: bool) -> None:
    assert is_due(fleet, test=False) is due
    assert is_due(fleet, test=True) is True


def test_a_partial_report_is_not_in_the_trend() -> None:
    fleet = drifted(report(partial=True))
    fleet["trend"].pop()
    assert "(was clean)" in message_of(fleet, test=True)["headline"]


def test_the_text() -> None:
    fleet = drifted(report(before=(0, 2)), clean=9)
    fleet["changes"].update(new=[mention(node=f"npu-{number}") for number in range(12)], gone=[mention()], still=1234)
    assert lines(message_of(fleet, "https://fleet.example.com/"), 10) == [
        "ascend-fleet: drifted (was unchecked): 12 new, 1 gone; 9 of 10 nodes clean, 1 drifted",
        *(f"new: npu-{number} cards: cards are not healthy" for number in range(10)),
        "new: 2 more in the report",
        "gone: npu-0001 cards: cards are not healthy",
        "still there: 1,234",
        "report: https://fleet.example.com/",
    ]


def test_a_test_and_a_lost_history_are_said() -> None:
    text = lines(message_of(report(history="history.sqlite\nis gone"), test=True), 10)
    assert text[0].startswith("ascend-fleet: this is a test: clean: 0 new")
    assert text[1] == "history: history.sqlite is gone"


def test_a_line_holds_what_can_be_shown_and_no_more() -> None:
    (line,) = message_of(
        report(
            changes={"new": [mention("a\nb\x1b[31m\u202ec\ud800" + "x" * 500)], "gone": [], "since": None, "still": 0}
        )
    )["new"]
    assert line.startswith(r"npu-0001 cards: a b\x1b[31m\x202ec\xd800xxx")
    assert line.endswith("...")
    assert len(line) == len("npu-0001 cards: ") + 120


def test_what_a_look_by_hand_saw_first_is_still_message_of() -> None:
    """A partial report tells nobody; the next whole one does, although its history knows the finding."""
    seen = fleets.finding("npu-0001", fleets.FAULTS[0], "2026-03-01T12:00:00Z")
    fleet = fleets.report([fleets.node("npu-0001", [seen])])
    fleet["trend"][-2].update(clean=0, drifted=1, unchecked=0)
    fleet["changes"] = {"since": "2026-03-01T12:00:00Z", "new": [], "gone": [], "still": 1}
    assert is_due(fleet, False)
    message = message_of(fleet)
    assert message["data"]["changes"]["new_count"] == 1
    assert message["data"]["changes"]["still"] == 0
    assert "1 new, 0 gone" in message["headline"]
    fleet["trend"][-2]["made"] = "2026-03-01T13:00:00Z"
    assert not is_due(fleet, False)
