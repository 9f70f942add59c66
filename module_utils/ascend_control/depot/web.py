# SPDX-License-Identifier: Apache-2.0
"""Ask web servers according to the operator's environment: its proxies, accounts and authorities. TLS is never off."""

from __future__ import annotations

import netrc
import os
import shlex
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import urllib3

from ...ascend.errors import AscendError
from . import proxies

CONNECT_S = 5.0
STALL_S = 15.0  # a connection that gives nothing for so long is given up
STALL = "UV_HTTP_TIMEOUT"  # the environment's own word for it, since uv asks the same servers
REDIRECTS = 10
# Which file has the authorities that are trusted in place of the system's: the first of these that is set.
AUTHORITIES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# The system's, where a Python that was built elsewhere does not look (openEuler, Kylin, Rocky; SUSE).
SYSTEMS = ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")
# Huawei's store gives some files only to whom its own pages sent there.
HUAWEIS, REFERER = (".myhuaweicloud.com", ".hiascend.com"), "https://www.hiascend.com/"


@dataclass(frozen=True)
class Sources:
    """Further sources of files: the operator's folder, the index of torch's +cpu builds, addresses of ``Web``."""

    incoming: Path | None = None
    extra_index: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)


class Web:
    """Connections to servers, several at once, each reused.

    ``addresses`` maps the beginnings of addresses to their replacements. ``accounts`` are "user:password" by host and
    port, as ``account_of`` finds them in addresses; netrc has others.
    """

    def __init__(self, addresses: Mapping[str, str] | None = None, accounts: Mapping[str, str] | None = None) -> None:
        self._addresses = dict(addresses or {})
        self._accounts = dict(accounts or {})
        self._managers: dict[str, urllib3.PoolManager] = {}
        self._timeout = urllib3.Timeout(connect=CONNECT_S, read=stall_s())

    def place(self, url: str) -> str:
        """Return the address to use for ``url``: a mirror's, if one replaces its beginning."""
        fit = max((start for start in self._addresses if url.startswith(start)), key=len, default="")
        return self._addresses[fit] + url[len(fit) :] if fit else url

    def opened(self, url: str, begin: int = 0) -> urllib3.BaseHTTPResponse:
        """Return a server's response, whatever its status, from byte ``begin`` on if the server supports that.

        Raises urllib3.exceptions.HTTPError, and AscendError for what no server can answer.
        """
        for _ in range(REDIRECTS):
            answer = self._manager(url).request(
                "GET",
                url,
                headers=self._headers(url, begin),
                redirect=False,
                retries=False,
                preload_content=False,
                enforce_content_length=True,
                timeout=self._timeout,
            )
            location = answer.get_redirect_location()
            if not location:
                return answer
            answer.drain_conn()
            target = urljoin(url, location)
            if url.startswith("https:") and not target.startswith("https:"):
                words = "a server redirects from https to http"
                raise AscendError(words, wanted=url, found=target, remedy=f"curl -ILv {shlex.quote(url)}")
            url = target
        raise AscendError("a server redirects in a loop", wanted=url, remedy=f"curl -ILv {shlex.quote(url)}")

    def _manager(self, url: str) -> urllib3.PoolManager:
        proxy = proxies.proxy_of(url)
        if proxy not in self._managers:
            self._managers[proxy] = _manager(proxy)
        return self._managers[proxy]

    def _headers(self, url: str, begin: int) -> dict[str, str]:
        headers = {"User-Agent": "ascend-fleet", "Accept-Encoding": "identity"}
        if begin:
            headers["Range"] = f"bytes={begin}-"
        parts = urlsplit(url)
        host = parts.hostname or ""
        account = account_of(url) or self._accounts.get(_server(url)) or _from_netrc(host)
        if account:
            headers |= urllib3.make_headers(basic_auth=account)
        if of_huawei(url):
            headers["Referer"] = REFERER
        return headers


def stall_s() -> float:
    """Return the seconds without a byte after which a connection is abandoned."""
    try:
        return float(os.environ.get(STALL) or STALL_S)
    except ValueError:
        return STALL_S


def authorities() -> str:
    """Return the file of authorities that the environment names; empty if the system's are trusted.

    Raises AscendError for a file that does not exist.
    """
    name = next((name for name in AUTHORITIES if os.environ.get(name)), "")
    path = os.environ.get(name, "")
    if path and not os.path.exists(path):
        raise AscendError(
            "the file of trusted CA certificates is missing",
            wanted=f"a file of certificates, as {name} says",
            found="no such file",
            where=path,
            remedy=f"unset {name}  # or put the certificates there",
        )
    return path


def of_huawei(url: str) -> bool:
    """Whether an address is in Huawei's store, which requires a referrer."""
    return (urlsplit(url).hostname or "").endswith(HUAWEIS)


def account_of(url: str) -> str:
    """Return the "user:password" of an address; empty if it has none."""
    parts = urlsplit(url)
    return f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""


def accounts_of(addresses: list[str]) -> dict[str, str]:
    """Return the accounts in addresses of indexes, which are also used for their files."""
    return {_server(address): account for address in addresses if (account := account_of(address))}


def without_account(url: str) -> str:
    """Return an address without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def reason(error: Exception) -> str:
    """Return what ended a connection, in words."""
    refused = isinstance(error, urllib3.exceptions.NewConnectionError)
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError) and not refused:
        return f"no connection within {CONNECT_S:g} s"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return f"no data for {stall_s():g} s"
    cause: BaseException = error
    while cause.__cause__:
        cause = cause.__cause__
    return str(cause) or type(cause).__name__


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or {'http': 80, 'https': 443}.get(parts.scheme, 0)}"


def _from_netrc(host: str) -> str:
    path = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")
    try:
        found = netrc.netrc(path).hosts.get(host)
    except (OSError, netrc.NetrcParseError):  # as curl: without one, a server that wants an account says so
        return ""
    return f"{found[0]}:{found[2]}" if found else ""


def _manager(proxy: str) -> urllib3.PoolManager:
    options: dict[str, Any] = {"num_pools": 16, "maxsize": 16, "ssl_context": _context()}
    if not proxy:
        return urllib3.PoolManager(**options)
    if urlsplit(proxy).scheme not in ("http", "https"):
        raise AscendError(
            "the proxy cannot be used to fetch files",
            wanted="http://host:port or https://host:port",
            found=proxy,
            where="https_proxy, http_proxy, all_proxy",
            remedy="export https_proxy=http://proxy:3128",
        )
    account = account_of(proxy)
    headers = urllib3.make_headers(proxy_basic_auth=account) if account else None
    return urllib3.ProxyManager(without_account(proxy), proxy_headers=headers, **options)


def _context() -> ssl.SSLContext:
    path = authorities()
    try:
        if path:
            folder = os.path.isdir(path)
            return ssl.create_default_context(cafile=None if folder else path, capath=path if folder else None)
        context = ssl.create_default_context()
        if not ssl.get_default_verify_paths().cafile:
            for bundle in filter(os.path.isfile, SYSTEMS):
                context.load_verify_locations(bundle)
        return context
    except ssl.SSLError as error:
        raise AscendError(
            "cannot read the trusted CA certificates",
            wanted="certificates in PEM",
            found=str(error),
            where=path,
            remedy=f"openssl x509 -in {path} -noout -subject",
        ) from error
