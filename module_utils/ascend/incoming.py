# SPDX-License-Identifier: Apache-2.0
"""Files of the depot that the control node sends through its connection to the node, or that the node fetches.

They arrive in ``incoming`` of the cache, each under its sha256, as the account that logs in, so writing them needs
neither root's rights nor a terminal for sudo. What arrived of a file stays if the connection breaks, and the next run
sends the rest. A file gets its name when it is whole and its sum is right.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from typing import Any, Dict, Iterable, List, NamedTuple, Tuple

from . import atomic, files
from .change import fault_points
from .errors import AscendError

FOLDER = "incoming"
# A file among the options of a module; doc_fragments/sent.py.
FILE = {
    "path": {"type": "str", "required": True},
    "sha256": {"type": "str", "required": True},
    "size_bytes": {"type": "int", "required": True},
    "address": {"type": "str", "default": ""},
}
SPEC = {"files": {"type": "list", "elements": "dict", "default": [], "options": FILE}}
SWARM = "swarm"  # the folder beside it of what other nodes give: swarm/member.py
QUIET_S = 150  # no connection is silent for longer and lives (ansible.cfg): so long after its last byte a run may send
MB = 1024 * 1024
# What writes the pieces of one block, each at its place, so that a piece that comes twice does no harm. Its first line
# is [[name, offset, length], ...], then follow the bytes.
RECEIVER = """
import json, os, sys
stream = sys.stdin.buffer
for name, at, left in json.loads(stream.readline().decode()):
    place = os.open(os.path.join(sys.argv[1], name), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.lseek(place, at, 0)
    while left:
        data = stream.read(min(left, 1048576))
        if not data:
            sys.exit("the connection delivered less than was sent")
        left -= len(data)
        while data:
            data = data[os.write(place, data):]
    os.close(place)
"""


class Incoming(NamedTuple):
    """A file that the cache should contain: its path in it, its required sum, and its size in bytes.

    ``address`` is its path on the server from which it is fetched; empty for its sum.
    """

    path: str
    sha256: str
    size_bytes: int
    address: str = ""


def lacking(wanted: List[Incoming], cache_dir: str) -> List[Dict[str, Any]]:
    """Return the files that the cache lacks, or has with another sum, as dictionaries with ``have_bytes``.

    These bytes have already arrived. Every file of the cache is read. Raises OSError.
    """
    found = []
    for file in wanted:
        if not _is_cached(file, cache_dir):
            have = min(_size(_part(file, cache_dir)), file.size_bytes)
            found.append({**file._asdict(), "have_bytes": have})
    return found


def prepare(missing: List[Dict[str, Any]], cache_dir: str, uid: int, is_shared: bool = False) -> str:
    """Create the folder in which an account may write, and return it. Other files are removed from it.

    If several runs share it (``is_shared``), files stay while one may be sending them. Raises AscendError if the
    cache's disk has no room for them, or if a run sends as another account.
    """
    folder = os.path.join(cache_dir, FOLDER)
    at_work = is_shared and _is_at_work(folder)
    if at_work:
        _require_same_account(folder, uid)
    os.makedirs(cache_dir, mode=0o755, exist_ok=True)
    if os.path.islink(folder) or not os.path.isdir(folder):
        atomic.remove(folder)
        os.mkdir(folder, 0o700)
    os.chown(folder, uid, -1)
    os.chmod(folder, 0o700)
    names = [each["sha256"] for each in missing]
    for name in files.names(folder):
        path = os.path.join(folder, name)
        if at_work and name not in names:
            continue
        status = os.lstat(path)
        if name not in names or not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            atomic.remove(path)
        elif status.st_uid != uid:
            os.lchown(path, uid, -1)  # another account logged in, or the file had arrived already
    require_room(folder, sum(each["size_bytes"] - each["have_bytes"] for each in missing))
    return folder


def arrive(sent: Iterable[Incoming], cache_dir: str, is_shared: bool = False) -> List[Dict[str, str]]:
    """Give the files that were sent their names; return ``path`` and ``found`` for each one that is wrong.

    A wrong one is removed and has to be sent again; a power cut may have left a file whose end was never written. If
    the folder ``is_shared``, another run may already have named a file; then this run's copy is only a leftover.
    """
    wrong = []
    for file in sent:
        part, place = _part(file, cache_dir), os.path.join(cache_dir, file.path)
        if not os.path.lexists(part):
            if not _is_cached(file, cache_dir):
                wrong.append({"path": file.path, "found": "no file"})
            continue
        found = _taken_over(part)
        if found != (file.sha256, file.size_bytes):
            os.unlink(part)
            if not (is_shared and _is_cached(file, cache_dir)):
                wrong.append({"path": file.path, "found": "%d bytes, sha256 %s" % (found[1], found[0])})
            continue
        fault_points.reached("file.arrived")
        os.makedirs(os.path.dirname(place), mode=0o755, exist_ok=True)
        os.replace(part, place)
    folder = os.path.join(cache_dir, FOLDER)
    if not is_shared and not files.names(folder):
        atomic.remove(folder)  # of a shared one nobody knows whether another run is about to write into it
    return wrong


def _is_at_work(folder: str) -> bool:
    """Whether something was written there a moment ago."""
    for name in files.names(folder):
        with suppress(FileNotFoundError):  # a block is removed by the account that sent it
            if abs(time.time() - os.lstat(os.path.join(folder, name)).st_mtime) < QUIET_S:
                return True
    return False


def _require_same_account(folder: str, uid: int) -> None:
    other = os.stat(folder).st_uid
    if other != uid:
        raise AscendError(
            "another run is sending files to this host from another account",
            wanted="the account with the number %d, or no other run" % uid,
            found="the number %d, active in the last %d s" % (other, QUIET_S),
            where=folder,
            remedy="wait for it to end, then run it again (what arrived is kept); or log in with one account",
        )


def _taken_over(part: str) -> Tuple[str, int]:
    """Return sum and size of what arrived. From now on it belongs to root and is on disk."""
    handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchown(handle, os.geteuid(), os.getegid())
        os.fchmod(handle, 0o644)
        os.fsync(handle)
        size = os.fstat(handle).st_size
    finally:
        os.close(handle)
    return files.sha256(part), size


def _is_cached(file: Incoming, cache_dir: str) -> bool:
    place = os.path.join(cache_dir, file.path)
    return os.path.isfile(place) and os.path.getsize(place) == file.size_bytes and files.sha256(place) == file.sha256


def without_size(wanted: List[Incoming], cache_dir: str) -> List[Incoming]:
    """Return the files that the cache lacks, or has with another size; none is read, unlike in ``lacking``."""
    places = [(file, os.path.join(cache_dir, file.path)) for file in wanted]
    return [file for file, place in places if not (os.path.isfile(place) and os.path.getsize(place) == file.size_bytes)]


def _part(file: Incoming, cache_dir: str) -> str:
    return os.path.join(cache_dir, FOLDER, file.sha256)


def _size(path: str) -> int:
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def require_room(folder: str, need: int) -> None:
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if free < need:
        raise AscendError(
            "too little room in the cache",
            wanted="%d MB" % (need // MB + 1),
            found="%d MB" % (free // MB),
            where=folder,
            remedy="df -h %s" % folder,
        )
