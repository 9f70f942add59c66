#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands before the ssh program, and keeps what the node answers in the folder ASCEND_BENCH_ANSWERS, for answer.c.

With ASCEND_BENCH_TURNS, a folder, an answer's name begins with its number among the node's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def kind(command: str, question: bytes) -> str:
    """Return a name for what is asked: a module's, or one of the two things that Ansible asks to find Python."""
    if "echo FOUND" in command:
        return "interpreters"
    module = re.search(rb'"_ansible_module_name": "([a-z0-9_.]+)"', question)
    if module:
        return module[1].decode()
    return "platform" if b"platform_dist_result" in question else "unknown"


def turn(node: str) -> str:
    """Return what an answer's name begins with, and count the question; "" where they are not counted."""
    folder = os.environ.get("ASCEND_BENCH_TURNS")
    if not folder:
        return ""
    with (Path(folder) / node).open("ab") as stream:
        stream.write(b"?")
        return f"{stream.tell():03d}-"


def main() -> int:
    # Where Ansible sends nothing, it leaves a terminal open.
    question = b"" if os.isatty(0) else sys.stdin.buffer.read()
    # A connection that stays open would keep the outputs open, too.
    alone = ["-o", "ControlMaster=no", "-o", "ControlPath=none"]
    done = subprocess.run(["ssh", *alone, *sys.argv[1:]], input=question, capture_output=True, check=False)
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    if done.returncode == 0 and not {"-O", "-V"} & set(sys.argv):
        name = turn(sys.argv[-2]) + kind(sys.argv[-1], question)
        (Path(os.environ["ASCEND_BENCH_ANSWERS"]) / name).write_bytes(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
