# SPDX-License-Identifier: Apache-2.0
"""A thread that does something now and then, in a process that forks.

Ansible forks a worker for each task of each node. A lock that a thread has at that moment would stay locked in the
worker forever, so this thread works only under ``lock``, which is taken before every fork.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

STOPPED_S = 2.0  # one that slept so much too long was stopped with its process


class Pulse:
    """Calls ``act`` every ``every_s`` seconds, under ``lock``, which can be taken twice by the same thread."""

    def __init__(self, lock: Any, every_s: float, act: Callable[[], None]) -> None:
        self._lock, self._every_s, self._act = lock, every_s, act
        self._process = os.getpid()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="fleet-pulse", daemon=True)

    def begin(self) -> None:
        # The worker's copy of the lock was taken by the thread that forked, which is the worker's only one.
        os.register_at_fork(
            before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._lock.release
        )
        self._thread.start()

    def end(self) -> None:
        """Stop it. Does nothing in a forked process."""
        if os.getpid() != self._process or self._ended.is_set():
            return
        with self._lock:
            self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(STOPPED_S)

    def _follow(self) -> None:
        begun = time.monotonic()
        while not self._ended.wait(self._every_s):
            if time.monotonic() - begun > self._every_s + STOPPED_S:
                self._ended.wait(0.1)  # the handler of SIGCONT comes first
            with self._lock:
                if not self._ended.is_set():
                    self._act()
            begun = time.monotonic()
