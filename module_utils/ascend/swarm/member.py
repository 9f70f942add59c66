# SPDX-License-Identifier: Apache-2.0
"""A node in the swarm: begin, wait, end, and take in what arrived. A batch's nodes give each other the depot's files.

``<cache>/swarm`` belongs to root: libtorrent out of its wheel, the torrent, the job, and the running process. In
``files``, which belongs to the account ``nobody``, the peer (peer.py) writes what arrives, as that account because it
talks to the network. Complete files are taken in after the peer has ended, so nobody writes to them any more, and their
sums are computed again.
"""

from __future__ import annotations

import base64
import inspect
import json
import os
import platform
import pwd
import stat
import subprocess
import sys
import time
import zipfile
from functools import partial
from typing import Any, Dict, List

from .. import atomic, files, incoming
from ..change import process
from ..errors import AscendError
from . import peer

FOLDER = incoming.SWARM
FILES = "files"
NAME = "ascend-depot"  # of the torrent: the folder below ``files``
ACCOUNT = "nobody"
BEGIN_S = 10.0
STALL_S = 30.0  # without a byte
LOOK_S = 0.2


def tag() -> str:
    """Return the Python and machine that libtorrent's wheel must be for, as in its name (PEP 425)."""
    return "cp%d%d-%s" % (sys.version_info[0], sys.version_info[1], platform.machine())


def join(cache_dir: str, torrent: str, wanted: List[incoming.Incoming], job: Dict[str, Any], wheel: str) -> None:
    """Begin to take the files, and to give them to the others; a peer that already runs ends first.

    ``torrent`` is its content in base64, ``wheel`` libtorrent's in the cache; ``job`` has ``port``, ``allowed`` and
    ``peers`` (peer.py). Raises AscendError if the cache has no room or the peer does not start, and OSError.
    """
    leave(cache_dir)
    folder = os.path.join(cache_dir, FOLDER)
    if os.path.islink(folder) or not os.path.isdir(folder):
        atomic.remove(folder)
        os.mkdir(folder, 0o755)
    os.chmod(folder, 0o755)
    place = partial(os.path.join, folder)
    _own(place(FILES))
    came = os.path.join(place(FILES), NAME)
    for name in set(files.names(came)) - {file.sha256 for file in wanted}:
        atomic.remove(os.path.join(came, name))
    already = sum(_blocks(os.path.join(came, file.sha256)) for file in wanted)
    incoming.require_room(folder, sum(file.size_bytes for file in wanted) - already)
    atomic.write(place("peer.py"), inspect.getsource(peer))
    with open(place("torrent"), "wb") as stream:
        stream.write(base64.b64decode(torrent))
    whole = {**job, "client": _unpacked(wheel, folder), "torrent": place("torrent"), "folder": place(FILES)}
    whole.update(files=[file.sha256 for file in wanted], status=place(FILES, "status"), lease=place("lease"))
    atomic.write(place("job.json"), json.dumps(whole))
    with open(place("lease"), "w", encoding="utf-8"):
        pass
    for name in ("peer.py", "torrent", "job.json"):
        os.chmod(place(name), 0o644)
    _start(folder)


def status(cache_dir: str) -> Dict[str, Any]:
    """Return what the peer says about itself (peer.py), with ``alive``; this call keeps the peer running."""
    folder = os.path.join(cache_dir, FOLDER)
    if os.path.exists(os.path.join(folder, "lease")):
        os.utime(os.path.join(folder, "lease"))
    found = files.mapping(os.path.join(folder, FILES, "status"))
    return {**found, "alive": _alive(folder), "done": found.get("done") or 0, "wanted": found.get("wanted") or 0}


def wait(cache_dir: str, wait_s: float) -> Dict[str, Any]:
    """Return ``status`` once the node has everything, its peer has ended, or the time is over."""
    until = time.monotonic() + wait_s
    while True:
        found = status(cache_dir)
        if found.get("finished") or not found["alive"] or time.monotonic() > until:
            return found
        time.sleep(LOOK_S)


