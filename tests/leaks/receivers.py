# SPDX-License-Identifier: Apache-2.0
"""Whom the marked secrets are for: a depot behind a proxy, a package index, a git server, webhooks, a mail server.

Each notes in ``used`` whose secret came, and was right: what nobody used proves nothing.
"""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, marks: Mapping[str, str], depot: Path) -> None:
        super().__init__(("0.0.0.0", 0), Handler)
        self.marks, self.depot = marks, depot
        self.used: set[str] = set()
        self.port = int(self.server_address[1])
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    """The first part of the path says who is asked; a whole address is asked of the proxy."""

    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.netloc and not (self._has("proxy", "Proxy-Authorization") or self._has("web", "Proxy-Authorization")):
            self._answer(407, b"", {"Proxy-Authenticate": "Basic"})
            return
        kind, _, rest = parts.path.lstrip("/").partition("/")
        rest += "index.html" if rest.endswith("/") else ""
        if kind not in ("depot", "index", "extra", "git") or not self._has(kind, "Authorization"):
            self._answer(401, b"who is there?", {"WWW-Authenticate": "Basic realm=x"})
        elif kind == "depot" and (self.server.depot / unquote(rest)).is_file():
            self._send(self.server.depot / unquote(rest))
        else:
            self._answer(404, b"no such file", {})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = urlsplit(self.path)
        marks, used = self.server.marks, self.server.used
        used |= {name for name in ("webhook", "wecom") if marks[name] in self.path}
        secret, query = marks["signing"].encode(), parse_qs(parts.query)
        stamp = query.get("timestamp", ["0"])[0]
        sign = base64.b64encode(hmac.digest(secret, f"{stamp}\n{marks['signing']}".encode(), "sha256")).decode()
        used |= {"signing"} if query.get("sign") == [sign] else set()
        if parts.path.startswith("/fails"):  # and repeats what it was asked
            self._answer(500, f"cannot serve {self.path} {json.dumps(body)[:80]}".encode(), {})
            return
        self._answer(200, b'{"errcode": 0, "errmsg": "ok"}', {"Content-Type": "application/json"})

    def _has(self, kind: str, header: str) -> bool:
        given = self.headers.get(header, "").partition(" ")[2]
        right = base64.b64decode(given).decode().partition(":")[2] == self.server.marks[kind]
        self.server.used |= {kind} if right else set()
        return right

    def _send(self, path: Path) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.send_header("Content-Type", "text/html" if path.suffix == ".html" else "application/octet-stream")
        self.end_headers()
        with path.open("rb") as file:
            while self.command == "GET" and (block := file.read(1 << 20)):
                self.wfile.write(block)

    def _answer(self, code: int, text: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


class Mailbox:
    """A mail server that asks for a password."""

    def __init__(self, marks: Mapping[str, str], used: set[str], port: int) -> None:
        self.received = 0

        def known(_: Any, __: Any, ___: Any, ____: Any, given: LoginPassword) -> AuthResult:
            right = given.password.decode() == marks["mail"]
            used.update({"mail"} if right else ())
            return AuthResult(success=right)

        options: dict[str, Any] = {"authenticator": known, "auth_require_tls": False, "auth_required": True}
        self.server = Controller(self, hostname="127.0.0.1", port=port, **options)
        self.server.start()

    async def handle_DATA(self, *_: Any) -> str:  # noqa: N802  (aiosmtpd calls it)
        self.received += 1
        return "250 OK"
