# SPDX-License-Identifier: Apache-2.0
"""Busy tools of the driver: we ask again before reporting something that passes in a moment.

hccn_tool serves one caller at a time, and npu-smi may find a card locked; monitoring programs ask them all day. Words:
hccn_tool's and npu-smi's sources ("is busy, please try again", -8020), and what was seen in the field.
"""

from __future__ import annotations

import re
import threading
import time
from typing import Callable

from ..command import Result

WAITS_S = (0.5, 1.0, 2.0)  # before each time that a busy tool is asked again

_BUSY = re.compile(
    r"\bbusy\b|\block (?:\w+ )?fail|\bfail\w* to (?:get |acquire |obtain |take )?(?:\w+ ){0,3}lock\b"
    r"|\block (?:\w+ )?is (?:held|used|occupied)|\b(?:try|retry) (?:it )?(?:again|later)\b|temporarily unavailable"
    r"|because the device is used|-8020\b|\bEBUSY\b|\bEAGAIN\b|\bfail\w* to lock\b|\bretry\b|\bplease wait\b"
    r"|\balready (?:running|locked)\b|\b(?:locked|(?:in use|used|occupied) by another)\b",
    re.IGNORECASE,
)


def is_busy(result: Result) -> bool:
    """Whether a tool says, instead of answering, that it is busy. Use it on results without an answer."""
    return not result.timed_out and bool(_BUSY.search(result.printed))


def asked_again(result: Result, ask: Callable[[], Result], until: float, busy: Callable[[Result], bool]) -> Result:
    """Ask again while the tool is busy and time is left ``until`` (monotonic); return the last result."""
    for wait in WAITS_S:
        if not busy(result) or time.monotonic() + wait >= until:
            break
        time.sleep(wait)
        result = ask()
    return result


class Turns:
    """Callers of one tool: in parallel until it says that it is busy, from then on one after another."""

    def __init__(self) -> None:
        self._one_by_one = False
        self._given_up = False
        self._turn = threading.Lock()

    def ask(self, ask: Callable[[], Result], until: float) -> Result:
        """Return the tool's answer to one question. A tool that stays busy is asked each later question only once."""
        if not self._one_by_one:
            result = ask()
            if not is_busy(result):
                return result
            self._one_by_one = True
        with self._turn:
            result = ask()
            if is_busy(result) and not self._given_up:
                result = asked_again(result, ask, until, is_busy)
                self._given_up = is_busy(result)
            return result
