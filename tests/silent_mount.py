# SPDX-License-Identifier: Apache-2.0
"""A file system that never answers, as a dead network mount: FUSE's kernel side without a server (fuse(4)).

Whoever looks at something in it waits, killable as with NFS. Closing the device aborts the connection: so nothing hangs
any longer than this process lives.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def silent(place: Path, kind: str = "fuse") -> Iterator[None]:
    """Mount it at ``place`` for as long as the block takes; skips the test where that is not allowed."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("needs root and /dev/fuse")
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [b"silent", os.fsencode(place), kind.encode()]
    try:
        if libc.mount(*arguments, ctypes.c_ulong(0), options.encode()) != 0:
            pytest.skip(f"mounting is not allowed here: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            libc.umount2(os.fsencode(place), 2)  # MNT_DETACH: it may be in use
    finally:
        os.close(device)


def is_hanging(place: Path) -> bool:
    """Whether a look at the place does not end."""
    stat = shutil.which("stat")
    assert stat
    look = subprocess.Popen([stat, "-f", place], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        look.wait(0.5)
    except subprocess.TimeoutExpired:
        look.kill()
        return True
    return False
