# SPDX-License-Identifier: Apache-2.0
"""A web server of one folder of bytes that breaks off, knows no ranges, leads elsewhere or answers with a status."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote


@dataclass
class Files:
    """What is served (path -> content), how, and what was asked for: (path, Range, Referer)."""

    contents: dict[str, bytes]
    ranges: bool = True
    ranges_from: int = -1  # where a part begins whatever was asked for; -1: where it was
    # How many bytes each answer for a path gives before the line breaks, one after the other; then they are whole.
    breaks_at: dict[str, list[int]] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    account: str = ""  # "user:password", without which nothing is given
    leads: dict[str, str] = field(default_factory=dict)
    # Waits after so many bytes of a file until it is released.
    holds_after: int = 0
    goes_on: bool = False  # with the rest, when it is released
    release: threading.Event = field(default_factory=threading.Event)
    # Called before a status is answered.
    gate: Callable[[], None] = lambda: None
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    address: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        ranged = handler.headers.get("Range", "")
        self.asked.append((handler.path, ranged, handler.headers.get("Referer", "")))
        self.headers.append({name.lower(): value for name, value in handler.headers.items()})
        content = self.contents.get(handler.path)
        status = self.status.get(handler.path, 404 if content is None else 200)
        given = base64.b64decode((handler.headers.get("Authorization") or "").partition(" ")[2]).decode()
        if self.account and given != self.account:
            status = 401
        if handler.path in self.leads:
            handler.send_response(302)
            handler.send_header("Location", self.leads[handler.path])
            status, content = 302, b""
        elif status != 200:
            self.gate()
            handler.send_response(status)
        else:
            content = self._begin(handler, content or b"", ranged)
        if handler.path.endswith("/"):
            handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(content or b"")))
        handler.end_headers()
        self._send(handler, content or b"")

    def _begin(self, handler: BaseHTTPRequestHandler, content: bytes, ranged: str) -> bytes:
        match = re.fullmatch(r"bytes=(\d+)-", ranged) if self.ranges else None
        if not match:
            handler.send_response(200)
            return content
        begin = int(match[1]) if self.ranges_from < 0 else self.ranges_from
        if begin >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            return b""
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        return content[begin:]

    def _send(self, handler: BaseHTTPRequestHandler, content: bytes) -> None:
        breaks = self.breaks_at.get(handler.path)
        limit = breaks.pop(0) if breaks else len(content)
        with suppress(OSError):
            if len(content) > self.holds_after > 0 and not handler.path.endswith("/"):
                handler.wfile.write(content[: self.holds_after])
                handler.wfile.flush()
                self.release.wait(30)
                handler.wfile.write(content[self.holds_after :] if self.goes_on else b"")
            else:
                handler.wfile.write(content[:limit])
        if limit < len(content):
            handler.close_connection = True
            with suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)


def index_of(wheels: list[Path]) -> dict[str, bytes]:
    """The contents of a package index that has these wheels: a page a distribution, with links (PEP 503)."""
    contents = {f"/files/{quote(wheel.name)}": wheel.read_bytes() for wheel in wheels}
    for wheel in wheels:
        page = f"/simple/{wheel.name.split('-')[0].replace('_', '-').lower()}/"
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        link = f'<a href="/files/{quote(wheel.name)}#sha256={digest}">{wheel.name}</a>\n'
        contents[page] = contents.get(page, b"<!DOCTYPE html>\n") + link.encode()
    return contents


@contextmanager
def serving(files: Files, context: Any = None) -> Iterator[Files]:
    """Serve on 127.0.0.1; ``context`` makes it https."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            files.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the base class)
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that went away is what these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    files.address = f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield files
    finally:
        files.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def black_hole(answers_connections: bool) -> Iterator[str]:
    """An address of which nothing comes back: its queue of connections is full, or it takes them and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128 if answers_connections else 0)
        others = [] if answers_connections else [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            with suppress(BlockingIOError):
                other.connect(listening.getsockname())
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            for other in others:
                other.close()
