# SPDX-License-Identifier: Apache-2.0
"""The process of the playbook that runs an action: each action is a fork of it; and the time limit of its task."""

from __future__ import annotations

import multiprocessing
import os


def playbook() -> int:
    """Return the playbook's process, even if it was killed and its actions now belong to another one."""
    parent = multiprocessing.parent_process()
    return parent.pid if parent and parent.pid else os.getppid()


def has_ended() -> bool:
    """Whether the playbook is gone; an action in its own session outlives it."""
    return os.getppid() != playbook()


def is_time_limit(error: BaseException) -> bool:
    """Whether the task's time is over.

    Recognised by its name, because Ansible has no public class for it: executor.task_executor has one in 2.17, and
    _internal._errors from 2.19 on. It is not a subclass of Exception.
    """
    return type(error).__name__ == "TaskTimeoutError"
