# SPDX-License-Identifier: Apache-2.0
"""Files that a node fetches from a mirror or a web server: real ones on this machine, good and bad in many ways."""

from __future__ import annotations

import hashlib
import http.server
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import fetched, incoming
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.incoming import Incoming
from ansible_collections.ascend.fleet.plugins.modules import depot_files

CONTENTS = [random.Random(number).randbytes(50_000) for number in range(3)]
FILES = [
    Incoming(f"wheels/x/{number}.whl", hashlib.sha256(content).hexdigest(), len(content))
    for number, content in enumerate(CONTENTS)
]


NOBODY = 65534  # the account that logs in


class Server(http.server.ThreadingHTTPServer):
    """``how`` says what is wrong with it; ``asked`` are paths, each with the byte from which on it was asked for."""

    def __init__(self, how: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.how = how
        self.asked: list[tuple[str, int]] = []


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives the contents by their sums."""

    server: Server

    def do_GET(self) -> None:
        how, asked = self.server.how, self.server.asked
        begin = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        asked.append((self.path, begin))
        contents = {f"/{hashlib.sha256(content).hexdigest()}": content for content in CONTENTS}
        contents |= {f"/{file.path}": content for file, content in zip(FILES, CONTENTS, strict=True)}
        content = contents.get(self.path, b"")
        if how == "fails" or (how == "lacks one" and self.path == f"/{FILES[1].sha256}"):
            self.send_error(500 if how == "fails" else 404)
            return
        has_ranges = not how.startswith("no ranges")
        ranges = has_ranges and begin > 0
        content = content[begin:] if ranges else content
        self.send_response(206 if ranges else 200)
        self.send_header("Content-Length", str(len(content)))
        if has_ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if how == "breaks off":
            content = content[:20_000]
        if how == "another file":
            content = b"x" * len(content)
        if how.endswith("is slow"):
            with suppress(BrokenPipeError, ConnectionResetError):  # the node's time is over
                for at in range(0, len(content), 10_000):
                    self.wfile.write(content[at : at + 10_000])
                    time.sleep(0.1)
            return
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(how: str = "") -> Iterator[tuple[str, list[tuple[str, int]]]]:
    server = Server(how)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", server.asked
    server.shutdown()
    server.server_close()


class Node:
    """A node's cache, and what its module says after it asked the mirror."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        (folder / "state").mkdir()
        self.options = {
            "cache_dir": str(self.cache),
            "state_dir": str(folder / "state"),
            "uid": NOBODY,
            "mirror": False,
            "depot_proxy": "",
            "fetch_s": 60,
        }
        self.answer: dict[str, Any] = {}

    def ask(self, url: str, files: list[Incoming] = FILES) -> tuple[list[str], str]:
        """Return the files that are missing afterwards, and why."""
        self.answer = depot_files.lacking(files, {**self.options, "source": url}, False)
        problem = self.answer["problem"]
        words = f"{problem['address']}: {problem['found']}" if problem else ""
        return [each["path"] for each in self.answer["missing"]], words

    @property
    def have(self) -> list[int]:
        return [each["have_bytes"] for each in self.answer["missing"]]

    def came(self, number: int) -> int:
        path = self.cache / incoming.FOLDER / FILES[number].sha256
        return path.stat().st_size if path.exists() else 0


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_mirror_gives_all(node: Node) -> None:
    with served() as (url, asked):
        assert node.ask(f"{url}/") == ([], "")
        assert len(asked) == 3
        assert node.ask(url) == ([], "")
        assert len(asked) == 3, "what is there is not asked for"
    assert [(node.cache / file.path).read_bytes() for file in FILES] == CONTENTS


@pytest.mark.parametrize(("how", "begin"), [("", 30_000), ("no ranges", 30_000)])
def test_what_came_is_gone_on_with_where_the_server_can(node: Node, how: str, begin: int) -> None:
    part = node.cache / incoming.FOLDER / FILES[0].sha256
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENTS[0][:begin])
    with served(how) as (url, asked):
        assert node.ask(url) == ([], "")
    assert (f"/{FILES[0].sha256}", begin) in asked
    assert (node.cache / FILES[0].path).read_bytes() == CONTENTS[0]


