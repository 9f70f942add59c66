# SPDX-License-Identifier: Apache-2.0
"""The log of a run, whatever stands in it: which error came first, what is shown, what of a large one is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.train import logs

TORCHRUN = """[rank1]: Traceback (most recent call last):
[rank1]:   File "x.py", line 3
[rank1]: FileNotFoundError: [Errno 2] No such file: '/models/gone'
torch.distributed.elastic.multiprocessing.errors.ChildFailedError: last
"""


def first(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with path.open("rb") as stream:
        return logs.first_error(stream)


@pytest.mark.parametrize(
    ("log", "error"),
    [
        (TORCHRUN, "[rank1]: FileNotFoundError: [Errno 2] No such file: '/models/gone'"),
        ("EI0015: topo exchange fails\nValueError: later", "EI0015: topo exchange fails"),
        ("all is well: no Error here\n", ""),
        ("", ""),
        ("12%|#  | 3/10\r 20%|## | 4/10\rRuntimeError: mine\rmore", "RuntimeError: mine"),
        ("\x1b[31mValueError: red\x1b[0m\n", "ValueError: red"),
        ("\x1b]0;title\x07KeyError: 'x'", "\\x1b]0;title\\x07KeyError: 'x'"),
        ("ValueError: --hf_token hf_abcdefghijklmnopqrstuvwxyzABCDEFGH\n", "ValueError: --hf_token ***"),
        ("x" * 9000 + " ValueError: far " + "y" * 9000, "x" * 397 + "..."),
    ],
)
def test_the_first_error_counts(tmp_path: Path, log: str, error: str) -> None:
    assert first(tmp_path / "log", log.encode()) == error


def test_bytes_that_are_no_text_are_read_over(tmp_path: Path) -> None:
    assert first(tmp_path / "log", b"\xff\xfe\x00\nValueError: \xc3\x28 here\n") == "ValueError: \ufffd( here"


@pytest.mark.parametrize("text", [b"a." * 8_000_000, b"Error" * 3_000_000, b"EI000" * 3_000_000, b"\r" * 16_000_000])
def test_no_text_takes_long(tmp_path: Path, text: bytes) -> None:
    # A pattern that looks back takes hours for these.
    assert first(tmp_path / "log", text) == ""


def test_an_error_between_two_blocks_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_BLOCK", 1000)
    for before in range(980, 1001):
        assert first(tmp_path / "log", b"." * before + b"\nValueError: mine\n") == "ValueError: mine"


@pytest.mark.parametrize(
    ("place", "found"), [(0, True), (20_000, True), (300_000, False), (599_900, True), (None, False)]
)
def test_of_a_large_log_the_beginning_and_the_end_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int | None, found: bool
) -> None:
    monkeypatch.setattr(logs, "SEARCHED", 100_000)
    monkeypatch.setattr(logs, "MOST", 50_000)
    content = bytearray(b"nothing of note\n" * 40_000)[:600_000]
    if place is not None:
        content[place : place + 20] = b"\nValueError: x, y, z"
    assert (first(tmp_path / "log", bytes(content)) != "") == found


def test_of_a_log_of_a_gigabyte_little_is_read(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as stream:
        stream.seek(1024**3)
        stream.write(b"\nValueError: at the end\n")
    with (tmp_path / "log").open("rb") as stream:
        text, error = logs.kept(stream, "/log")
    assert (len(text) < logs.MOST + 1000, error) == (True, "ValueError: at the end")


@pytest.mark.parametrize("place", [10, 40_000, 200_000, 500_000, 999_000])
def test_of_a_large_log_the_error_and_both_ends_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(logs, "MOST", 100_000)
    monkeypatch.setattr(logs, "AROUND", 1000)
    lines = b"".join(b"line %09d\n" % number for number in range(66_667))[:1_000_000]
    content = lines[:place] + b"\nValueError: mine\n" + lines[place + 18 :]
    (tmp_path / "log").write_bytes(content)
    with (tmp_path / "log").open("rb") as stream:
        kept, error = logs.kept(stream, "/the/log")
    assert error == "ValueError: mine"
    assert b"\nValueError: mine\n" in kept
    assert (kept[:1000], kept[-1000:]) == (content[:1000], content[-1000:])
    assert len(kept) < 103_000
    left_out = [int(line.split()[2]) for line in kept.split(b"\n") if line.startswith(b"... ascend-fleet: ")]
    notes = sum(len(line) + 2 for line in kept.split(b"\n") if line.startswith(b"... ascend-fleet: "))
    assert sum(left_out) + len(kept) - notes == len(content), "what is left out is counted"
    assert b"all of it: /the/log" in kept


def test_a_log_that_is_not_large_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff a\r\nb")
    with (tmp_path / "log").open("rb") as stream:
        assert logs.kept(stream, "/log") == (b"\xff a\r\nb", "")


def test_the_last_lines_are_for_a_terminal() -> None:
    text = "one\n\x1b[32mtwo\x1b[0m\r 10%\r\n\n\tthree \x1b]2;x\x07 token=hf_abcdefghijklmnopqrstuvwxyzABCDEFGH\n"
    assert logs.last_lines(text, 3) == ["two", " 10%", "        three \\x1b]2;x\\x07 token=***"]
    assert logs.last_lines("", 3) == []


def test_only_a_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "gone", "."):
        assert logs.opened(str(tmp_path / name)) is None, name
    assert logs.opened(str(tmp_path / "file"), os.getuid() + 1) is None
    for uid in (None, os.getuid()):
        stream = logs.opened(str(tmp_path / "file"), uid)
        assert stream is not None
        with stream:
            assert stream.read() == b"mine"
