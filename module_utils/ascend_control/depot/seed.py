# SPDX-License-Identifier: Apache-2.0
"""The depot in the swarm: the torrent of what a batch of nodes needs, and the control node's peer that seeds it.

The peer (ascend/swarm/peer.py) ends with its playbook, and when the nodes have left it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...ascend import atomic, files
from ...ascend.change import process
from ...ascend.errors import AscendError
from ...ascend.swarm import peer
from ...ascend.swarm.member import NAME
from .libtorrent import SERIES, own_tag, wheel_of
from .sending import Sent
from .trouble import FILL, read_index

PIECES = 2048  # about so many: pieces that are large beside the whole are given on late, more cost more sums
SMALLEST, LARGEST = 128 << 10, 8 << 20


def begin(folder: Path, needed: Iterable[Sent], addresses: Mapping[str, str], port: int, depot: str, pid: int) -> None:
    """Seed the files for the nodes at ``addresses`` (name -> address) as long as the playbook ``pid`` runs.

    ``folder`` belongs to the playbook; the peer of an earlier batch has ended (``end``). Raises AscendError.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    client = _unpacked(depot, folder)
    source = {file.sha256: file.source for file in needed}
    # Of the batch before, whose files were the same: they are read once a playbook.
    if files.mapping(str(folder / "job.json")).get("seed") != source:
        _write_torrent(client, folder, source)
    own = {name: _own_address(address, port) for name, address in addresses.items()}
    job = {"client": str(client), "torrent": str(folder / "torrent"), "folder": str(folder), "port": port}
    job |= {"allowed": list(addresses.values()), "peers": list(addresses.values()), "status": str(folder / "status")}
    job |= {"seed": source, "playbook": [pid, process.started(pid)]}
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    (folder / "batch.json").write_text(json.dumps({"nodes": dict(addresses), "depot": own, "port": port}), "utf-8")
    with (folder / "log").open("wb") as log:
        argv = [sys.executable, "-I", str(Path(peer.__file__)), str(folder / "job.json")]
        started = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
        )
    (folder / "pid").write_text(json.dumps(process.known(started.pid)), encoding="utf-8")


def end(folder: Path) -> None:
    """End this playbook's peer, if there is one."""
    known = files.mapping(str(folder / "pid"))
    if process.runs(known):
        process.end([known["pid"]])


def batch(folder: Path) -> dict[str, Any]:
    """Return ``{"nodes": {name: address}, "depot": {name: the control node's address as that node sees it}, "port"}``.

    It is empty if nobody seeds anything.
    """
    return files.mapping(str(folder / "batch.json"))


def _own_address(address: str, port: int) -> str:
    """Return from which address of this machine a connection to that one comes."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        asked.connect((address, port))  # sends nothing
        return str(asked.getsockname()[0])


def _unpacked(depot: str, folder: Path) -> Path:
    index = read_index(depot)
    wheel = wheel_of(index, own_tag())
    if not wheel:
        raise AscendError(
            "the control node has no libtorrent",
            wanted=f"the wheel for {own_tag()}, in the depot (Python {SERIES[0]} to {SERIES[-1]})",
            found="no such wheel",
            where=f"{depot}/index.json",
            remedy=f"{FILL}  # or depot_transport: ssh",
        )
    if files.sha256(os.path.join(depot, wheel)) != index["files"][wheel]["sha256"]:
        raise AscendError("libtorrent's wheel changed", where=os.path.join(depot, wheel), remedy=FILL)
    place = folder / "client"
    atomic.remove(str(place))
    with zipfile.ZipFile(os.path.join(depot, wheel)) as archive:
        archive.extractall(place)
    return place


def _write_torrent(client: Path, folder: Path, source: Mapping[str, str]) -> None:
    """Read all files and write their sums, in a separate process, because only that loads libtorrent."""
    links = folder / "links" / NAME
    atomic.remove(str(links))
    links.mkdir(parents=True)
    for name, path in source.items():
        (links / name).symlink_to(path)
    total = sum(os.path.getsize(path) for path in source.values())
    size = SMALLEST
    while size < LARGEST and size * PIECES < total:
        size *= 2
    argv = [sys.executable, "-I", "-c", _TORRENT, str(client), str(folder / "links"), NAME, str(size)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise AscendError(
            "cannot make the torrent of the depot's files",
            found=done.stderr.decode(errors="replace").strip()[-400:],
            where=str(folder),
            remedy="depot_transport: ssh  # in the inventory",
        )
    (folder / "torrent").write_bytes(done.stdout)


_TORRENT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import libtorrent as lt
root, name, size = sys.argv[2], sys.argv[3], int(sys.argv[4])
paths = [os.path.join(name, each) for each in sorted(os.listdir(os.path.join(root, name)))]
found = [lt.create_file_entry(path, os.path.getsize(os.path.join(root, path))) for path in paths]
torrent = lt.create_torrent(found, size, lt.create_torrent.v2_only)
torrent.set_priv(True)
lt.set_piece_hashes(torrent, root)
sys.stdout.buffer.write(lt.bencode(torrent.generate()))
"""
