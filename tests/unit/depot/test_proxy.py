# SPDX-License-Identifier: Apache-2.0
"""A node asks the depot directly, or through the one proxy that a variable names; real servers say who was asked."""

from __future__ import annotations

import base64
import hashlib
import shlex
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import depot_way
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile, take
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import download, proxies
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.web import Web

CONTENT = b"a package" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()
VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")


class Server(NamedTuple):
    """A server, what it was asked for, and the accounts that came along."""

    address: str
    asked: list[str]
    accounts: list[str]


def served(account: str = "") -> Iterator[Server]:
    """A depot, or a proxy that answers for it: then it is asked for whole addresses. ``account`` is wanted of both."""
    asked: list[str] = []
    accounts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            name = "Proxy-Authorization" if self.path.startswith("http") else "Authorization"
            accounts.append(base64.b64decode((self.headers.get(name) or "").partition(" ")[2]).decode())
            status = 200 if accounts[-1] == account else 407 if self.path.startswith("http") else 401
            if status == 200 and not self.path.endswith("x.run"):
                status = 404
            self.send_response(status)
            self.end_headers()
            if status == 200 and self.command == "GET":
                self.wfile.write(CONTENT)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the base class)
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield Server(f"http://127.0.0.1:{server.server_port}", asked, accounts)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def depot() -> Iterator[Server]:
    yield from served()


@pytest.fixture
def private_depot() -> Iterator[Server]:
    yield from served("fleet:geh@im/99")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    # urllib keeps the proxies of the process's first request.
    monkeypatch.setattr(urllib.request, "_opener", None)
    for name in (*VARIABLES, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield from served("alice:geheim99")


@pytest.fixture
def session(proxy: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The proxy is that of the session."""
    for name in VARIABLES:
        monkeypatch.setenv(name, proxy.address)
    return proxy


def file(address: str, way: str = "", name: str = "x.run") -> DepotFile:
    return DepotFile(f"{address}/{name}", SHA256, len(CONTENT), way)


def with_account(server: Server, account: str) -> str:
    return server.address.replace("://", f"://{account}@")


def test_the_sessions_proxy_is_not_asked(depot: Server, session: Server, tmp_path: Path) -> None:
    assert Path(take(file(depot.address), str(tmp_path))).read_bytes() == CONTENT
    assert (depot.asked, session.asked) == (["/x.run"], [])


def test_the_variables_proxy_is_asked_whatever_the_session_says(
    depot: Server, proxy: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    taken = take(file(depot.address, with_account(proxy, "alice:geheim99")), str(tmp_path))
    assert Path(taken).read_bytes() == CONTENT
    assert (depot.asked, proxy.asked, proxy.accounts) == ([], [f"{depot.address}/x.run"], ["alice:geheim99"])


def test_a_proxy_that_refuses_is_named_with_the_status_and_without_its_password(
    depot: Server, proxy: Server, tmp_path: Path
) -> None:
    with pytest.raises(AscendError) as caught:
        take(file(depot.address, with_account(proxy, "alice:wrong99geheim")), str(tmp_path))
    error = caught.value
    assert error.found.startswith("HTTP 407 ")
    assert error.where == f"requested through the proxy {with_account(proxy, 'alice:***')} (ascend_depot_proxy)"
    assert "wrong99geheim" not in str(error)
    assert depot.asked == []


def test_a_depot_with_a_password_is_asked_with_it(private_depot: Server, proxy: Server, tmp_path: Path) -> None:
    assert take(file(with_account(private_depot, "fleet:geh%40im%2F99")), str(tmp_path / "a"))
    assert private_depot.accounts == ["fleet:geh@im/99"]
    with pytest.raises(AscendError, match=r"HTTP 401 .*requested directly, without a proxy") as caught:
        take(file(with_account(private_depot, "fleet:wrong99geheim")), str(tmp_path / "b"))
    assert "wrong99geheim" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://a:geheim99:x/", "http://[::1/geheim99", "http://127.0.0.1:1/x y", "x://y"])
def test_odd_addresses_are_errors_of_the_operators(address: str, tmp_path: Path) -> None:
    with pytest.raises(AscendError, match="the depot did not serve a file"):
        take(DepotFile(address, SHA256, len(CONTENT)), str(tmp_path))


@pytest.mark.parametrize("way", ["proxy.corp.test:3128", "socks5://127.0.0.1:1080", "http://"])
def test_a_proxy_that_is_none_is_refused(depot: Server, way: str, tmp_path: Path) -> None:
    with pytest.raises(AscendError, match="ascend_depot_proxy is not a proxy's address"):
        take(file(depot.address, way), str(tmp_path))


@pytest.mark.parametrize("account", ["", "alice:geheim99"])
def test_the_remedys_command_goes_the_same_way(
    depot: Server, session: Server, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if account:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
    way = with_account(session, account) if account else ""
    done = subprocess.run(
        shlex.split(depot_way.command(file(depot.address).url, way)), capture_output=True, check=False
    )
    assert done.returncode == 0
    assert (len(depot.asked), len(session.asked)) == ((0, 1) if account else (1, 0))


@pytest.mark.parametrize("account", ["", "alice:geheim99"])
def test_uv_goes_the_same_way(depot: Server, session: Server, account: str, tmp_path: Path) -> None:
    """Its environment is made anew: what the session has does not reach it."""
    uv = shutil.which("uv")
    assert uv
    way = with_account(session, account) if account else ""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "UV_NO_CONFIG": "1", **depot_way.environment(way)}
    argv = [uv, "pip", "install", "--no-index", "--find-links", f"{depot.address}/page.html", "--target", str(tmp_path)]
    run([*argv, "--no-cache", "nothing-of-this-name"], 60, env=environment)
    assert (bool(depot.asked), bool(session.asked)) == ((False, True) if account else (True, False))


def test_the_control_node_asks_as_its_operator_does_and_says_so(
    depot: Server, proxy: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", with_account(proxy, "alice:wrong99geheim"))
    file = download.File(f"{depot.address}/x.run", SHA256, "x.run")
    with pytest.raises(AscendError, match=r"HTTP 407.*\(through the proxy http://alice:\*\*\*@.*from http_proxy\)"):
        download.download([file], tmp_path, Web(), silent(), "a file")
    assert depot.asked == []
    assert "alice:" in proxies.all_ways()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert proxies.way(file.url) == " (directly, since no_proxy names 127.0.0.1)"
    download.download([file], tmp_path, Web(), silent(), "a file")
    assert depot.asked == ["/x.run"]


@pytest.mark.parametrize("names", ["127.0.0.1", "127.0.0.0/8", "example.org, 127.0.0.0/30"])
def test_no_proxy_names_hosts_and_networks(proxy: Server, monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    monkeypatch.setenv("all_proxy", proxy.address)
    assert proxies.proxy_of("https://127.0.0.1/x") == proxy.address
    monkeypatch.setenv("no_proxy", names)
    assert proxies.proxy_of("https://127.0.0.1:8443/x") == ""
    assert proxies.proxy_of("https://192.0.2.1/x") == proxy.address


def test_without_proxies_nothing_is_said(proxy: Server) -> None:
    assert proxy.asked == []
    assert urllib.request.getproxies() == {}
    assert (proxies.way("http://x/y"), proxies.all_ways()) == ("", "")
