# SPDX-License-Identifier: Apache-2.0
"""Run a program with a time limit for its whole process group, without a shell or standard input, in locale C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, Callable, Dict, List, NamedTuple, Optional, Tuple

from .masking import masked

GRACE_S = 5  # between asking a process group to end and ending it
MOST_BYTES = 16 * 1024 * 1024  # of output that is read
MOST_ANSWER = 1024 * 1024  # of a tool that only tells something: more is no answer, and it is ended
MOST_SHOWN = 64 * 1024  # characters, the last ones, of which a message may show some
LOOK_S = 0.2  # how often the output's size is looked at
# What the loader says on every program's error output where /etc/ld.so.preload or LD_PRELOAD names what it cannot load.
_LOADER = re.compile(r"^ERROR: ld\.so: object .*: ignored\.\r?\n?", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What a program did. ``output`` is its standard output; ``errors`` its standard error if kept apart.

    Without ``apart`` the output contains both, as they came. Bytes that are not text are replaced.
    """

    code: int
    output: str
    timed_out: bool
    errors: str = ""

    @property
    def printed(self) -> str:
        """Everything that it printed, without the loader's noise, to be recognised or quoted."""
        end = "" if self.output.endswith("\n") or not self.output or not self.errors else "\n"
        return self.output + end + _LOADER.sub("", self.errors)

    @property
    def answer(self) -> str:
        """The answer, or what the tool said instead of one."""
        return self.output if self.output.strip() else self.printed

    def last_lines(self, count: int = 20) -> str:
        """Return the end of the output for a message, with secrets masked (some have more than one line)."""
        return "\n".join(masked(self.printed[-MOST_SHOWN:].strip()).splitlines()[-count:])


class Account(NamedTuple):
    """The account that a program runs as, as numbers, so it needs neither a password nor a shell."""

    name: str
    uid: int
    gid: int
    groups: Tuple[int, ...]


def run(
    argv: List[str],
    timeout_s: float,
    env: Optional[Dict[str, str]] = None,
    umask: Optional[int] = 0o022,
    cwd: Optional[str] = None,
    locale: str = "C.UTF-8",
    most_bytes: Optional[int] = None,
    keep: Optional[int] = None,
    apart: bool = False,
    account: Optional[Account] = None,
) -> Result:
    """Run ``argv`` and return its result; a program that cannot be started gets code 127 and the reason as output.

    ``env`` replaces the environment (default: the caller's); the locale is ``locale`` either way. Without ``umask`` no
    code runs between fork and exec, so threads may call this. A program that prints more than ``most_bytes`` is ended;
    its code is that of the signal. ``keep`` is an open file that the program inherits. ``apart`` keeps standard error
    out of the output, for answers that are parsed, because others write to standard error (the loader, for example).
    ``account`` is the account to run as, for which the caller must be root.
    """
    environment = dict(os.environ if env is None else env, LC_ALL=locale, LANG=locale, LANGUAGE="")
    # A file, not a pipe: a daemon that the program leaves behind would hold a pipe open long after the program's end.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors if apart else subprocess.STDOUT,
                env=environment,
                cwd=cwd,
                start_new_session=True,
                pass_fds=() if keep is None else (keep,),
                preexec_fn=None if umask is None and account is None else partial(_prepare, umask, account),
            )
        except (OSError, subprocess.SubprocessError) as error:
            return Result(127, str(error), False)
        timed_out, too_much = _watched(process, timeout_s, [output, errors], most_bytes)
        if timed_out or too_much:
            _end(process)
        text, error_text = (_text(stream, most_bytes or MOST_BYTES) for stream in (output, errors))
    return Result(-signal.SIGKILL if timed_out or too_much else process.returncode, text, timed_out, error_text)


def query(argv: List[str], timeout_s: float) -> Result:
    """Run a program that only reports something: locale C, standard error apart, safe in several threads."""
    return run(argv, timeout_s, umask=None, locale="C", most_bytes=MOST_ANSWER, apart=True)


def _text(stream: IO[bytes], most_bytes: int) -> str:
    stream.seek(0)
    return stream.read(most_bytes).decode("utf-8", "replace")


def _watched(
    process: "subprocess.Popen[bytes]", timeout_s: float, outputs: List[IO[bytes]], most_bytes: Optional[int]
) -> Tuple[bool, bool]:
    """Wait for the program's end; return whether it missed its time, and whether it printed too much."""
    until = time.monotonic() + timeout_s
    while not _ended(process, min(LOOK_S, max(0.0, until - time.monotonic()))):
        if most_bytes and max(os.fstat(output.fileno()).st_size for output in outputs) > most_bytes:
            return False, True
        if time.monotonic() >= until:
            return True, False
    return False, False


def _prepare(umask: Optional[int], account: Optional[Account]) -> None:
    """Runs between fork and exec. The groups come first, because they cannot be set after giving up root."""
    if umask is not None:
        os.umask(umask)
    if account is not None:
        os.setgroups(account.groups)
        os.setgid(account.gid)
        os.setuid(account.uid)


def as_account(account: Account) -> Callable[[], None]:
    """Return what a program does between fork and exec (``preexec_fn``) to run as the account."""
    return partial(_prepare, None, account)


def _ended(process: "subprocess.Popen[bytes]", timeout_s: float) -> bool:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the whole group, also processes that ignore SIGTERM. Those that hang in the kernel are left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        _ended(process, GRACE_S)