def leave(cache_dir: str) -> None:
    """End the peer, of whichever run. Raises AscendError if that cannot be done."""
    folder = os.path.join(cache_dir, FOLDER)
    known = files.mapping(os.path.join(folder, "pid"))
    if _alive(folder):
        stuck = process.end([known["pid"]])
        if stuck:
            raise AscendError(
                "cannot end the node's peer in the swarm",
                wanted="no peer",
                found="process %d hangs in the kernel" % stuck[0],
                where=folder,
                remedy="cat /proc/%d/stack; dmesg | tail  # then reboot the node" % stuck[0],
            )
    atomic.remove(os.path.join(folder, "pid"))


def take(missing: List[Dict[str, Any]], cache_dir: str) -> List[Dict[str, Any]]:
    """End the peer, and take in the files that arrived completely; return the others (incoming.lacking)."""
    leave(cache_dir)
    came = os.path.join(cache_dir, FOLDER, FILES, NAME)
    folder = os.path.join(cache_dir, incoming.FOLDER)
    whole = [each for each in missing if _is_whole(os.path.join(came, each["sha256"]), each["size_bytes"])]
    if whole and not os.path.isdir(folder):
        os.mkdir(folder, 0o700)
    for each in whole:
        os.replace(os.path.join(came, each["sha256"]), os.path.join(folder, each["sha256"]))
    wanted = [incoming.Incoming(each["path"], each["sha256"], each["size_bytes"]) for each in whole]
    wrong = {each["path"] for each in incoming.arrive(wanted, cache_dir)} if whole else set()
    atomic.remove(os.path.join(cache_dir, FOLDER))
    return [each for each in missing if each not in whole or each["path"] in wrong]


def _own(folder: str) -> None:
    """Create the folder for what arrives, owned by the account that writes there; another account's is removed."""
    account = pwd.getpwnam(ACCOUNT)
    if os.path.islink(folder) or not os.path.isdir(folder) or os.lstat(folder).st_uid != account.pw_uid:
        atomic.remove(folder)
        os.mkdir(folder, 0o700)
        os.chown(folder, account.pw_uid, account.pw_gid)


def _unpacked(wheel: str, folder: str) -> str:
    """Return the folder with libtorrent, unpacked from its wheel, whose sum is right."""
    place = os.path.join(folder, "client")
    atomic.remove(place)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    for path, _, names in os.walk(place):
        os.chmod(path, 0o755)
        for name in names:
            os.chmod(os.path.join(path, name), 0o644)
    return place


def _start(folder: str) -> None:
    account = pwd.getpwnam(ACCOUNT)

    def become() -> None:
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)

    log = os.path.join(folder, "log")
    argv = [sys.executable, "-I", os.path.join(folder, "peer.py"), os.path.join(folder, "job.json")]
    with open(log, "wb") as output:
        started = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            preexec_fn=become,
        )
    atomic.write(os.path.join(folder, "pid"), json.dumps(process.known(started.pid)))
    until = time.monotonic() + BEGIN_S
    says = os.path.join(folder, FILES, "status")
    while not os.path.exists(says) and started.poll() is None and time.monotonic() < until:
        time.sleep(LOOK_S)
    if not os.path.exists(says):
        leave(os.path.dirname(folder))
        raise AscendError(
            "the node's peer in the swarm does not start",
            wanted="libtorrent, started as %s" % ACCOUNT,
            found=(files.text(log) or "nothing within %d s" % BEGIN_S).strip()[-400:],
            where=folder,
            remedy="depot_transport: ssh  # in the inventory, until the peer starts",
        )


def _alive(folder: str) -> bool:
    return process.runs(files.mapping(os.path.join(folder, "pid")))


def _is_whole(path: str, size_bytes: int) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_size == size_bytes


def _blocks(path: str) -> int:
    """Return how much of the disk a file has; what has not arrived yet is a hole in it."""
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        return 0
