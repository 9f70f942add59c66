# SPDX-License-Identifier: Apache-2.0
"""Another account than root's, and a folder to which it finds its way; pytest's own it does not."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Account

DAEMON = pwd.getpwnam("daemon")
ACCOUNT = Account("daemon", DAEMON.pw_uid, DAEMON.pw_gid, (DAEMON.pw_gid,))


@contextmanager
def open_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ascend-train-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def own(path: Path) -> Path:
    """Have a folder or a file be the account's."""
    shutil.chown(path, DAEMON.pw_uid, DAEMON.pw_gid)
    return path
