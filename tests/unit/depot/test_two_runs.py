# SPDX-License-Identifier: Apache-2.0
"""Two control nodes fill one mirror at the same time: the module and its receiver, in the orders that there may be."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, cast

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import incoming
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.incoming import RECEIVER, Incoming
from ansible_collections.ascend.fleet.plugins.modules import depot_files

MB = 1024 * 1024  # what the receiver writes at once
CONTENTS = [os.urandom(3 * MB) for _ in range(3)]
SUMS = [hashlib.sha256(content).hexdigest() for content in CONTENTS]
BY_SUM = dict(zip(SUMS, CONTENTS, strict=True))
FILES = [Incoming(digest, digest, len(BY_SUM[digest])) for digest in SUMS]
ME = os.getuid()


class Sending:
    """A run of one control node, which sends some of the files to the mirror."""

    def __init__(self, top: Path, numbers: list[int], uid: int = ME) -> None:
        self.files = [FILES[number] for number in numbers]
        places = {"cache_dir": str(top / "mirror"), "state_dir": str(top / "state")}
        self.options: dict[str, Any] = {**places, "uid": uid, "mirror": True, "source": ""}
        self.missing: list[dict[str, Any]] = []

    def ask(self) -> list[int]:
        """Ask what is missing; return how much of each file came already."""
        answer = depot_files.lacking(self.files, self.options, False)
        self.missing = answer["missing"]
        return [each["have_bytes"] for each in self.missing]

    def begin(self, part: int) -> None:
        """Send as many bytes of what is missing."""
        argv = [sys.executable, "-c", RECEIVER, str(Path(self.options["cache_dir"], incoming.FOLDER))]
        self.receiver = subprocess.Popen(argv, stdin=subprocess.PIPE)
        pieces = [(each["sha256"], each["have_bytes"], each["size_bytes"]) for each in self.missing]
        head = [[name, have, size - have] for name, have, size in pieces]
        self.rest = b"".join(BY_SUM[name][have:] for name, have, size in pieces)
        self.write(json.dumps(head).encode() + b"\n")
        self.send(part)
        until = time.monotonic() + 10
        while part and not any(incoming._size(incoming._part(each, self.options["cache_dir"])) for each in self.files):
            assert time.monotonic() < until
            time.sleep(0.01)

    def write(self, data: bytes) -> None:
        stream = cast(IO[bytes], self.receiver.stdin)
        stream.write(data)
        stream.flush()

    def send(self, part: int) -> None:
        self.write(self.rest[:part])
        self.rest = self.rest[part:]

    def end(self) -> list[dict[str, str]]:
        """Send the rest; return what the mirror says of it."""
        self.write(self.rest)
        self.receiver.communicate()
        assert self.receiver.returncode == 0
        wrong: list[dict[str, str]] = depot_files.arrived(self.files, self.options)["wrong"]
        return wrong


def held(top: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (top / "mirror").iterdir() if path.is_file()}


def test_the_second_run_leaves_what_the_first_one_is_sending(tmp_path: Path) -> None:
    """Each sends a file that the other does not, and one that both do."""
    one, other = Sending(tmp_path, [0, 2]), Sending(tmp_path, [1, 2])
    assert one.ask() == [0, 0]
    one.begin(MB)
    assert other.ask() == [0, 0]
    other.begin(MB)
    assert one.end() == []
    # The file that both send has its name already.
    assert other.end() == []
    assert held(tmp_path) == BY_SUM


def test_a_rest_of_a_file_that_arrived_meanwhile_is_no_other_file(tmp_path: Path) -> None:
    one, other = Sending(tmp_path, [0]), Sending(tmp_path, [1, 0])
    one.ask()
    one.begin(MB)
    until = time.monotonic() + 10
    while other.ask() != [0, MB]:  # once the receiver has written it
        assert time.monotonic() < until
    other.begin(1000)
    assert one.end() == []
    assert other.end() == [], "it opened the file anew, and wrote its end alone"
    assert held(tmp_path) == {name: BY_SUM[name] for name in SUMS[:2]}


def test_the_folder_stays_for_a_run_that_is_about_to_write(tmp_path: Path) -> None:
    one, other = Sending(tmp_path, [0]), Sending(tmp_path, [0, 1])
    one.ask()
    one.begin(MB)
    other.ask()
    assert one.end() == []
    other.begin(0)
    assert other.end() == []
    assert held(tmp_path) == {name: BY_SUM[name] for name in SUMS[:2]}


def test_what_nobody_sends_any_more_goes(tmp_path: Path) -> None:
    one, other = Sending(tmp_path, [0]), Sending(tmp_path, [1])
    one.ask()
    one.begin(MB)
    one.receiver.kill()
    one.receiver.communicate()
    part = tmp_path / "mirror" / incoming.FOLDER / SUMS[0]
    other.ask()
    assert part.exists(), "it may break off for a moment and go on"
    before = time.time() - incoming.QUIET_S - 1
    os.utime(part, (before, before))
    other.ask()
    assert not part.exists()


def test_a_file_that_somebody_removed_is_sent_anew(tmp_path: Path) -> None:
    one = Sending(tmp_path, [0])
    one.ask()
    one.begin(MB)
    (tmp_path / "mirror" / incoming.FOLDER / SUMS[0]).unlink()
    assert one.end() == [{"path": SUMS[0], "found": "no file"}]
    assert one.ask() == [0]


def test_another_account_is_told_that_a_run_is_at_work(tmp_path: Path) -> None:
    """The folder is that account's: two cannot write into it."""
    one, other = Sending(tmp_path, [0]), Sending(tmp_path, [0], uid=65534)
    one.ask()
    one.begin(MB)
    with pytest.raises(AscendError) as told:
        other.ask()
    assert told.value.problem == "another run is sending files to this host from another account"
    assert all((told.value.wanted, told.value.found, told.value.where, told.value.remedy))
    assert one.end() == []
    assert other.ask() == []


def test_a_run_waits_while_another_ones_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And asks for nothing that arrived while it waited."""
    monkeypatch.setattr(module_lock, "WAIT_S", 0.2)
    one, other = Sending(tmp_path, [0]), Sending(tmp_path, [0, 1])
    one.ask()
    one.begin(MB)
    reads, taken_over = threading.Event(), incoming._taken_over

    def slowly(part: str) -> tuple[str, int]:
        reads.set()
        time.sleep(1)
        return taken_over(part)

    monkeypatch.setattr(incoming, "_taken_over", slowly)
    arriving = threading.Thread(target=one.end)
    arriving.start()
    assert reads.wait(10)
    assert other.ask() == [0]
    arriving.join()
    assert [each["sha256"] for each in other.missing] == [SUMS[1]]
