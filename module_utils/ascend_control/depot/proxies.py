# SPDX-License-Identifier: Apache-2.0
"""Through which proxy the control node asks a server: that of the operator's own environment, as for curl and git."""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def way(url: str) -> str:
    """Return how an address is asked for, in words for an error; nothing where no proxy is set."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or not parts.hostname:
        return ""
    if proxy_bypass(parts.hostname):
        return f" (directly, since no_proxy names {parts.hostname})"
    return f" (through the proxy {proxy}, of {_variable(parts.scheme)})"


def all_ways() -> str:
    """Return the proxies that are set, in words for an error of a program that asks several servers."""
    found = [f"{proxy}, of {_variable(scheme)}" for scheme, proxy in sorted(getproxies().items()) if scheme != "no"]
    return f" (through the proxies {'; '.join(found)})" if found else ""


def _variable(scheme: str) -> str:
    names = (f"{scheme}_proxy", f"{scheme}_PROXY".upper())
    return next((name for name in names if os.environ.get(name)), names[0])
