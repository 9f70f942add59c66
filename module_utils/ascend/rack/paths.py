# SPDX-License-Identifier: Apache-2.0
"""Models and data that must be equal on every node of a job, read as the training account, compared by listings."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable, Dict, List, Optional, Sequence

from ..command import Account, Result

Run = Callable[..., Result]

PYTHON = "/usr/bin/python3"
LIMIT_S = 60
# argv: paths. Names, sizes and whole seconds of the last change; contents are not read: a model has 140 GB. One digest
# of names and sizes, one with the times besides: a copy made without -p has other times, and is no other file.
_PROGRAM = """
import hashlib, json, os, sys
MOST = 200000
def walk(top):
    if not os.path.isdir(top):
        yield top
        return
    for folder, folders, names in os.walk(top, onerror=stop, followlinks=True):
        folders.sort()
        if not os.access(folder, os.R_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", folder)
        for name in sorted(names):
            yield os.path.join(folder, name)
def stop(error):
    raise error
def look(top):
    sizes, times, count, size = hashlib.sha256(), hashlib.sha256(), 0, 0
    for path in walk(top):
        status = os.stat(path)
        if not os.access(path, os.R_OK):
            raise PermissionError(13, "Permission denied", path)
        row = "%s\\0%d" % (os.path.relpath(path, top), status.st_size)
        sizes.update(row.encode("utf-8", "surrogateescape") + b"\\n")
        times.update(("%s\\0%d\\n" % (row, status.st_mtime)).encode("utf-8", "surrogateescape"))
        count, size = count + 1, size + status.st_size
        if count == MOST:
            break
    digests = {"sizes": sizes.hexdigest()[:16], "times": times.hexdigest()[:16]}
    return {"error": None, "files": count, "bytes": size, **digests}
for top in sys.argv[1:]:
    try:
        found = look(top)
    except OSError as error:
        found = {"error": "%s: %s" % (error.strerror, error.filename), "files": 0, "bytes": 0, "sizes": "", "times": ""}
    print(json.dumps([top, found]), flush=True)
"""


def read_paths(run: Run, paths: Sequence[str], account: Optional[Account]) -> Dict[str, Dict[str, Any]]:
    """Return path -> ``{"error", "files", "bytes", "sizes", "times"}``; the last two are digests of its listing.

    ``error`` says why the account cannot read all of it, None if it can. A path that does not answer in time has an
    error, and so do those after it.
    """
    if not paths:
        return {}
    # The one that every account may run; a module's own may lie where root alone may go.
    python = PYTHON if os.access(PYTHON, os.X_OK) else sys.executable
    argv = [python, "-c", _PROGRAM, *paths]
    result = run(argv, LIMIT_S, env={"PATH": "/usr/bin:/bin"}, cwd="/", account=account, apart=True)
    found = dict(_rows(result.output))
    silent = "no answer within %d s" % LIMIT_S if result.timed_out else result.last_lines(1) or "no answer"
    nothing = {"error": silent, "files": 0, "bytes": 0, "sizes": "", "times": ""}
    return {path: found.get(path, nothing) for path in paths}


def _rows(text: str) -> List[Any]:
    rows = []
    for line in text.splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue  # of a program that was ended in the middle of it
    return rows
