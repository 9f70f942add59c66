# SPDX-License-Identifier: Apache-2.0
"""Take a file from the depot into the node's cache. The transport is not trusted; size and sha256 decide."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import shutil
import zipfile
from dataclasses import dataclass

from . import depot_way, files
from .change import fault_points
from .errors import AscendError

BLOCK = 1024 * 1024
LOCAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
SENT = "ssh:"  # the address of a file that the control node sends: incoming.py
STALL_S = 60  # a connection that gives nothing for so long is given up


@dataclass(frozen=True)
class DepotFile:
    """A file of the depot: where it is, its size in bytes, the sha256 it must have, and the proxy to ask, if any."""

    url: str
    sha256: str
    size_bytes: int
    proxy: str = ""

    @property
    def name(self) -> str:
        return os.path.basename(self.url)


def take(file: DepotFile, cache_dir: str) -> str:
    """Return the path of ``file`` in the cache, fetched unless it is already there; verified either way.

    Files are named by their sha256, so two versions never collide; a partial download is never mistaken for a file.
    Raises AscendError if it cannot be fetched or is wrong.
    """
    path = _place(file, cache_dir)
    if is_cached(file, cache_dir):
        return path
    if file.url.startswith(SENT):
        raise _not_sent(file, path)
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    _require_room(folder, file)
    partial = path + ".part"
    try:
        digest, size = _fetch(file, partial)
        _require_same(file, digest, size)
        fault_points.reached("file.fetched")
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
    return path


def is_cached(file: DepotFile, cache_dir: str) -> bool:
    """Whether the cache contains the complete file."""
    path = _place(file, cache_dir)
    return os.path.isfile(path) and os.path.getsize(path) == file.size_bytes and files.sha256(path) == file.sha256


def _place(file: DepotFile, cache_dir: str) -> str:
    return os.path.join(cache_dir, file.sha256[:16], file.name)


def unpacked_run(path: str) -> str:
    """Return the path of the ``.run`` package: ``path`` itself, or the one inside of an official ``.zip`` bundle.

    The bundle was verified a moment ago. What was unpacked earlier is compared with it, because only the bundle's sum
    is known.
    """
    if not path.endswith(".zip"):
        return path
    try:
        with zipfile.ZipFile(path) as bundle:
            runs = [entry for entry in bundle.infolist() if entry.filename.endswith(".run")]
            if len(runs) != 1:
                raise AscendError(
                    "the bundle does not contain exactly one package",
                    wanted="one .run",
                    found=str(len(runs)),
                    where=path,
                )
            target = os.path.join(os.path.dirname(path), os.path.basename(runs[0].filename))
            if _is_unpacked(bundle, runs[0], target):
                return target
            partial = target + ".part"
            with bundle.open(runs[0]) as source, open(partial, "wb") as sink:
                shutil.copyfileobj(source, sink, BLOCK)
                sink.flush()
                os.fsync(sink.fileno())
            os.replace(partial, target)
            return target
    except (zipfile.BadZipFile, OSError) as error:
        raise AscendError("cannot unpack a bundle", found=str(error), where=path) from error


def _is_unpacked(bundle: zipfile.ZipFile, entry: zipfile.ZipInfo, target: str) -> bool:
    if not os.path.isfile(target) or os.path.getsize(target) != entry.file_size:
        return False
    with bundle.open(entry) as source, open(target, "rb") as had:
        blocks = iter(lambda: source.read(BLOCK), b"")
        return all(block == had.read(len(block)) for block in blocks)


def _fetch(file: DepotFile, partial: str) -> "tuple[str, int]":
    digest, size = hashlib.sha256(), 0
    try:
        with depot_way.opened(file.url, file.proxy, STALL_S) as source, open(partial, "wb") as sink:
            for block in iter(lambda: source.read(BLOCK), b""):
                digest.update(block)
                size += len(block)
                sink.write(block)
                fault_points.reached("file.fetching")
            sink.flush()
            os.fsync(sink.fileno())
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno in LOCAL:
            raise  # of the cache's disk, not of the depot
        raise AscendError(
            "the depot did not serve a file",
            wanted=file.url,
            found=depot_way.error_text(error),
            where=depot_way.words(file.proxy),
            remedy="%s  # on the node; is ascend_depot_url right, and is the depot's server running?"
            % depot_way.command(file.url, file.proxy),
        ) from error
    return digest.hexdigest(), size


def _not_sent(file: DepotFile, path: str) -> AscendError:
    return AscendError(
        "a file of the depot was not sent to the node, or has since been removed from its cache",
        wanted="%d bytes, sha256 %s" % (file.size_bytes, file.sha256),
        found="no such file",
        where=path,
        remedy="run site.yml again: it sends what is missing",
    )


def _require_same(file: DepotFile, digest: str, size: int) -> None:
    if (digest, size) == (file.sha256, file.size_bytes):
        return
    raise AscendError(
        "a file from the depot differs from the control node's",
        wanted="%d bytes, sha256 %s" % (file.size_bytes, file.sha256),
        found="%d bytes, sha256 %s" % (size, digest),
        where=file.url,
        remedy="ansible-playbook playbooks/depot.yml -e ascend_deep=true  # names what changed in the depot",
    )


def _require_room(folder: str, file: DepotFile) -> None:
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if free < file.size_bytes:
        raise AscendError(
            "too little room in the cache",
            wanted="%d MB" % (file.size_bytes // BLOCK + 1),
            found="%d MB" % (free // BLOCK),
            where=folder,
            remedy="df -h %s" % folder,
        )
