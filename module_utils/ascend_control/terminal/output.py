# SPDX-License-Identifier: Apache-2.0
"""Ansible's display, with secrets masked, and with lines below what it prints.

Ansible's own errors and warnings, and -vvv, go the same way as results. This concerns only the playbook's process,
which also receives the workers' output.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from ...ascend.masking import masked
from .region import Region

CLEARED = "\r\x1b[K"
PROMPTS = ("prompt", "do_var_prompt", "prompt_until")


class Output:
    """Takes the place of ``display.display`` and of the prompts.

    ``ahead`` is called once before the next text that is shown. ``note`` gets text that is redrawn without a new line
    while lines are drawn below.
    """

    def __init__(self, display: Any) -> None:
        self.ahead: Callable[[], None] | None = None
        self.note: Callable[[str], None] = lambda _: None
        self.region: Region | None = None
        self.last_shown = 0.0
        self._display, self._unmasked = display, display.display
        self._process = os.getpid()
        self._only = threading.local()
        self._lies = False  # a text without a new line
        display.display = self._show
        for name in PROMPTS:
            if hasattr(display, name):
                setattr(display, name, self._alone(getattr(display, name)))

    @contextmanager
    def only(self, where: str) -> Iterator[None]:
        """Show this thread's output only on the ``screen``, or only in the ``log``."""
        before = getattr(self._only, "where", "")
        self._only.where = before or where
        try:
            yield
        finally:
            self._only.where = before

    def is_quiet(self) -> bool:
        """Whether this thread's output goes only to the log."""
        return getattr(self._only, "where", "") == "log"

    def _show(self, text: Any, *arguments: Any, **named: Any) -> None:
        text = masked(str(text))
        if os.getpid() != self._process:
            self._unmasked(text, *arguments, **named)
            return
        ahead, self.ahead = self.ahead, None
        if ahead:
            ahead()
        where = getattr(self._only, "where", "")
        if where:
            named[f"{where}_only"] = True
        self.last_shown = time.monotonic()
        if named.get("log_only"):
            self._unmasked(text, *arguments, **named)
            return
        drawn_over = text.startswith("\r") and not named.get("newline", True)
        if self.region and drawn_over:
            self.note(text.replace("\x1b[K", "").strip())
            return
        with self.region.above() if self.region else nullcontext():
            if self._lies and not text.startswith("\r"):
                self._unmasked(CLEARED, screen_only=True, newline=False)
            self._lies = drawn_over
            # What was drawn over and has its new line now begins at the left all the same.
            self._unmasked(text.lstrip("\r") if self.region else text, *arguments, **named)

    def _alone(self, prompt: Callable[..., Any]) -> Callable[..., Any]:
        def alone(*arguments: Any, **named: Any) -> Any:
            if os.getpid() != self._process or not self.region:
                return prompt(*arguments, **named)
            with self.region.away():
                return prompt(*arguments, **named)

        return alone
