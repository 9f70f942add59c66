# SPDX-License-Identifier: Apache-2.0
"""Take files from a mirror of the depot, where each lies under its sha256, into ``incoming`` of the cache.

A mirror that fails in the middle leaves the beginning of a file, from which whatever comes next goes on.
"""

from __future__ import annotations

import http.client
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List

from . import depot_way
from .depot_file import BLOCK, LOCAL
from .errors import AscendError

AT_ONCE = 4
STALL_S = 20  # a mirror stands in the same rack
PARTIAL = 206


def fetch(missing: List[Dict[str, Any]], folder: str, url: str) -> str:
    """Take what is missing (incoming.lacking) into ``folder``; return why the mirror does not give all, or "".

    The first failure of the mirror itself ends it; a file that it does not hold does not. Raises OSError of the disk.
    """
    stopped = threading.Event()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda file: _fetch(file, folder, url, stopped), missing))
    return next((answer for answer in answers if answer), "")


def _fetch(file: Dict[str, Any], folder: str, url: str, stopped: threading.Event) -> str:
    if stopped.is_set() or file["have_bytes"] == file["size_bytes"]:
        return ""
    address = "%s/%s" % (url.rstrip("/"), file["sha256"])
    try:
        with depot_way.opened(address, "", STALL_S, file["have_bytes"]) as source:
            _write(source, os.path.join(folder, file["sha256"]), file)
        return ""
    except (OSError, ValueError, http.client.HTTPException, AscendError) as error:
        if isinstance(error, OSError) and error.errno in LOCAL:
            raise  # of the cache's disk
        if not depot_way.is_missing(error):
            stopped.set()
        return "%s: %s" % (address, depot_way.error_text(error))


def _write(source: Any, path: str, file: Dict[str, Any]) -> None:
    """Append what comes. A server that knows no ranges gives the file from its beginning."""
    begin = file["have_bytes"] if source.status == PARTIAL else 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as sink:
        sink.seek(begin)
        sink.truncate()
        left = file["size_bytes"] - begin
        while left > 0:
            data = source.read(min(BLOCK, left))
            if not data:
                raise ValueError("%d bytes are missing at its end" % left)
            sink.write(data)
            left -= len(data)
