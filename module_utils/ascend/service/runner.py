# SPDX-License-Identifier: Apache-2.0
"""The parent of a program that goes on: it keeps its log, passes on that it shall end, and writes how it ended.

It is a file of its own in the service's folder, started as the service's account by systemd or by the module, with the
path of the job: ``{"argv", "env", "cwd", "out", "grace_s", "mark"}``. Standard library alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any, Dict, List

LOOK_S = 0.2
END_S = 2.0  # between asking what the program left behind to end and ending it


def main(path: str) -> int:
    """Run the job to its end; return the exit code: 0 where it was asked to end."""
    with open(path, encoding="utf-8") as stream:
        job = json.load(stream)
    os.umask(0o027)
    log = os.open(os.path.join(job["out"], "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    os.dup2(log, 1)
    os.dup2(log, 2)
    asked: List[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda signum, _frame: asked.append(signum))
    try:
        os.chdir(job["cwd"])
        child = subprocess.Popen(job["argv"], env=job["env"], stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        os.write(2, ("cannot be started: %s\n" % error).encode())
        return _ended(job, 127, asked)
    code = _wait(child, asked, job["grace_s"])
    # A rank that waits for others has a session of its own, and would go on.
    _end(marked(job["mark"]))
    return _ended(job, code, asked)


def _wait(child: subprocess.Popen[bytes], asked: List[int], grace_s: float) -> int:
    """Wait for the child's end; once asked to end, pass that on, and after a while insist."""
    until = None
    while True:
        with suppress(subprocess.TimeoutExpired):
            return child.wait(LOOK_S)
        if asked and until is None:
            until = time.monotonic() + grace_s
            _send(child.pid, signal.SIGTERM)
        if until is not None and time.monotonic() > until:
            _send(child.pid, signal.SIGKILL)


def _send(group: int, number: int) -> None:
    with suppress(OSError):
        os.killpg(group, number)


def marked(mark: str) -> List[int]:
    """Return the processes that inherited the mark, but for this one."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with suppress(OSError), open("/proc/%s/environ" % name, "rb") as stream:
                if mark.encode() in stream.read().split(b"\0"):
                    found.append(int(name))
    return found


def _end(pids: List[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, number)
        until = time.monotonic() + END_S
        while any(os.path.exists("/proc/%d" % pid) for pid in pids) and time.monotonic() < until:
            time.sleep(LOOK_S)


def _ended(job: Dict[str, Any], code: int, asked: List[int]) -> int:
    place = os.path.join(job["out"], "ended.json")
    with open(place + ".part", "w", encoding="utf-8") as stream:
        stream.write(json.dumps({"code": code, "at": time.time(), "asked": bool(asked)}))
    os.replace(place + ".part", place)
    if asked:
        return 0
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
