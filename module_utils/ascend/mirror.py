# SPDX-License-Identifier: Apache-2.0
"""Take files from a mirror of the depot, where each is named by its sha256, into ``incoming`` of the cache.

A mirror that fails midway leaves the beginning of a file, where the next transfer continues.
"""

from __future__ import annotations

import http.client
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, Tuple

from . import depot_way, incoming
from .depot_file import BLOCK, LOCAL
from .errors import AscendError

AT_ONCE = 4
STALL_S = 20  # a mirror stands in the same rack
PARTIAL = 206


def take(missing: List[Dict[str, Any]], cache_dir: str, url: str, uid: int) -> Tuple[List[Dict[str, Any]], str]:
    """Take what the mirror has into the cache; return what is still missing (incoming.lacking), and why, or "".

    What arrived of a file belongs to the account ``uid``, which continues it. Raises AscendError and OSError.
    """
    folder = os.path.join(cache_dir, incoming.FOLDER)
    problem = _fetch_all(missing, folder, url)
    came = {each["sha256"]: _size(os.path.join(folder, each["sha256"])) for each in missing}
    whole = [each for each in missing if came[each["sha256"]] == each["size_bytes"]]
    wrong = {each["path"]: each["found"] for each in incoming.arrive([_named(each) for each in whole], cache_dir)}
    if wrong and not problem:
        path, found = next(iter(wrong.items()))
        problem = "%s: %s is another file: %s" % (url, path, found)
    left = [
        {**each, "have_bytes": 0 if each["path"] in wrong else came[each["sha256"]]}
        for each in missing
        if each not in whole or each["path"] in wrong
    ]
    if left:
        incoming.prepare(left, cache_dir, uid)
    return left, problem


def _named(file: Dict[str, Any]) -> incoming.Incoming:
    return incoming.Incoming(file["path"], file["sha256"], file["size_bytes"])


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _fetch_all(missing: List[Dict[str, Any]], folder: str, url: str) -> str:
    """Take what is missing into ``folder``; return why the mirror does not give everything, or "".

    The first failure of the mirror itself ends it; a file that it lacks does not. Raises OSError of the disk.
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
    """Append what comes. A server that does not support ranges sends the file from the beginning."""
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
