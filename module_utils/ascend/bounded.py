# SPDX-License-Identifier: Apache-2.0
"""Read things that may never answer, such as a dead network mount, in a child process with a time limit.

A limit within the process does not help, because a thread that waits in the kernel for a file system cannot be ended,
and keeps its process alive. So a child reads, and sends what it found through a pipe as lines of JSON. A late child is
killed and not waited for; if the kernel does not release it, it stays until the file system answers or is unmounted.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
import traceback
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

PLACE_S = 4.0  # for one place of others; a server that is only slow answers in less
MOST_HUNG = 3  # places that do not answer before the rest is not asked any more: they are of one server, as a rule
MOST_WAIT_S = 0.5  # for the end of a child that was killed
_CHUNK = 64 * 1024

Tell = Callable[[Any], None]


class LateError(Exception):
    """Nothing came in time."""


class Child:
    """``work(tell)`` in a child process; ``next`` reads the JSON values that it reports."""

    def __init__(self, work: Callable[[Tell], None]) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _be_child(work, writing)
        os.close(writing)
        self._pipe = reading
        self._read = b""

    def next(self, until: float) -> Any:
        """Return the next value, None at the end. Raises LateError if there is none ``until`` then (monotonic)."""
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._pipe], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise LateError
            chunk = os.read(self._pipe, _CHUNK)
            if not chunk:
                return None
            self._read += chunk
        line, _, self._read = self._read.partition(b"\n")
        value = json.loads(line.decode("utf-8"))
        if isinstance(value, dict) and "crashed" in value:
            raise RuntimeError(value["crashed"])
        return value

    def end(self) -> None:
        """End the child and the programs that it started; one that hangs in the kernel is left there."""
        os.close(self._pipe)
        for pid in _programs(self.pid):
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        with suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        wait = 0.0005
        with suppress(ChildProcessError):
            while os.waitpid(self.pid, os.WNOHANG) == (0, 0) and wait < MOST_WAIT_S:
                time.sleep(wait)
                wait *= 2


def _be_child(work: Callable[[Tell], None], writing: int) -> None:
    """Work, report, and end without the parent's exit handlers.

    None of the parent's files stays open, or whoever waits for the end of its output would wait for a child that hangs.
    """
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.closerange(3, writing)
        os.closerange(writing + 1, max(writing + 1, 1024))
        with ExitStack() as stack:
            stack.push(partial(_crashed, writing))
            work(partial(_write, writing))
    finally:
        os._exit(0)


def _crashed(writing: int, kind: Any, error: Optional[BaseException], trace: Any) -> bool:
    """Report a defect to the parent, which raises it there."""
    if error is not None:
        _write(writing, {"crashed": "".join(traceback.format_exception(kind, error, trace))})
    return False


def _write(writing: int, value: Any) -> None:
    line = json.dumps(value).encode("utf-8") + b"\n"
    while line:
        line = line[os.write(writing, line) :]


def _programs(pid: int) -> List[int]:
    """Return the children of a process; each one that ``command.run`` starts leads its own process group."""
    with suppress(OSError), open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as stream:
        return [int(number) for number in stream.read().split()]
    return []


class Looked(NamedTuple):
    """``found``: place -> what was read; ``hung``: places that did not answer; ``left``: the skipped ones."""

    found: Dict[str, Any]
    hung: List[str]
    left: List[str]


def each(places: Sequence[str], read: Callable[[str], Any], limit_s: Optional[float] = None) -> Looked:
    """Return what ``read`` (JSON) says about each place; one that does not answer in time costs only its own answer."""
    left = list(places)
    looked = Looked({}, [], left)
    while left and len(looked.hung) < MOST_HUNG:
        child = Child(partial(_tell_each, list(left), read))
        try:
            while left:
                value = child.next(time.monotonic() + (PLACE_S if limit_s is None else limit_s))
                if value is None:
                    raise RuntimeError("reading %s ended without an answer" % left[0])
                looked.found[left.pop(0)] = value[0]
        except LateError:
            looked.hung.append(left.pop(0))
        finally:
            child.end()
    return looked


def _tell_each(places: Sequence[str], read: Callable[[str], Any], tell: Tell) -> None:
    for place in places:
        tell([read(place)])


class HungError(Exception):
    """``at``: what did not end; ``seconds``: the limit that it missed."""

    def __init__(self, at: str, seconds: float) -> None:
        super().__init__("%s: nothing within %g s" % (at, seconds))
        self.at = at
        self.seconds = seconds


def whole(work: Callable[[Any], Any], limit_s: float) -> Any:
    """Return what ``work(at)`` returns (JSON). Raises HungError if it does not end within the limit.

    ``work`` says what it is doing: ``at(words)``, or ``at(words, seconds)`` for something with a shorter limit.
    """
    child = Child(lambda tell: tell({"done": work(lambda words, limit=None: tell({"at": [words, limit]}))}))
    until = time.monotonic() + limit_s
    at, seconds, own = "the beginning", limit_s, until
    try:
        while True:
            value = child.next(min(until, own))
            if value is None:
                raise RuntimeError("the reading ended without an answer, at %s" % at)
            if "done" in value:
                return value["done"]
            at, limit = value["at"]
            seconds = min(limit or limit_s, limit_s)
            own = time.monotonic() + seconds
    except LateError:
        raise HungError(at, seconds) from None
    finally:
        child.end()
