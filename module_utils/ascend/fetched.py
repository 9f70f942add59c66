# SPDX-License-Identifier: Apache-2.0
"""Fetch files from a server of the depot, a mirror or its web server, into ``incoming`` of the cache.

A mirror names each file by its sha256, a web server by its path in the depot. One call fetches for a limited time, so
that the control node can show the progress and call again. What arrived of a file stays, and the next call, or the
next run, continues there.
"""

from __future__ import annotations

import http.client
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, NamedTuple, Tuple

from . import depot_way, incoming
from .change import fault_points
from .depot_file import LOCAL
from .errors import AscendError

AT_ONCE = 4
PIECE = 128 * 1024  # read at once, so that also a slow server notices the end of its time
STALL_S = 20  # a server stands in the same rack or room
PARTIAL = 206
# Why a file did not come. What BROKE may come if it is asked for again.
BROKE, MISSING, WRONG = "broke", "missing", "wrong"


class Server(NamedTuple):
    """Its address, and the proxy to ask, or ""."""

    url: str
    proxy: str = ""


class Problem(NamedTuple):
    """Why a server did not give a file: what kind of failure, the file's address, and what was found."""

    kind: str
    address: str
    found: str


def fetch(
    missing: List[Dict[str, Any]], cache_dir: str, server: Server, uid: int, for_s: float
) -> Tuple[List[Dict[str, Any]], List[Problem]]:
    """Fetch for ``for_s`` seconds; return what is still missing (incoming.lacking), and what failed.

    What arrived of a file belongs to the account ``uid``, which continues it. Raises AscendError and OSError.
    """
    folder = os.path.join(cache_dir, incoming.FOLDER)
    problems = _fetch_all(missing, folder, server, time.monotonic() + for_s)
    have = {each["sha256"]: _size(os.path.join(folder, each["sha256"])) for each in missing}
    whole = {each["path"]: each for each in missing if have[each["sha256"]] == each["size_bytes"]}
    wrong = {each["path"]: each["found"] for each in incoming.arrive(map(_named, whole.values()), cache_dir)}
    problems += [Problem(WRONG, _address(server, whole[path]), found) for path, found in wrong.items()]
    left = [
        {**each, "have_bytes": 0 if each["path"] in wrong else have[each["sha256"]]}
        for each in missing
        if each["path"] not in whole or each["path"] in wrong
    ]
    if left:
        incoming.prepare(left, cache_dir, uid)
    return left, problems


def _named(file: Dict[str, Any]) -> incoming.Incoming:
    return incoming.Incoming(*(file[name] for name in incoming.Incoming._fields))


def _address(server: Server, file: Dict[str, Any]) -> str:
    return "%s/%s" % (server.url.rstrip("/"), file["address"] or file["sha256"])


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _fetch_all(missing: List[Dict[str, Any]], folder: str, server: Server, until: float) -> List[Problem]:
    """Fetch what is missing into ``folder`` until then; return what failed. Raises OSError of the disk.

    The first failure of the server itself ends it; a file that it lacks does not.
    """
    problems: List[Problem] = []

    def fetch_one(file: Dict[str, Any]) -> None:
        is_down = any(problem.kind == BROKE for problem in problems)
        if is_down or time.monotonic() >= until or file["have_bytes"] == file["size_bytes"]:
            return
        address = _address(server, file)
        try:
            with depot_way.opened(address, server.proxy, STALL_S, file["have_bytes"]) as source:
                _write(source, os.path.join(folder, file["sha256"]), file, until)
        except (OSError, ValueError, http.client.HTTPException, AscendError) as error:
            if isinstance(error, OSError) and error.errno in LOCAL:
                raise  # of the cache's disk
            kind = MISSING if depot_way.is_missing(error) else BROKE
            problems.append(Problem(kind, address, depot_way.error_text(error)))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(fetch_one, missing))
    return problems


def _write(source: Any, path: str, file: Dict[str, Any], until: float) -> None:
    """Append what comes until then; to the end if the server has no ranges, as it would begin the file again."""
    begin = file["have_bytes"] if source.status == PARTIAL else 0
    continues = begin > 0 or (not file["have_bytes"] and source.headers.get("Accept-Ranges") == "bytes")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as sink:
        sink.seek(begin)
        sink.truncate()
        left = file["size_bytes"] - begin
        while left > 0 and not (continues and time.monotonic() >= until):
            data = source.read(min(PIECE, left))
            if not data:
                raise ValueError("%d bytes are missing at its end" % left)
            sink.write(data)
            left -= len(data)
            fault_points.reached("file.fetching")
    if not left:
        fault_points.reached("file.fetched")
