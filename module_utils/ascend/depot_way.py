# SPDX-License-Identifier: Apache-2.0
"""The way from a node to the depot: directly, or through the proxy that ``ascend_depot_proxy`` names.

A session's proxies (http_proxy, no_proxy ...) are for other servers and ignored for a node's downloads: here, in uv,
and in the commands of errors.
"""

from __future__ import annotations

import base64
import shlex
import urllib.error
import urllib.request
from typing import Any, Dict, Tuple
from urllib.parse import unquote, urlsplit, urlunsplit

from .errors import AscendError


def opened(url: str, proxy: str, timeout_s: float, offset: int = 0) -> Any:
    """Return the open response of an address, from byte ``offset`` on if the server supports ranges (status 206).

    A name and a password in the address are sent.

    Raises OSError, ValueError or http.client.HTTPException, and AscendError for something that is not a proxy.
    """
    bare, account = _without_account(url)
    request = urllib.request.Request(bare, headers={"Authorization": account} if account else {})
    if offset:
        request.add_header("Range", "bytes=%d-" % offset)
    if proxy and request.type in ("http", "https"):
        place, account = _without_account(proxy)
        parts = urlsplit(place)
        if parts.scheme != "http" or not parts.hostname:
            raise AscendError(
                "ascend_depot_proxy is not a proxy's address",
                wanted="http://host:port",
                found=proxy,
                remedy="set ascend_depot_proxy in the inventory; leave it empty to connect to the depot directly",
            )
        request.set_proxy(parts.netloc, "http")
        if account:
            request.add_unredirected_header("Proxy-Authorization", account)
    # No proxies but that one, whatever the session's environment says.
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout_s)


def environment(proxy: str) -> Dict[str, str]:
    """Return the variables that make uv use the same way, given that its environment has no others."""
    return {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy} if proxy else {}


def command(url: str, proxy: str) -> str:
    """Return the command to type on the node that uses the same way."""
    way = "--noproxy '' --proxy %s" % shlex.quote(proxy) if proxy else "--noproxy '*'"
    return "curl -fI %s %s" % (way, shlex.quote(url))


def words(proxy: str) -> str:
    return (
        "requested through the proxy %s (ascend_depot_proxy)" % proxy
        if proxy
        else "requested directly, without a proxy"
    )


def is_missing(error: Exception) -> bool:
    """Whether a server answered that it does not have a file; it may have the others."""
    return isinstance(error, urllib.error.HTTPError) and error.code in (403, 404, 410)


def error_text(error: Exception) -> str:
    """Return an error as text, with the status if a server gave one."""
    if isinstance(error, urllib.error.HTTPError):
        return "HTTP %d %s" % (error.code, error.reason)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(reason) or type(reason).__name__


def _without_account(url: str) -> Tuple[str, str]:
    """Return an address without its name and password, and these as the value of a header; empty if it has none."""
    parts = urlsplit(url)
    account, at, place = parts.netloc.rpartition("@")
    if not at or parts.scheme not in ("http", "https"):
        return url, ""
    name, _, password = account.partition(":")
    known = "%s:%s" % (unquote(name), unquote(password))
    return urlunsplit(parts._replace(netloc=place)), "Basic " + base64.b64encode(known.encode("utf-8")).decode("ascii")
