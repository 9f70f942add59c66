# SPDX-License-Identifier: Apache-2.0
"""The proxy through which the control node asks a server: that of the operator's environment, as for curl and git."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_of(url: str) -> str:
    """Return the address of the proxy through which ``url`` is asked for; empty for none."""
    parts = urlsplit(url)
    if not parts.hostname or _bypassed(parts.hostname, parts.port):
        return ""
    return _proxy(parts.scheme)


def way(url: str) -> str:
    """Return how an address is asked for, in words for an error; nothing if no proxy is set."""
    parts = urlsplit(url)
    proxy = _proxy(parts.scheme)
    if not proxy or not parts.hostname:
        return ""
    if _bypassed(parts.hostname, parts.port):
        return f" (directly, since no_proxy names {parts.hostname})"
    return f" (through the proxy {proxy}, from {_variable(parts.scheme)})"


def all_ways() -> str:
    """Return the proxies that are set, as text for an error of a program that asks several servers."""
    found = [f"{proxy}, from {_variable(scheme)}" for scheme, proxy in sorted(getproxies().items()) if scheme != "no"]
    return f" (through the proxies {'; '.join(found)})" if found else ""


def _proxy(scheme: str) -> str:
    proxies = getproxies()
    return proxies.get(scheme) or proxies.get("all") or ""


def _bypassed(host: str, port: int | None) -> bool:
    """Whether no_proxy names the host by its name, its ending, or (as in uv and pip) its network."""
    if proxy_bypass(f"{host}:{port}" if port else host):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _networks())


def _networks() -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for name in getproxies().get("no", "").split(","):
        try:
            found.append(ipaddress.ip_network(name.strip(), strict=False))
        except ValueError:
            continue
    return found


def _variable(scheme: str) -> str:
    names = (f"{scheme}_proxy", f"{scheme}_PROXY".upper(), "all_proxy", "ALL_PROXY")
    return next((name for name in names if os.environ.get(name)), names[0])
