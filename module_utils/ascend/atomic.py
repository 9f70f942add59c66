# SPDX-License-Identifier: Apache-2.0
"""Write a file or a link so that after an interruption either the old one or the new one is complete; remove a path."""

from __future__ import annotations

import os
import shlex
import shutil
from contextlib import contextmanager
from typing import Callable, Iterator

from .command import Result
from .errors import AscendError

PARTIAL = ".part"
SETTLE_S = 1800  # for gigabytes, on a disk that training writes to as well
MODE = 0o644  # whatever the umask of the session: users read which CANN their environment belongs to


def write(path: str, text: str) -> None:
    """Write the file and sync it to disk, because a power cut may follow. On OSError, the old content is left.

    Everybody may read it.
    """
    partial = path + PARTIAL
    try:
        with open(partial, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), MODE)
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except OSError:
        if os.path.exists(partial):
            os.unlink(partial)
        raise


def link(path: str, target: str, prepared: Callable[[], None] = lambda: None) -> None:
    """Point a link to ``target`` atomically; ``prepared`` is called just before. Raises OSError."""
    partial = path + PARTIAL
    if os.path.lexists(partial):
        os.unlink(partial)
    os.symlink(target, partial)
    prepared()
    os.replace(partial, path)


def settle(folder: str, run: Callable[..., Result]) -> None:
    """Sync everything below ``folder`` to disk; afterwards a file may be written that says it is complete.

    File systems preserve the order of names, not of contents. After a power cut, a file that was written seconds before
    may exist and be empty (ext4, XFS). Raises AscendError.
    """
    result = run(["sync", "--file-system", folder], SETTLE_S)
    if result.code != 0:
        what = "not finished within %d s" % SETTLE_S if result.timed_out else result.last_lines(3)
        raise AscendError(
            "sync failed",
            wanted="sync --file-system, with code 0",
            found=what or "code %d" % result.code,
            where=folder,
            remedy="dmesg | tail -n 30; df -h %s  # then run the same command again" % folder,
        )


def remove(path: str) -> None:
    """Remove what is at a path, if anything: a folder with its content, or a link without its target.

    Raises OSError.
    """
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


@contextmanager
def removing(path: str, problem: str, wanted: str = "none of its files") -> Iterator[None]:
    """Turn an OSError of the block into ``problem``: the thing at ``path`` could not be removed.

    ``path`` is the node's own name for it, wherever the block accesses it. Raises AscendError.
    """
    try:
        yield
    except OSError as error:
        raise AscendError(
            problem,
            wanted=wanted,
            found=str(error),
            where=path,
            remedy="ls -la {0}; lsattr -d {0}; findmnt -R {0}  # then run it again".format(shlex.quote(path)),
        ) from error
