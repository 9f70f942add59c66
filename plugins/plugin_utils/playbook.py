# SPDX-License-Identifier: Apache-2.0
"""The process of the playbook that runs an action: each action is a fork of it."""

from __future__ import annotations

import multiprocessing
import os


def playbook() -> int:
    """Return the process of the playbook, also where that was killed, and its actions belong to another one now."""
    parent = multiprocessing.parent_process()
    return parent.pid if parent and parent.pid else os.getppid()


def has_ended() -> bool:
    """Whether the playbook is gone: an action outlives it, in a session of its own."""
    return os.getppid() != playbook()
