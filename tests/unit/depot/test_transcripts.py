# SPDX-License-Identifier: Apache-2.0
"""What a person sees while the depot is filled, by the real ansible-playbook: on a terminal, and in a log."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.standin import build as standin
from tests.unit.depot.fileserver import Files, index_of, serving
from tests.unit.terminal.screen import set_size

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
WHAT = "wheels for 8.0.RC1, x86_64"
LINE = re.compile(rf"^{WHAT}: \d+ k?B.*, \d of 5 files, \d+ k?B/s", re.MULTILINE)
LAST = re.compile(rf"{WHAT}: 5 files, \d+ kB in 0:\d\d")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Files]:
    """An index of five wheels; of each a part comes, and the rest when it is released."""
    standin.build(tmp_path / "own")
    wheels = sorted((tmp_path / "own" / "incoming").iterdir())
    with serving(Files(index_of(wheels), holds_after=1000, goes_on=True)) as files:
        yield files


def play(tmp_path: Path, **more: Any) -> Path:
    options = {
        "part": "wheels",
        "folder": str(tmp_path / "depot"),
        "release": str(ROOT / "releases" / "8.0.RC1"),
        "architecture": "x86_64",
        "lock": str(tmp_path / "own" / "lock-8.0.RC1.txt"),
        **more,
    }
    tasks = [{"name": "Add every wheel", "ascend.fleet.depot": options}]
    path = tmp_path / "play.yml"
    path.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    return path


def environment(server: Files, tmp_path: Path) -> dict[str, str]:
    own = {"PIP_INDEX_URL": f"{server.address}/simple", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOG_PATH": f"{tmp_path}/log"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    return {**kept, **own, "PIP_CONFIG_FILE": os.devnull, "CI": "", "TERM": "xterm"}


def shown(argv: list[str], server: Files, tmp_path: Path, terminal: bool, seen: re.Pattern[str]) -> tuple[str, int]:
    """Run; return what is shown, and the exit code. What the server holds back it gives when ``seen`` was shown."""
    reader, writer = pty.openpty() if terminal else os.pipe()
    if terminal:
        set_size(writer)
    process = subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, env=environment(server, tmp_path)
    )
    os.close(writer)
    text = ""
    with suppress(OSError):  # a terminal whose last process is gone answers with an error
        while block := os.read(reader, 65536):
            text += block.decode().replace("\r\n", "\n")
            if seen.search(text):
                server.release.set()
    os.close(reader)
    return text, process.wait()


def test_on_a_terminal_it_is_drawn_with_the_task(server: Files, tmp_path: Path) -> None:
    drawn = re.compile(rf"Add every wheel  0:\d\d\x1b\[K\n{WHAT}: \d.* of 5 files, .*\x1b\[K\n")
    text, code = shown([str(PLAYBOOK), str(play(tmp_path))], server, tmp_path, True, drawn)
    assert (code, server.release.is_set()) == (0, True), text
    assert re.search(rf"(^|\x1b\[K){LAST.pattern}[^\n]*\n", text, re.MULTILINE), "it stays, on a line of its own"
    log = (tmp_path / "log").read_text()
    assert LAST.search(log)
    assert "changed: [localhost]" in log
    assert "of 5 files, " not in log, "what is drawn is not logged"


@pytest.mark.whole
def test_on_a_terminal_without_it_one_line_is_redrawn(
    server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASCEND_FLEET_VIEW", "plain")
    argv = [str(PLAYBOOK), str(play(tmp_path))]
    text, code = shown(argv, server, tmp_path, True, re.compile(rf"(\r{WHAT}: .*){{3}}"))
    assert code == 0, text
    assert server.release.is_set(), text
    drawn = next(line for line in text.split("\n") if "\r" in line)
    *before, last = drawn.split("\r")[1:]
    assert len(before) >= 3
    assert all(re.match(rf"{WHAT}: \d.* of 5 files, ", each) for each in before)
    assert LAST.match(last)
    lines = text.split("\n")
    assert lines[lines.index(drawn) - 1].startswith("TASK [Add every wheel]")
    assert lines[lines.index(drawn) + 1] == "changed: [localhost]"
    assert text.count("TASK [") == 1
    log = (tmp_path / "log").read_text()
    assert LAST.search(log)
    assert "of 5 files" not in log, "what is drawn over is not logged"


@pytest.mark.whole
def test_in_a_log_there_are_plain_lines(server: Files, tmp_path: Path) -> None:
    text, code = shown([str(PLAYBOOK), str(play(tmp_path))], server, tmp_path, False, LINE)
    assert code == 0, text
    assert server.release.is_set(), text
    assert "\r" not in text
    assert LINE.search(text)
    assert LAST.search(text)


@pytest.mark.whole
def test_in_a_log_there_is_one_line_at_the_end_of_a_short_fill(server: Files, tmp_path: Path) -> None:
    server.release.set()
    text, code = shown([str(PLAYBOOK), str(play(tmp_path))], server, tmp_path, False, LAST)
    assert code == 0, text
    assert "\r" not in text
    assert text.count(WHAT) == 1
    assert text.index("TASK [Add every wheel]") < text.index(WHAT) < text.index("changed: [localhost]")


@pytest.mark.whole
def test_nothing_is_shown_of_a_depot_that_is_whole(server: Files, tmp_path: Path) -> None:
    server.release.set()
    argv = [str(PLAYBOOK), str(play(tmp_path))]
    shown(argv, server, tmp_path, False, LAST)
    asked = len(server.asked)
    text, code = shown(argv, server, tmp_path, True, LAST)
    assert (code, WHAT in text, len(server.asked)) == (0, False, asked)
    assert "ok: [localhost]" in (tmp_path / "log").read_text()


def test_a_failure_on_a_terminal_begins_in_a_line_of_its_own(server: Files, tmp_path: Path) -> None:
    (torch,) = (path for path in server.contents if path.startswith("/files/torch-2"))
    server.contents.pop(torch)
    server.release.set()
    text, code = shown([str(PLAYBOOK), str(play(tmp_path))], server, tmp_path, True, LAST)
    assert code == 2
    assert re.search(r"(^|\x1b\[K)fatal: \[localhost\]: FAILED! =>", text, re.MULTILINE)
    assert "torch-2.1.0+standin-py3-none-any.whl cannot be fetched; wanted: http://127.0.0.1:" in " ".join(text.split())


@pytest.mark.whole
def test_options_are_held_to_their_forms(server: Files, tmp_path: Path) -> None:
    text, code = shown([str(PLAYBOOK), str(play(tmp_path, part="wheel"))], server, tmp_path, False, LAST)
    assert code == 2
    assert "value of part must be one of: cann, python, source, uv, wheels, got: wheel" in " ".join(text.split())
