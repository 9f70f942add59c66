# SPDX-License-Identifier: Apache-2.0
"""A guard against what takes for ever: code whose time grows with the square of a text's length, or a lock."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def no_hang(seconds: int = 60) -> Iterator[None]:
    """Fail when the block does not end. It should take a moment: this tells a hang, and measures nothing."""

    def fail(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"it did not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
