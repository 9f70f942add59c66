# SPDX-License-Identifier: Apache-2.0
"""Files that are sent to a node: what it lacks, what came before the connection broke, and who may have written it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import incoming
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.incoming import FOLDER, RECEIVER, Incoming

ONE, TWO = b"one" * 1000, b"two" * 1000
NOBODY = 65534


def file(content: bytes, path: str = "") -> Incoming:
    digest = hashlib.sha256(content).hexdigest()
    return Incoming(path or f"{digest[:16]}/file", digest, len(content))


def part(cache: Path, content: bytes, of: Incoming) -> Path:
    """What came of a file so far."""
    path = cache / FOLDER / of.sha256
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_what_is_there_with_its_sum_is_not_lacking(cache: Path) -> None:
    good, bad, absent = file(ONE, "wheels/a/one.whl"), file(TWO, "wheels/a/two.whl"), file(b"3", "wheels/a/three.whl")
    for wanted, content in ((good, ONE), (bad, TWO[:-1] + b"x")):
        place = cache / wanted.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    lacks = incoming.lacking([good, bad, absent], str(cache))
    assert [each["path"] for each in lacks] == [bad.path, absent.path]


def test_what_came_is_kept_and_what_nobody_wants_goes(cache: Path) -> None:
    wanted = file(ONE)
    part(cache, ONE[:1000], wanted)
    part(cache, b"x", file(b"of another release"))
    (cache / FOLDER / "folder").mkdir()
    (lack,) = incoming.lacking([wanted], str(cache))
    assert lack["have_bytes"] == 1000
    folder = incoming.prepare([lack], str(cache), NOBODY)
    assert names(Path(folder)) == [wanted.sha256]
    status = os.stat(folder)
    assert (status.st_uid, status.st_mode & 0o777) == (NOBODY, 0o700)
    assert os.stat(Path(folder, wanted.sha256)).st_uid == NOBODY, "the account that goes on may be another one"


def test_a_link_in_the_folders_place_leads_nobody_elsewhere(cache: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    cache.mkdir()
    (cache / FOLDER).symlink_to(elsewhere)
    incoming.prepare(incoming.lacking([file(ONE)], str(cache)), str(cache), NOBODY)
    assert not (cache / FOLDER).is_symlink()
    assert os.stat(elsewhere).st_uid != NOBODY


def test_a_link_in_a_files_place_is_not_followed(cache: Path, tmp_path: Path) -> None:
    secret, wanted = tmp_path / "secret", file(ONE)
    secret.write_bytes(ONE)
    (cache / FOLDER).mkdir(parents=True)
    (cache / FOLDER / wanted.sha256).symlink_to(secret)
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        incoming.arrive([wanted], str(cache))
    (lack,) = incoming.lacking([wanted], str(cache))
    assert lack["have_bytes"] == 0
    incoming.prepare([lack], str(cache), NOBODY)
    assert secret.read_bytes() == ONE
    assert names(cache) == []


def test_another_name_of_somebody_elses_file_goes(cache: Path, tmp_path: Path) -> None:
    mine, wanted = tmp_path / "mine", file(ONE)
    mine.write_bytes(ONE)
    (cache / FOLDER).mkdir(parents=True)
    os.link(mine, cache / FOLDER / wanted.sha256)
    incoming.prepare(incoming.lacking([wanted], str(cache)), str(cache), NOBODY)
    assert names(cache) == []
    assert mine.stat().st_uid != NOBODY


def test_what_arrived_is_root_s_and_readable(cache: Path) -> None:
    wanted = file(ONE, "wheels/a/one.whl")
    path = part(cache, ONE, wanted)
    path.chmod(0o600)
    os.chown(path, NOBODY, -1)
    assert incoming.arrive([wanted], str(cache)) == []
    status = os.stat(cache / wanted.path)
    assert (status.st_uid, status.st_mode & 0o777) == (0, 0o644)
    assert names(cache) == [wanted.path]
    assert not (cache / FOLDER).exists()
    assert incoming.arrive([wanted], str(cache)) == [], "a run that was killed after it"


@pytest.mark.parametrize("came", [b"", ONE[:-1], ONE + b"x", b"\0" * len(ONE)])
def test_another_file_gets_no_name(cache: Path, came: bytes) -> None:
    """Zeros are what a power cut leaves of a file that was longer than what was written of it."""
    wanted, other = file(ONE), file(TWO)
    part(cache, came, wanted)
    part(cache, TWO, other)
    (wrong,) = incoming.arrive([wanted, other], str(cache))
    assert wrong["path"] == wanted.path
    assert wrong["found"].startswith(f"{len(came)} bytes, sha256 {hashlib.sha256(came).hexdigest()}")
    assert names(cache) == [other.path]


def test_room_is_looked_for_before(cache: Path) -> None:
    cache.mkdir()
    lack: dict[str, Any] = {**file(ONE)._asdict(), "size_bytes": 10**18, "have_bytes": 0}
    with pytest.raises(AscendError, match="too little room in the cache"):
        incoming.prepare([lack], str(cache), 0)
    lack["have_bytes"] = 10**18 - 1
    incoming.prepare([lack], str(cache), 0)


def receive(folder: Path, head: list[Any], data: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run the receiver, with the interpreter of nodes' oldest systems where that is at hand."""
    given = json.dumps(head).encode() + b"\n" + data
    return subprocess.run([sys.executable, "-c", RECEIVER, str(folder)], input=given, capture_output=True, check=False)


def test_pieces_are_written_each_at_its_place(tmp_path: Path) -> None:
    assert receive(tmp_path, [["b", 3, 3], ["a", 0, 4]], b"xyzabcd").returncode == 0
    assert receive(tmp_path, [["b", 0, 3]], b"uvw").returncode == 0
    assert receive(tmp_path, [["b", 3, 3]], b"xyz").returncode == 0, "one that comes twice does no harm"
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"abcd", b"uvwxyz")


def test_a_stream_that_ends_early_keeps_what_came(tmp_path: Path) -> None:
    done = receive(tmp_path, [["a", 0, 4], ["b", 0, 4]], b"abcdef")
    assert (done.returncode, done.stderr.decode().strip()) == (1, "the connection delivered less than was sent")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"abcd", b"ef")


def test_the_receiver_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    (tmp_path / "a").symlink_to("secret")
    assert receive(tmp_path, [["a", 0, 1]], b"x").returncode == 1
    assert (tmp_path / "secret").read_text() == "mine"
