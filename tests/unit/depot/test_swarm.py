# SPDX-License-Identifier: Apache-2.0
"""A node in the swarm, and the depot's part in it, with the real libtorrent; on real nodes: tests/change."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import libtorrent
import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import incoming
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import process
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.incoming import Incoming
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.swarm import member, peer
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import (
    fetch as depot_fetch,
    libtorrent as clients,
    seed,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.sending import Sent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.web import Sources
from ansible_collections.ascend.fleet.plugins.modules import depot_swarm

CONTENTS = [random.Random(number).randbytes(size) for number, size in enumerate((300_000, 70, 500_000))]
SUMS = [hashlib.sha256(content).hexdigest() for content in CONTENTS]
FILES = [Incoming(f"wheels/x/{number}.whl", SUMS[number], len(content)) for number, content in enumerate(CONTENTS)]
MISSING = [{**file._asdict(), "have_bytes": 0} for file in FILES]
SITE = Path(libtorrent.__file__).parent.parent


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A node's cache with what came: the first and the third file."""
    came = tmp_path / "cache" / member.FOLDER / member.FILES / member.NAME
    came.mkdir(parents=True)
    for number in (0, 2):
        (came / SUMS[number]).write_bytes(CONTENTS[number])
    return tmp_path / "cache"


def came(cache: Path, number: int) -> Path:
    return cache / member.FOLDER / member.FILES / member.NAME / SUMS[number]


def test_what_came_whole_is_taken_in(cache: Path) -> None:
    assert member.take(MISSING, str(cache)) == [MISSING[1]]
    assert [(cache / FILES[number].path).read_bytes() == CONTENTS[number] for number in (0, 2)] == [True, True]
    assert sorted(path.name for path in cache.iterdir()) == ["wheels"], "nothing of the swarm stays"


@pytest.mark.parametrize("how", ["another content", "a hole", "a link", "two names", "too short"])
def test_what_is_something_else_is_not(cache: Path, tmp_path: Path, how: str) -> None:
    path, other = came(cache, 0), tmp_path / "other"
    if how == "another content":
        path.write_bytes(CONTENTS[0][:-1] + b"?")
    elif how == "a hole":
        os.truncate(path, 100_000)
        os.truncate(path, len(CONTENTS[0]))
    elif how == "too short":
        os.truncate(path, 100_000)
    else:
        other.write_bytes(CONTENTS[0])
        path.unlink()
        (path.symlink_to if how == "a link" else path.hardlink_to)(other)
    assert member.take(MISSING, str(cache)) == MISSING[:2]
    assert not (cache / FILES[0].path).exists()
    assert (cache / FILES[2].path).read_bytes() == CONTENTS[2]
    if other.exists():
        assert other.read_bytes() == CONTENTS[0]


def test_the_part_of_an_earlier_sending_stays(cache: Path) -> None:
    part = cache / incoming.FOLDER / SUMS[1]
    part.parent.mkdir()
    part.write_bytes(b"beg")
    assert member.take(MISSING, str(cache)) == [MISSING[1]]
    assert part.read_bytes() == b"beg"


def sleeper(cache: Path) -> subprocess.Popen[bytes]:
    """What stands for a peer at work."""
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    known = {"pid": program.pid, "started": process.started(program.pid)}
    (cache / member.FOLDER / "pid").write_text(json.dumps(known))
    return program


def test_the_peer_has_ended_before_anything_is_taken_in(cache: Path) -> None:
    program = sleeper(cache)
    assert member.status(str(cache))["alive"]
    member.take(MISSING, str(cache))
    assert program.wait(0) is not None


def test_another_process_of_that_number_is_left_alone(cache: Path) -> None:
    program = sleeper(cache)
    (cache / member.FOLDER / "pid").write_text(json.dumps({"pid": program.pid, "started": 1}))
    assert not member.status(str(cache))["alive"]
    member.leave(str(cache))
    assert program.poll() is None
    program.kill()
    program.wait()


def test_whoever_asks_makes_the_peer_go_on(cache: Path) -> None:
    lease = cache / member.FOLDER / "lease"
    lease.touch()
    os.utime(lease, (0, 0))
    life = peer.Life({"lease": str(lease)})
    assert life.end(depot=False, now=1000.0) == "no playbook is waiting any more"
    member.status(str(cache))
    assert life.end(depot=False, now=1000.0) == ""


