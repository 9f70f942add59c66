# SPDX-License-Identifier: Apache-2.0
"""The folders of the drift reports: whole at any moment, readable, pruned by name alone."""

from __future__ import annotations

import json
import os
import resource
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import outputs, report_folder as reports
from tests import fleets
from tests.children import in_child

FILES = ["fleet.json", "fleet.prom", "index.html", "junit.xml"]
NOW = datetime(2026, 3, 2, 1, 30, tzinfo=timezone.utc)
NOBODY = 65534


def fleet(made: str = fleets.MADE) -> dict[str, Any]:
    return {**fleets.fleet(4, 2), "made": made}


def whole(folder: Path) -> bool:
    return sorted(os.listdir(folder)) == FILES and (folder / "index.html").read_text() == "<p>page</p>"


def dies_at(step: int, action: Callable[[], Any]) -> bool:
    """Run ``action`` in a process that ends after so many lines of reports.py and calls of os; tell whether it did."""

    def run() -> bool:
        left = step

        def count() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            if frame.f_code.co_filename != reports.__file__:
                return None
            if event == "line":
                count()
            return trace

        sys.addaudithook(lambda event, _: count() if event.startswith("os.") else None)
        sys.settrace(trace)
        action()
        sys.settrace(None)
        return True

    return in_child(run) is None


def refused(action: Callable[[], Any]) -> dict[str, str]:
    """Return what the AscendError of ``action`` says, which has to come."""
    try:
        action()
    except AscendError as error:
        return error.as_dict()
    return {}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


def test_a_report_is_a_folder_of_four_files_and_latest_leads_to_it(tmp_path: Path) -> None:
    directory = tmp_path / "var" / "reports"
    folder = reports.write(directory, fleet(), "<p>page</p>")
    assert folder == directory / "20260302T013000Z"
    assert whole(folder)
    assert (folder / "fleet.json").read_text() == outputs.fleet_json(fleet())
    assert (folder / "junit.xml").read_text() == outputs.junit(fleet())
    assert (folder / "fleet.prom").read_text() == outputs.prometheus(fleet())
    assert os.readlink(directory / "latest") == "20260302T013000Z"
    assert sorted(os.listdir(directory)) == ["20260302T013000Z", "latest"]


def test_reports_of_one_second_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "20260302T013000Z-3").write_text("a file in the way")
    made = [reports.write(tmp_path, fleet(), "<p>page</p>").name for _ in range(3)]
    assert made == ["20260302T013000Z", "20260302T013000Z-2", "20260302T013000Z-4"]
    assert os.readlink(tmp_path / "latest") == "20260302T013000Z-4"
    assert (tmp_path / "20260302T013000Z-3").read_text() == "a file in the way"


def test_everybody_may_read_it_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        folder = reports.write(tmp_path / "reports", fleet(), "<p>page</p>")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder.parent, folder, *folder.iterdir()]}
    assert modes == {"reports": 0o755, folder.name: 0o755, **dict.fromkeys(FILES, 0o644)}


def test_half_a_character_of_a_tool_does_not_lose_the_report(tmp_path: Path) -> None:
    odd = fleet()
    odd["nodes"][0]["name"] = "npu-\udc80"
    folder = reports.write(tmp_path, odd, "<p>\udc80</p>")
    assert json.loads((folder / "fleet.json").read_bytes())["nodes"][0]["name"] == "npu-\udc80"
    assert (folder / "index.html").read_bytes() == b"<p>?</p>"


@pytest.mark.parametrize(("kind", "found"), [("folder", "a folder"), ("file", "a file")])
def test_a_latest_that_is_not_ours_stays_and_the_report_is_there(tmp_path: Path, kind: str, found: str) -> None:
    latest = tmp_path / "latest"
    if kind == "folder":
        latest.mkdir()
    else:
        latest.write_text("mine")
    told = refused(lambda: reports.write(tmp_path, fleet(), "<p>page</p>"))
    assert told["where"] == str(latest)
    assert told["found"].startswith(found)
    assert told["remedy"] == f"mv {latest} {latest}.aside && ln -s 20260302T013000Z {latest}"
    assert not latest.is_symlink()
    assert whole(tmp_path / "20260302T013000Z")
    assert sorted(os.listdir(tmp_path)) == ["20260302T013000Z", "latest"]