def test_what_it_does_not_hold_is_left_and_said(node: Node) -> None:
    with served("lacks one") as (url, _):
        missing, problem = node.ask(url)
    assert missing == [FILES[1].path]
    assert problem == f"{url}/{FILES[1].sha256}: HTTP 404 Not Found"
    assert not node.answer["again"], "asking again changes nothing"


def test_a_mirror_that_breaks_off_leaves_a_beginning(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched, "AT_ONCE", 1)
    with served("breaks off") as (url, asked):
        missing, problem = node.ask(url)
    assert len(missing) == 3
    assert "30000 bytes are missing at its end" in problem
    assert (len(asked), node.came(0)) == (1, 20_000), "after the first failure nothing else is asked for"
    assert node.have == [20_000, 0, 0]
    assert (node.answer["again"], node.answer["came_bytes"]) == (True, 20_000), (
        "it gave something, so it is asked again"
    )
    # Whoever logs in goes on with it.
    assert (node.cache / incoming.FOLDER / FILES[0].sha256).stat().st_uid == NOBODY
    with served() as (url, asked):
        assert node.ask(url) == ([], "")
    assert asked[0] == (f"/{FILES[0].sha256}", 20_000)


def test_another_file_is_not_taken(node: Node) -> None:
    with served("another file") as (url, _):
        missing, problem = node.ask(url)
    assert len(missing) == 3
    assert "50000 bytes, sha256" in problem
    assert (node.answer["problem"]["kind"], node.answer["again"]) == (fetched.WRONG, False)
    assert [node.came(number) for number in range(3)] == node.have == [0, 0, 0]


@pytest.mark.parametrize("how", ["fails", "refuses", "is silent"])
def test_a_dead_mirror_costs_little(node: Node, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(fetched, "STALL_S", 0.2)
    if how == "fails":
        with served(how) as (url, _):
            missing, problem = node.ask(url)
        assert "HTTP 500" in problem
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if how == "refuses":
            listener.close()
        missing, problem = node.ask(url)
        listener.close()
        assert ("refused" if how == "refuses" else "timed out") in problem
    assert len(missing) == 3
    assert not node.answer["again"], "nothing came"


def test_a_web_server_names_files_by_their_paths(node: Node) -> None:
    files = [file._replace(address=file.path) for file in FILES]
    with served() as (url, asked):
        assert node.ask(url, files) == ([], "")
    assert sorted(path for path, _ in asked) == sorted(f"/{file.path}" for file in FILES)
    assert node.answer["came_bytes"] == sum(file.size_bytes for file in FILES)


def test_a_call_ends_in_time_and_the_next_one_continues(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.options["fetch_s"] = 0.15
    monkeypatch.setattr(fetched, "PIECE", 10_000)
    calls, came = 0, 0
    with served("is slow") as (url, _):
        while node.ask(url)[0]:
            assert (node.answer["again"], node.answer["problem"]) == (True, {})
            calls, came = calls + 1, came + node.answer["came_bytes"]
    came += node.answer["came_bytes"]
    assert calls, "the first call left something"
    assert came == sum(file.size_bytes for file in FILES), "what came before is not fetched again"
    assert [(node.cache / file.path).read_bytes() for file in FILES] == CONTENTS


def test_a_server_without_ranges_gives_a_file_that_takes_longer_than_a_call(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the call ended in time, each one would begin the file again, without end."""
    node.options["fetch_s"] = 0.15
    monkeypatch.setattr(fetched, "PIECE", 10_000)
    calls = 1
    with served("no ranges, is slow") as (url, asked):
        while node.ask(url)[0]:
            assert calls < len(FILES), "it never ends"
            calls += 1
    assert len(asked) == len(FILES), "each file is asked for once"
    assert [(node.cache / file.path).read_bytes() for file in FILES] == CONTENTS