def test_a_peer_ends_when_the_depot_left_it(tmp_path: Path) -> None:
    (tmp_path / "lease").touch()
    life = peer.Life({"lease": str(tmp_path / "lease")})
    assert life.end(depot=False, now=1000.0) == "", "it was not met yet"
    assert life.end(depot=True, now=2000.0) == ""
    assert life.end(depot=False, now=2000.0 + peer.ALONE_S) == ""
    assert life.end(depot=False, now=2001.0 + peer.ALONE_S) == "the depot is gone"


def test_the_depots_peer_ends_with_its_playbook() -> None:
    playbook = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    life = peer.Life({"seed": {}, "playbook": [playbook.pid, process.started(playbook.pid)]})
    assert life.end(depot=False, now=0.0) == ""
    playbook.kill()
    os.waitid(os.P_PID, playbook.pid, os.WEXITED | os.WNOWAIT)
    assert life.end(depot=False, now=0.0) == "the playbook has ended", "also where nobody buried it yet"
    playbook.wait()


def test_the_depots_peer_ends_when_all_nodes_have_left_it() -> None:
    life = peer.Life({"seed": {}, "playbook": [os.getpid(), process.started(os.getpid())]})
    assert life.end(depot=False, now=1000.0, nodes=0) == "", "none has come yet"
    assert life.end(depot=False, now=1100.0, nodes=2) == ""
    assert life.end(depot=False, now=1100.0 + peer.ALONE_S, nodes=0) == ""
    assert life.end(depot=False, now=1101.0 + peer.ALONE_S, nodes=0) == "the nodes are gone"


