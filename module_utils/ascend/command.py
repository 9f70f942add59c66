# SPDX-License-Identifier: Apache-2.0
"""Run a program with a time limit: no shell, no standard input, locale C, its whole process group ended in time."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Dict, List, Optional

GRACE_S = 5  # between asking a process group to end and ending it
MOST_BYTES = 16 * 1024 * 1024  # of output that is read: a tool gone wild does not fill the memory


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
    umask: Optional[int] = 0o022,
    cwd: Optional[str] = None,
    locale: str = "C.UTF-8",
) -> Result:
    """Run ``argv`` and return its result; a program that cannot be started has code 127 and the reason as output.

    ``env`` replaces the environment (default: the caller's); the locale is ``locale`` either way. Without ``umask`` no
    code runs between fork and exec, so that threads may call this.
    """
    environment = dict(os.environ if env is None else env, LC_ALL=locale, LANG=locale, LANGUAGE="")
    # A file, not a pipe: a daemon that the program leaves behind would hold a pipe open long after the program's end.
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=None if umask is None else partial(_set_umask, umask),
            )
        except OSError as error:
            return Result(127, str(error), False)
        timed_out = not _ended(process, timeout_s)
        if timed_out:
            _end(process)
        output.seek(0)
        text = output.read(MOST_BYTES).decode("utf-8", "replace")
    return Result(-signal.SIGKILL if timed_out else process.returncode, text, timed_out)


def query(argv: List[str], timeout_s: float) -> Result:
    """Run a program that only tells something: locale C, safe to call from several threads at once."""
    return run(argv, timeout_s, umask=None, locale="C")


def _set_umask(umask: int) -> None:
    os.umask(umask)


def _ended(process: "subprocess.Popen[bytes]", timeout_s: float) -> bool:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the whole group, also what ignores being asked. What hangs in the kernel cannot be ended: it is left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        _ended(process, GRACE_S)
