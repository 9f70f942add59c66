# SPDX-License-Identifier: Apache-2.0
"""Receivers of notifications on 127.0.0.1 that answer as the services do, also when they refuse."""

from __future__ import annotations

import base64
import hmac
import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "tok-5e1f0c9a77d24b7f"
SECRET = "SEC-8d1be6f20c4a4c55"
HOUR = 3600

Answer = tuple[int, str, dict[str, str]]
Query = dict[str, list[str]]


def _json(code: int, status: int = 200, **fields: Any) -> Answer:
    name = fields.pop("name", "errcode")
    return status, json.dumps({name: code, **fields}), {"Content-Type": "application/json"}


def feishu(body: dict[str, Any], query: Query) -> Answer:
    """A custom bot with signature verification."""
    key = f"{body.get('timestamp')}\n{SECRET}".encode()
    wanted = base64.b64encode(hmac.digest(key, b"", "sha256")).decode()
    if not _within(body.get("timestamp", "0"), 1) or body.get("sign") != wanted:
        return _json(19021, name="code", msg="sign match fail or timestamp is not within one hour from current time")
    rows = body["content"]["post"]["zh_cn"]["content"]
    if body["msg_type"] != "post" or any(cell["tag"] not in ("text", "a") for row in rows for cell in row):
        return _json(9499, name="code", msg="Bad Request")
    return _json(0, name="code", StatusCode=0, StatusMessage="success", msg="success", data={})


def dingtalk(body: dict[str, Any], query: Query) -> Answer:
    """A custom robot with a signature and the keyword ascend-fleet."""
    stamp, sign = query.get("timestamp", ["0"])[0], query.get("sign", [""])[0]
    wanted = base64.b64encode(hmac.digest(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), "sha256")).decode()
    if query.get("access_token") != [TOKEN]:
        return _json(300005, errmsg="token is not exist")
    if not _within(stamp, 1000) or sign != wanted:
        return _json(310000, errmsg="sign not match")
    if body["msgtype"] != "text" or "ascend-fleet" not in body["text"]["content"]:
        return _json(310000, errmsg="keywords not in content")
    return _json(0, errmsg="ok")


def wecom(body: dict[str, Any], query: Query) -> Answer:
    """A group robot."""
    if query.get("key") != [TOKEN]:
        return _json(93000, errmsg=f"invalid webhook url, hint: [{query.get('key')}]")
    if body["msgtype"] != "text" or len(body["text"]["content"].encode()) > 2048:
        return _json(40058, errmsg="text.content exceed max length 2048. invalid Request Parameter")
    return _json(0, errmsg="ok")


def slack(body: dict[str, Any], query: Query) -> Answer:
    """An incoming webhook."""
    text = body.get("text")
    if not isinstance(text, str) or not text or set(body) - {"text", "mrkdwn"}:
        return 400, "invalid_payload", {}
    return 200, "ok", {}


def anything(body: dict[str, Any], query: Query) -> Answer:
    return 204, "", {}


def broken(body: dict[str, Any], query: Query) -> Answer:
    return 500, "<html>Internal Server Error</html>", {"Content-Type": "text/html"}


def page(body: dict[str, Any], query: Query) -> Answer:
    """Such as a proxy's page to log in, with HTTP 200."""
    return 200, "<html>Log in</html>", {"Content-Type": "text/html"}


def moved(body: dict[str, Any], query: Query) -> Answer:
    return 302, "", {"Location": "http://127.0.0.1:9/elsewhere"}


def repeating(body: dict[str, Any], query: Query) -> Answer:
    """Refuses, and repeats the token."""
    return _json(93000, errmsg=f"invalid key {TOKEN}")


def _within(stamp: Any, unit: int) -> bool:
    return isinstance(stamp, str) and stamp.isdecimal() and abs(time.time() - int(stamp) / unit) < HOUR


KINDS = {
    function.__name__: function
    for function in (feishu, dingtalk, wecom, slack, anything, broken, page, moved, repeating)
}


def exposed() -> list[str]:
    """The command lines of this machine's processes that hold a secret."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_text(errors="replace"))
        except OSError:
            continue  # it ended
    return [line for line in lines if TOKEN in line or SECRET in line]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    received: list[tuple[str, str, dict[str, Any]]]
    exposed: list[str]
    closing: threading.Event

    def handle_error(self, *_: Any) -> None:
        """A client that does not trust the certificate hangs up."""


class _Handler(BaseHTTPRequestHandler):
    """The first part of the path says how to answer."""

    server: _Server

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.exposed.extend(exposed())
        parts = urlsplit(self.path)
        kind = parts.path.split("/")[1]
        body = json.loads(raw)
        self.server.received.append((kind, self.headers["Content-Type"], body))
        if kind == "drip":
            self._drip()
            return
        status, text, headers = KINDS[kind](body, parse_qs(parts.query))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _drip(self) -> None:
        """Answer without an end, a byte at a time: no single read waits for long."""
        self.send_response(200)
        self.end_headers()
        try:
            while not self.server.closing.wait(0.1):
                self.wfile.write(b" ")
                self.wfile.flush()
        except OSError:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


class Receivers:
    """An HTTP server, the same with TLS that nobody trusts, one that never answers, and a port where nobody listens."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.received: list[tuple[str, str, dict[str, Any]]] = []
        self.exposed: list[str] = []  # command lines that held a secret while a request was under way
        self._closing = threading.Event()
        self._servers = [self._server(), self._server()]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        secure = self._servers[1]
        # The handshake belongs to the connection's own thread.
        secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
        self._silent = socket.create_server(("127.0.0.1", 0))
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self.refused = f"http://127.0.0.1:{unused.getsockname()[1]}/hook/{TOKEN}"
        self.hangs = f"http://127.0.0.1:{self._silent.getsockname()[1]}/hook/{TOKEN}"
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def _server(self) -> _Server:
        server = _Server(("127.0.0.1", 0), _Handler)
        server.received, server.exposed = self.received, self.exposed
        server.closing = self._closing
        return server

    def url(self, kind: str, rest: str = f"/hook/{TOKEN}", secure: bool = False) -> str:
        port = self._servers[int(secure)].server_address[1]
        return f"http{'s' if secure else ''}://127.0.0.1:{port}/{kind}{rest}"

    def of(self, kind: str) -> dict[str, Any]:
        """The one body that was sent to this kind."""
        (body,) = [body for name, content_type, body in self.received if name == kind]
        return body

    def close(self) -> None:
        self._closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._silent.close()