def test_a_latest_that_leads_nowhere_is_set_right(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("20200101T000000Z")
    reports.write(tmp_path, fleet(), "<p>page</p>")
    assert whole(tmp_path / "latest")


def test_without_the_permission_the_error_says_where(open_folder: Path) -> None:
    directory = open_folder / "reports"
    directory.mkdir()
    directory.chmod(0o555)

    def as_nobody() -> dict[str, str]:
        if os.getuid() == 0:
            os.setuid(NOBODY)
        return refused(lambda: reports.write(directory, fleet(), "<p>page</p>"))

    told = in_child(as_nobody)
    assert told["problem"] == "cannot write the drift report"
    assert told["found"].startswith("Permission denied: ")
    assert (told["where"], told["remedy"]) == (str(directory), f"ls -ld {directory}; id")
    assert told["wanted"] == "a folder that this user can write to"
    assert os.listdir(directory) == []


def test_a_file_in_the_directory_s_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    told = refused(lambda: reports.write(tmp_path / "reports", fleet(), ""))
    assert told["where"] == str(tmp_path / "reports")
    assert told["found"].startswith("File exists")


def test_a_disk_without_room_leaves_nothing_half_written(tmp_path: Path) -> None:
    reports.write(tmp_path, fleet("2026-03-01T01:30:00Z"), "<p>page</p>")

    def without_room() -> dict[str, str]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        return refused(lambda: reports.write(tmp_path, fleet(), "<p>page</p>"))

    assert in_child(without_room)["found"].startswith("File too large")
    assert sorted(os.listdir(tmp_path)) == ["20260301T013000Z", "latest"]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        with open("/dev/full", "wb", buffering=0) as stream:
            stream.write(b"x")

    monkeypatch.setattr(os, "fsync", full)
    told = refused(lambda: reports.write(tmp_path, fleet(), "<p>page</p>"))
    assert told["found"].startswith("No space left on device")
    assert (told["wanted"], told["remedy"]) == ("a few MB of free space", f"df -h {tmp_path}")
    assert os.listdir(tmp_path) == []


def test_killed_at_any_line_latest_leads_to_a_whole_report(tmp_path: Path) -> None:
    old = reports.write(tmp_path, fleet("2026-03-01T01:30:00Z"), "<p>page</p>").name
    seen = set()
    for step in range(10_000):
        died = dies_at(step, lambda: reports.write(tmp_path, fleet(), "<p>page</p>"))
        assert whole(tmp_path / "latest")
        seen.add(os.readlink(tmp_path / "latest") == old)
        for name in os.listdir(tmp_path):
            assert name.startswith(".partial-") or whole(tmp_path / name)
        if not died:
            break
        # Back to the old state, or ever more names would be taken.
        (tmp_path / "latest").unlink()
        (tmp_path / "latest").symlink_to(old)
        shutil.rmtree(tmp_path / "20260302T013000Z", ignore_errors=True)
    assert seen == {True, False}
    left_over = [name for name in os.listdir(tmp_path) if name.startswith(".")]
    assert left_over
    assert reports.prune(tmp_path, 400, 400, datetime.now(timezone.utc)) == []
    gone = reports.prune(tmp_path, 400_000, 400, datetime.now(timezone.utc) + timedelta(days=1, minutes=1))
    assert sorted(gone) == sorted(left_over)
    assert all(whole(tmp_path / name) for name in os.listdir(tmp_path))


def made_at(directory: Path, *days: int) -> list[str]:
    """A report so many days before NOW, each."""
    times = [(NOW - timedelta(days=number)).strftime("%Y-%m-%dT%H:%M:%SZ") for number in days]
    return [reports.write(directory, fleet(time), "<p>page</p>").name for time in times]


def test_a_report_goes_when_it_is_old_or_not_among_the_newest(tmp_path: Path) -> None:
    names = made_at(tmp_path, 50, 50, 40, 30, 20, 0)
    assert reports.prune(tmp_path, 60, 5, NOW) == names[:1]
    assert reports.prune(tmp_path, 30, 99, NOW) == names[1:3]
    assert reports.prune(tmp_path, 30, 99, NOW + timedelta(seconds=1)) == names[3:4]
    assert sorted(os.listdir(tmp_path)) == [*names[4:], "latest"]
    assert reports.prune(tmp_path / "absent", 1, 1, NOW) == []


def test_numbers_of_one_second_count_as_numbers(tmp_path: Path) -> None:
    names = made_at(tmp_path, *[50] * 11)
    assert reports.prune(tmp_path, 60, 2, NOW) == names[:9]


def test_the_report_that_latest_leads_to_stays(tmp_path: Path) -> None:
    names = made_at(tmp_path, 50, 40, 30, 99)
    assert reports.prune(tmp_path, 0, 0, NOW) == names[:3]
    assert whole(tmp_path / "latest")
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").symlink_to("nowhere")
    assert reports.prune(tmp_path, 0, 0, NOW) == names[3:]


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("")
    directory = tmp_path / "reports"
    made_at(directory, 0)
    stamp = "20200101T000000Z"
    strange = (
        f"{stamp}-1",
        f"{stamp}-02",
        f"{stamp}-",
        f"{stamp}.old",
        f"x{stamp}",
        f"{stamp}\n",
        "\u0662" + stamp[1:],
    )
    half = (".partial-", ".partial-0123456789abcdeg", ".partial-0123456789abcdef0")
    for name in (*strange, *half, "20201301T000000Z", "20200101", "notes"):
        (directory / name).mkdir()
        os.utime(directory / name, (0, 0))
    (directory / "20200102T000000Z").symlink_to(elsewhere)
    (directory / "20200103T000000Z").write_text("a file")
    (directory / "history.sqlite").write_text("")
    (directory / ".partial-00000000000000aa").symlink_to(elsewhere)
    before = sorted(os.listdir(directory))
    assert reports.prune(directory, 0, 0, NOW + timedelta(seconds=1)) == []
    assert sorted(os.listdir(directory)) == before
    os.utime(directory / ".partial-00000000000000aa", (0, 0), follow_symlinks=False)
    assert reports.prune(directory, 0, 0, NOW) == [".partial-00000000000000aa"]
    assert os.listdir(elsewhere) == ["kept"]


def test_a_link_within_an_old_report_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    names = made_at(tmp_path / "reports", 50, 0)
    (tmp_path / "reports" / names[0] / "link").symlink_to(tmp_path)
    assert reports.prune(tmp_path / "reports", 30, 0, NOW) == names[:1]
    assert (tmp_path / "kept").exists()


def test_pruning_that_is_killed_leaves_no_half_report(tmp_path: Path) -> None:
    names = made_at(tmp_path, 50, 0)

    def prune() -> None:
        sys.addaudithook(lambda event, _: os._exit(9) if event == "os.remove" else None)
        reports.prune(tmp_path, 30, 0, NOW)

    assert in_child(prune) is None
    assert sorted(name for name in os.listdir(tmp_path) if not name.startswith(".")) == [names[1], "latest"]
    assert len(os.listdir(tmp_path)) == 3


def test_what_cannot_be_removed_is_told(open_folder: Path) -> None:
    directory = open_folder / "reports"
    made_at(directory, 50, 0)
    directory.chmod(0o555)

    def as_nobody() -> dict[str, str]:
        if os.getuid() == 0:
            os.setuid(NOBODY)
        return refused(lambda: reports.prune(directory, 30, 0, NOW))

    told = in_child(as_nobody)
    assert told["problem"] == "cannot remove old drift reports"
    assert told["where"] == str(directory)
