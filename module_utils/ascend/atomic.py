# SPDX-License-Identifier: Apache-2.0
"""Write a file so that after an interruption the old content is there, whole, or the new one is; remove a path."""

from __future__ import annotations

import os
import shutil

PARTIAL = ".part"
MODE = 0o644  # whatever the umask of the session: users read which CANN their environment belongs to


def write(path: str, text: str) -> None:
    """Write the file, to the disk as well: a power cut may follow. Raises OSError, and then leaves the old content.

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


def remove(path: str) -> None:
    """Remove what lies at a path, if anything does: a folder with all that is in it, or a link and not where it leads.

    Raises OSError.
    """
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