@pytest.fixture
def torrent(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """The folder with the torrent of the files, and where each lies on the control node."""
    source = {}
    for content, name in zip(CONTENTS, SUMS, strict=True):
        source[name] = str(tmp_path / "depot" / f"some name {name[:4]}.whl")
        Path(source[name]).parent.mkdir(exist_ok=True)
        Path(source[name]).write_bytes(content)
    folder = tmp_path / "playbook"
    folder.mkdir()
    seed._write_torrent(SITE, folder, source)
    return folder / "torrent", source


def test_the_torrent_names_files_by_their_sums_and_nothing_else(torrent: tuple[Path, dict[str, str]]) -> None:
    path, source = torrent
    found = libtorrent.load_torrent_file(str(path)).ti
    own = [name for name in peer.names(found) if len(name) == 64]
    assert sorted(own) == sorted(SUMS)
    assert found is not None
    assert found.priv()
    assert [value for value in source.values() if Path(value).name.encode() in path.read_bytes()] == []


def test_the_swarm_of_a_depot_and_two_nodes(
    torrent: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process, at one address and four ports, where nodes have an address each and one port."""
    path, source = torrent
    own = peer.settings
    here = {"allow_multiple_connections_per_ip": True}
    monkeypatch.setattr(peer, "settings", lambda lt, job: {**own(lt, job), **here})
    job = {"torrent": str(path), "folder": str(tmp_path / "depot"), "allowed": ["127.0.0.1"], "peers": [], "port": 0}
    jobs: list[dict[str, Any]] = [
        {**job, "seed": source},
        {**job, "folder": str(tmp_path / "one"), "files": SUMS},
        {**job, "folder": str(tmp_path / "two"), "files": SUMS[:1]},
        {**job, "folder": str(tmp_path / "other"), "files": SUMS, "allowed": []},
    ]
    sessions = [peer.session(libtorrent, each) for each in jobs]
    handles = [peer.added(libtorrent, made, each) for made, each in zip(sessions, jobs, strict=True)]
    assert not sessions[0].is_listening(), "the control node opens no port"
    for made in sessions[1:]:
        for handle in handles:
            handle.connect_peer(("127.0.0.1", made.listen_port()))
    until = time.monotonic() + 30
    while not all(handle.status().is_finished for handle in handles[1:3]) and time.monotonic() < until:
        time.sleep(0.1)
    came = [tmp_path / name / member.NAME for name in ("one", "two", "other")]
    assert [(came[0] / name).read_bytes() == content for name, content in zip(SUMS, CONTENTS, strict=True)] == [
        True
    ] * 3
    assert (came[1] / SUMS[0]).read_bytes() == CONTENTS[0]
    assert not (came[1] / SUMS[2]).exists(), "it asked for the first alone"
    assert handles[3].status().num_peers == 0, "it may speak with nobody"
    assert not came[2].exists()
    assert [Path(place).read_bytes() for place in source.values()] == CONTENTS, "the depot is read alone"


def test_a_wheel_of_the_operators_is_taken_by_its_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, depot = tmp_path / "own", tmp_path / "depot"
    own.mkdir()
    depot.mkdir()
    lines = ["libtorrent==2.1.1"]
    for series in clients.SERIES:
        tag = f"cp{series.replace('.', '')}"
        wheel = own / f"libtorrent-2.1.1-{tag}-{tag}-manylinux_2_17_{platform.machine()}.whl"
        wheel.write_text(series)
        lines.append(f"    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}")
    (tmp_path / "lock.txt").write_text(" \\\n".join(lines) + "\n")
    index = Index(depot)
    arguments = (platform.machine(), tmp_path / "lock.txt", Sources(own, "", {}), silent())
    assert len(clients.fill(index, *arguments, check=True)) == len(clients.SERIES)
    assert len(clients.fill(index, *arguments, check=False)) == len(clients.SERIES)
    assert clients.fill(index, *arguments, check=False) == []
    for series in clients.SERIES:
        wheel = depot / clients.wheel_of(index.content, clients.tag(series, platform.machine()))
        assert wheel.read_text() == series
        wheel.unlink()
    next(own.iterdir()).write_text("another content")
    asked = []

    def fetch(_entries: Any, _folder: Path, _machine: str, series: str, sources: Sources, *_: Any) -> None:
        asked.append((series, sources.incoming))
        raise AscendError("no index here")

    monkeypatch.setattr(depot_fetch, "fetch", fetch)
    with pytest.raises(AscendError, match="no index here"):
        clients.fill(Index(depot), *arguments, check=False)
    assert [incoming for _, incoming in asked] == [None]


def test_a_control_node_without_libtorrent_is_told(tmp_path: Path) -> None:
    index = Index(tmp_path)
    index.save()
    with pytest.raises(AscendError, match="the control node has no libtorrent"):
        seed.begin(tmp_path / "p", [Sent("", "", "", 0)], {"n": "127.0.0.1"}, 1, str(tmp_path), os.getpid())


def test_the_depots_peer_gives_to_one_batch_after_the_other(
    torrent: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program itself, started twice; the files of both batches are the same, and read once."""
    made: list[Path] = []
    write = seed._write_torrent

    def counted(client: Path, folder: Path, source: dict[str, str]) -> None:
        made.append(folder)
        write(client, folder, source)

    monkeypatch.setattr(seed, "_unpacked", lambda *_: SITE)
    monkeypatch.setattr(seed, "_write_torrent", counted)
    folder, source = tmp_path / "swarm", torrent[1]
    needed = [Sent(place, "", name, 0) for name, place in source.items()]
    pids = []
    for addresses in ({"one": "127.0.0.1"}, {"two": "127.0.0.2", "three": "127.0.0.3"}):
        seed.begin(folder, needed, addresses, 9, "", os.getpid())
        assert seed.batch(folder)["nodes"] == addresses
        assert set(seed.batch(folder)["depot"]) == set(addresses)
        pids.append(json.loads((folder / "pid").read_text())["pid"])
        until = time.monotonic() + 20
        while not (folder / "status").exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert json.loads((folder / "status").read_text())["finished"], (folder / "log").read_text()
        seed.end(folder)
        assert process.started(pids[-1]) is None
        (folder / "status").unlink()
    assert (len(set(pids)), len(made)) == (2, 1)


def test_what_is_asked_for_is_found_by_its_size(tmp_path: Path) -> None:
    for number, content in ((0, CONTENTS[0]), (2, b"short")):
        place = tmp_path / FILES[number].path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    assert incoming.without_size(FILES, str(tmp_path)) == FILES[1:]


def test_a_wheel_that_is_another_one_is_not_unpacked(cache: Path, tmp_path: Path) -> None:
    (cache / "x.whl").write_bytes(b"another")
    options = {
        "files": [],
        "cache_dir": str(cache),
        "wheel": "x.whl",
        "wheel_sha256": SUMS[0],
        "state_dir": str(tmp_path),
    }
    with pytest.raises(AscendError, match="wheel is not what the control node sent"):
        depot_swarm.join(options)
    assert not list(cache.rglob("client")), "nothing is unpacked"
