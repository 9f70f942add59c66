# SPDX-License-Identifier: Apache-2.0
"""Run a program with a time limit: no shell, no standard input, locale C, its whole process group ended in time."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import Dict, List, Optional

GRACE_S = 5  # between asking a process group to end and ending it


@dataclass(frozen=True)
class Result:
    """What a program did. ``output`` is its standard output and error, as they came, decoded with replacement."""

    code: int
    output: str
    timed_out: bool

    def last_lines(self, count: int = 20) -> str:
        """Return the end of the output, for a message."""
        return "\n".join(self.output.strip().splitlines()[-count:])


def run(
    argv: List[str],
    timeout_s: float,
    env: Optional[Dict[str, str]] = None,
    umask: int = 0o022,
    cwd: Optional[str] = None,
) -> Result:
    """Run ``argv`` and return its result; a program that cannot be started has code 127 and the reason as output.

    ``env`` replaces the environment (default: the caller's); the locale is C.UTF-8 either way.
    """
    environment = dict(os.environ if env is None else env, LC_ALL="C.UTF-8", LANG="C.UTF-8")
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=lambda: _set_umask(umask),  # pylint: disable=subprocess-popen-preexec-fn
        )
    except OSError as error:
        return Result(127, str(error), False)
    try:
        output, _ = process.communicate(timeout=timeout_s)
        return Result(process.returncode, output.decode("utf-8", "replace"), False)
    except subprocess.TimeoutExpired:
        output = _end(process)
        return Result(-signal.SIGKILL, output.decode("utf-8", "replace"), True)


def _set_umask(umask: int) -> None:
    os.umask(umask)


def _end(process: "subprocess.Popen[bytes]") -> bytes:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            output, _ = process.communicate(timeout=GRACE_S)
            return output
        except subprocess.TimeoutExpired:
            continue
    return b""
