# SPDX-License-Identifier: Apache-2.0
"""What is fetched from a training run to the control node: its log, what the trainer wrote, and its settings.

The config and the job are left out because they may contain secrets. Files of the account are read as the account,
without following links, so it cannot make us read other files. A file comes masked and packed (zlib, base64), which
shrinks a log to a tenth, and only the process that writes it on the control node unpacks it.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

from ..command import Account, as_account
from ..in_time import in_time
from ..masking import masked
from ..node import At
from . import checkpoints, logs

READ_S = 120.0  # masking 16 MB takes ten
LOG, STATE, STEPS = "log", "trainer_state.json", "trainer_log.jsonl"


class Run(NamedTuple):
    """Where a run's files are: its log, ``output_dir``, and since when they are its own (seconds since 1970).

    Only rank 0 writes the trainer's.
    """

    log: str
    output_dir: str
    since_s: float
    rank: int


class Brought(NamedTuple):
    """``files``: name -> packed text; ``remarks``: what is odd or missing; ``error``: the log's first error."""

    files: Dict[str, str]
    remarks: List[str]
    error: str


def read(run: Run, account: Account) -> Brought:
    """Read the files as the account. Raises AscendError if that takes too long, or the account may not read them."""

    def look(at: At) -> List[Any]:
        as_account(account)()
        files: Dict[str, str] = {}
        remarks: List[str] = []
        errors: List[str] = []
        at(run.log)
        _take(LOG, run.log, 0.0, lambda path, _since: _log(path, errors), files, remarks)
        at(run.output_dir)
        for name, path in ((STATE, _newest_state(run)), (STEPS, os.path.join(run.output_dir, STEPS))):
            if run.rank == 0 or os.path.lexists(path):
                _take(name, path, run.since_s, _whole, files, remarks)
        return [files, remarks, "".join(errors)]

    return Brought(*in_time(READ_S, look))


def unpacked(packed: str) -> str:
    """Return the text of a packed file, limited to what a node may send: a small file can unpack to a huge one."""
    return zlib.decompressobj().decompress(base64.b64decode(packed), 2 * logs.MOST).decode("utf-8", "ignore")


def _packed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode("utf-8"))).decode("ascii")


def _take(
    name: str,
    path: str,
    since_s: float,
    reader: Callable[[str, float], Tuple[bytes, str]],
    files: Dict[str, str],
    remarks: List[str],
) -> None:
    """Read a file into ``files``, or say why it is not among them."""
    content, why = reader(path, since_s)
    if why:
        remarks.append("%s: %s (%s)" % (name, why, path))
        return
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        text = content.decode("utf-8", "replace")
        remarks.append("%s: byte %d is not UTF-8; such bytes are replaced (%s)" % (name, error.start, path))
    if name == STATE and not _is_object(text):
        remarks.append("%s: it is not JSON (%s)" % (name, path))
    files[name] = _packed(masked(text))


def _log(path: str, errors: List[str]) -> Tuple[bytes, str]:
    stream = logs.opened(path)
    if stream is None:
        return b"", "no such file, or not a regular file"
    with stream:
        content, error = logs.kept(stream, path)
    errors.append(error)
    return content, ""


def _whole(path: str, since_s: float) -> Tuple[bytes, str]:
    """Return (content, why it is not read)."""
    stream = logs.opened(path) if path else None
    if stream is None:
        return b"", "no such file yet, or not a regular file"
    with stream:
        status = os.fstat(stream.fileno())
        if status.st_mtime < since_s:
            return b"", "it is from an earlier run"
        if status.st_size > logs.MOST:
            return b"", "%d bytes are too many; at most %d are fetched" % (status.st_size, logs.MOST)
        return stream.read(logs.MOST), ""


def _newest_state(run: Run) -> str:
    """Return the trainer's last state: the one in output_dir, written at the end, or that of the newest checkpoint."""
    places = [run.output_dir, *(each.path for each in checkpoints.read(run.output_dir))]
    paths = [os.path.join(place, STATE) for place in places]
    return next((path for path in paths if _is_since(path, run.since_s)), paths[0])


def _is_since(path: str, since_s: float) -> bool:
    try:
        return os.lstat(path).st_mtime >= since_s
    except OSError:
        return False


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
