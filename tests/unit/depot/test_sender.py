# SPDX-License-Identifier: Apache-2.0
"""What is sent to a node, block by block, and how far that is: over real pipes, with the receiver of nodes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.plugin_utils import board as boards, sender
from ansible_collections.ascend.fleet.plugins.plugin_utils.sender import ALIGNED, Outgoing, Sender, blocks, to_send

MB = 1024 * 1024


class Connection:
    """Runs commands here, as Ansible's connection to a node does; breaks off after ``whole`` commands."""

    def __init__(self, whole: int = 1000, has_pipelining: bool = True) -> None:
        self.has_pipelining = has_pipelining
        self.whole = whole
        self.commands: list[int] = []

    def run(self, command: str, sudoable: bool, in_data: bytes | None = None) -> dict[str, Any]:
        assert not sudoable
        if len(self.commands) == self.whole:
            in_data = (in_data or b"")[: len(in_data or b"") // 2]
        done = subprocess.run(["/bin/sh", "-c", command], input=in_data, capture_output=True, check=False)
        self.commands.append(len(in_data or b""))
        return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}

    def put_file(self, here: str, target: str) -> None:
        Path(target).write_bytes(Path(here).read_bytes())


def made(folder: Path, **contents: bytes) -> list[Outgoing]:
    files = []
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        files.append(Outgoing(str(folder / name), name, len(content), 0))
    return files


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


SIZES = st.lists(st.tuples(st.integers(0, 5 * MB), st.integers(0, 5 * MB)), max_size=8)


