# SPDX-License-Identifier: Apache-2.0
"""What is on a mirror of the depot, and which files to remove: those that no node needs and no run asked for lately.

Files are named by their sha256; incomplete ones are in ``incoming``. The time stamp is when a file arrived or a run
last asked for it. Anything with another name, or that is not a file, is not ours.
"""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import suppress
from typing import Any, Dict, Iterable, List

from . import files, incoming
from .errors import AscendError

DAY_S = 24 * 60 * 60
MB = 1024 * 1024
_SUM = re.compile(r"[0-9a-f]{64}")


def asked_for(names: Iterable[str], folder: str) -> None:
    """Record that a run asked for these files just now. Raises OSError."""
    for name in names:
        with suppress(FileNotFoundError):
            os.utime(os.path.join(folder, name), follow_symlinks=False)


def old(folder: str, needed: Iterable[str], keep_days: int) -> List[Dict[str, Any]]:
    """Return what to remove, oldest first, as ``{"path", "size_mb", "days"}``; days since a run last asked for it.

    Incomplete files count only after a day. Raises AscendError if ``keep_days`` is not a number of days.
    """
    if keep_days < 0:
        raise AscendError("depot_mirror_keep_days is not a number of days", wanted="0 or more", found=str(keep_days))
    rows = []
    kept = set(needed)
    for place, least in ((folder, keep_days), (os.path.join(folder, incoming.FOLDER), max(keep_days, 1))):
        for name in set(files.names(place)) - kept:
            path = os.path.join(place, name)
            status = os.lstat(path)
            days = int((time.time() - status.st_mtime) // DAY_S)
            if _SUM.fullmatch(name) and stat.S_ISREG(status.st_mode) and days >= least:
                rows.append({"path": path, "size_mb": round(status.st_size / MB, 1), "days": days})
    return sorted(rows, key=lambda row: (-row["days"], row["path"]))


def lines(rows: List[Dict[str, Any]], keep_days: int) -> List[str]:
    """Return what is removed as lines for the terminal; the last one has the sum."""
    found = [
        "remove  %s  %8.1f MB  last requested %d days ago" % (row["path"], row["size_mb"], row["days"]) for row in rows
    ]
    if not rows:
        return ["nothing to remove: every unneeded file was requested in the last %d days" % keep_days]
    return [*found, "%d to remove, which frees %.1f MB" % (len(rows), sum(row["size_mb"] for row in rows))]