@given(SIZES, st.integers(MB // 8, 3 * MB))
def test_every_missing_byte_is_sent_once_and_little_of_what_is_there(sizes: list[tuple[int, int]], block: int) -> None:
    files = [Outgoing("", str(number), size, min(have, size)) for number, (size, have) in enumerate(sizes)]
    sent = list(blocks(files, block))
    assert all(sum(piece.length for piece in each) <= block for each in sent)
    assert all(piece.length for each in sent for piece in each)
    assert sum(piece.length for each in sent for piece in each) == to_send(files)
    for file in files:
        spans = [(piece.offset, piece.length) for each in sent for piece in each if piece.file is file]
        at = spans[0][0] if spans else file.size_bytes
        assert 0 <= file.have_bytes - at < ALIGNED or at == file.have_bytes
        for offset, length in spans:
            assert offset == at
            at += length
        assert at == file.size_bytes


@pytest.mark.parametrize("has_pipelining", [True, False])
def test_files_arrive_whole(tmp_path: Path, there: Path, monkeypatch: pytest.MonkeyPatch, has_pipelining: bool) -> None:
    """``has_pipelining`` is whether a command of the connection has an input: that of paramiko has none."""
    monkeypatch.setattr(sender, "BLOCK", MB)
    files = made(tmp_path, big=bytes(range(256)) * 10000, small=b"'\"\\$`\n!", empty=b"")
    heard: list[int] = []
    connection = Connection(has_pipelining=has_pipelining)
    Sender(connection, connection.run, str(there), "python3").send(files, heard.append)
    assert [(there / file.name).read_bytes() for file in files[:2]] == [
        (tmp_path / file.name).read_bytes() for file in files[:2]
    ]
    assert sorted(path.name for path in there.iterdir()) == ["big", "small"], "an empty file is nothing to send"
    assert sum(heard) == to_send(files) == 2560007


def test_blocks_of_two_runs_do_not_meet(tmp_path: Path, there: Path) -> None:
    """Of a second one that sends another file into the same folder, while the first one's block lies there."""
    one, other = made(tmp_path, one=b"1" * MB), made(tmp_path, other=b"2" * MB)

    class First(Connection):
        def put_file(self, here: str, target: str) -> None:
            super().put_file(here, target)
            second = Connection(has_pipelining=False)
            Sender(second, second.run, str(there), "python3").send(other, lambda _: None)

    first = First(has_pipelining=False)
    Sender(first, first.run, str(there), "python3").send(one, lambda _: None)
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {"one": b"1" * MB, "other": b"2" * MB}


def test_what_broke_off_goes_on_where_it_was(tmp_path: Path, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "BLOCK", 2 * MB)
    (file,) = made(tmp_path, big=b"0123456789abcdef" * (MB // 2))
    breaks = Connection(whole=2)
    with pytest.raises(AscendError, match="the connection delivered less than was sent"):
        Sender(breaks, breaks.run, str(there), "python3").send([file], lambda _: None)
    have = (there / "big").stat().st_size
    assert 4 * MB < have < 6 * MB
    again = Connection()
    Sender(again, again.run, str(there), "python3").send([file._replace(have_bytes=have)], lambda _: None)
    assert (there / "big").read_bytes() == (tmp_path / "big").read_bytes()
    assert sum(again.commands) < 8 * MB - have + 2 * MB


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    files = made(tmp_path, file=b"x")
    connection = Connection()
    with pytest.raises(AscendError, match="cannot write a file on the node") as raised:
        Sender(connection, connection.run, str(tmp_path / "absent"), "python3").send(files, lambda _: None)
    assert "No such file or directory" in raised.value.found
    assert raised.value.remedy == f"ls -lad {tmp_path}/absent {tmp_path}"


def test_a_file_that_changed_in_the_depot_is_named(tmp_path: Path, there: Path) -> None:
    (file,) = made(tmp_path, file=b"long enough")
    connection = Connection()
    for left in ("short", ""):
        (tmp_path / "file").write_text(left) if left else (tmp_path / "file").unlink()
        with pytest.raises(AscendError, match="cannot read a file of the depot") as raised:
            Sender(connection, connection.run, str(there), "python3").send([file], lambda _: None)
        assert raised.value.where == str(tmp_path / "file")


def test_the_board_tells_of_all_nodes_that_began() -> None:
    board = boards.Board(100)
    board.set(7, 4_000_000_000, 1_000_000_000, 100.0)
    board.set(99, 4_000_000_000, 4_000_000_000, 90.0)
    board.set(0, 2_000_000_000, 0, 95.0)
    assert board.text(110.0) == "1 of 3 nodes have their files: 5.00 GB of 10.00 GB, 250.0 MB/s, 0:20 left"


def test_a_log_has_a_line_every_ten_seconds_and_none_at_once() -> None:
    board = boards.Board(1)
    board.set(0, 100_000_000, 0, 50.0)
    lines = []
    for at in range(50, 90):
        board.set(0, 100_000_000, (at - 50) * 1_000_000, 50.0)
        lines.append(board.line(float(at)))
    assert [at for at, line in enumerate(lines) if line] == [10, 20, 30]
    assert lines[20] == "0 of 1 nodes have their files: 20.0 MB of 100.0 MB, 1.0 MB/s, 1:20 left"


def test_where_the_output_plugin_draws_each_node_no_line_is_shown() -> None:
    board = boards.Board(2, watched=True)
    board.set(1, 1000, 400, 5.0)
    assert not any(board.line(5.0 + second) for second in range(60))
    assert (board.of(1, 7.0), board.of(0, 7.0), board.of(2, 7.0)) == ((1000, 400, 200.0), None, None)
    assert board.bytes() == (400, 1000)


class OpenSSH(Connection):
    """One whose program is a shell here in place of ssh; ``program`` is what it runs in the command's place."""

    transport = "ssh"
    host = "node"

    def __init__(self, program: str = "", password: str = "") -> None:
        super().__init__()
        self.program, self.options = program, {"password": password, "ssh_executable": "/bin/sh"}

    def get_option(self, name: str) -> str:
        return self.options[name]

    def _build_command(self, binary: str, _subsystem: str, host: str, command: str) -> list[str]:
        assert host == self.host
        return [binary, "-c", self.program or command]


def test_openssh_is_given_all_files_at_once(tmp_path: Path, there: Path) -> None:
    files = made(tmp_path, big=bytes(range(256)) * 10000, small=b"x")
    heard: list[int] = []
    connection = OpenSSH()
    Sender(connection, connection.run, str(there), "python3").send(files, heard.append)
    assert [(there / file.name).stat().st_size for file in files] == [2560000, 1]
    assert (sum(heard), connection.commands) == (2560001, [])


def test_who_logs_in_by_a_password_is_given_blocks(tmp_path: Path, there: Path) -> None:
    connection = OpenSSH(password="secret")
    Sender(connection, connection.run, str(there), "python3").send(made(tmp_path, small=b"x"), lambda _: None)
    assert len(connection.commands) == 1


def test_a_connection_that_broke_is_told_from_a_command_that_failed(tmp_path: Path, there: Path) -> None:
    files = made(tmp_path, big=b"0123456789abcdef" * MB)
    broken = OpenSSH("head -c 1000 >/dev/null; echo Connection reset by peer; exit 255")
    with pytest.raises(sender.BrokenError, match="Connection reset by peer"):
        Sender(broken, broken.run, str(there), "python3").send(files, lambda _: None)
    full = OpenSSH("echo No space left on device; exit 1")
    with pytest.raises(AscendError, match="No space left on device") as raised:
        Sender(full, full.run, str(there), "python3").send(files, lambda _: None)
    assert raised.value.remedy.startswith("df -h ")
