# SPDX-License-Identifier: Apache-2.0
"""Which package indexes the control node asks: uv's settings, else pip's; and how uv, pip and git learn of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from .web import CONNECT_S, STALL, STALL_S, accounts_of, authorities

# Whoever sets one of these tells uv everything; the first two name the index that takes the place of PyPI.
OF_UV = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX")


OF_PIP = ("index-url", "extra-index-url", "find-links")


class Indexes(NamedTuple):
    """The index that replaces PyPI ("" for the one in uv's own files), others, and folders of wheels."""

    default: str = ""
    others: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    of_uv: bool = False

    @property
    def accounts(self) -> dict[str, str]:
        """The accounts in their addresses, as ``Web`` takes them."""
        return accounts_of([self.default, *self.others])


def indexes() -> Indexes:
    """Return what the operator set.

    The order: variables of uv; of pip (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS); pip's files. uv reads its
    own files if none of these names an index.
    """
    if any(os.environ.get(name) for name in OF_UV):
        default = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL") or ""
        others = f"{os.environ.get('UV_INDEX', '')} {os.environ.get('UV_EXTRA_INDEX_URL', '')}".split()
        return Indexes(_address(default), tuple(map(_address, others)), of_uv=True)
    configured = _of_pip()
    folders = (place for place in configured.get("find-links", "").split() if "://" in place or Path(place).is_dir())
    others = [place for place in configured.get("extra-index-url", "").split() if _is_there(place)]
    return Indexes(configured.get("index-url", ""), tuple(others), tuple(folders))


def _address(index: str) -> str:
    """Return the address of one of uv's indexes, which may have a name: name=https://..."""
    return re.sub(r"^[\w.-]+=(?=\w+:)", "", index)


def _of_pip() -> dict[str, str]:
    """Return pip's configuration for a download; variables override files.

    The variables are read here, so they count even if this Python has no pip, which alone knows its files.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False, cwd="/"
    )
    found = {}
    for section in ("global", "download"):
        for name, value in re.findall(rf"^{section}\.([a-z-]+)='(.*)'$", done.stdout, re.MULTILINE):
            found[name] = value.replace("\\n", " ")
    variables = {name: os.environ.get(f"PIP_{name}".upper().replace("-", "_"), "") for name in OF_PIP}
    return {**found, **{name: value for name, value in variables.items() if value}}


def _is_there(place: str) -> bool:
    """Whether a folder that is named as an index exists, because pip skips a missing one."""
    parts = urlsplit(place)
    return parts.scheme != "file" or Path(parts.path).is_dir()


def environment(found: Indexes) -> dict[str, str]:
    """Return the environment of uv, pip and git: the same indexes, authorities and time limits for all of them."""
    given = {STALL: f"{STALL_S:g}", "UV_HTTP_CONNECT_TIMEOUT": f"{CONNECT_S:g}", "UV_HTTP_RETRIES": "1"}
    given |= {"PIP_DEFAULT_TIMEOUT": f"{STALL_S:g}", "PIP_RETRIES": "1", "GIT_TERMINAL_PROMPT": "0"}
    given["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip does it; the lock's sums say which files are right
    trusted = authorities()
    if trusted:
        given |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "GIT_SSL_CAINFO"), trusted)
    else:
        # The system's authorities, as the downloads trust them: else uv has a list of its own.
        given |= {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}
    # One of the two tools has its own variables; the other is given the same.
    others = " ".join(found.others)
    same = {"PIP_INDEX_URL": found.default, "PIP_EXTRA_INDEX_URL": others}
    if not found.of_uv:
        same = {"UV_DEFAULT_INDEX": found.default, "UV_INDEX": others, "UV_FIND_LINKS": ",".join(found.folders)}
    return {**given, **os.environ, **{name: value for name, value in same.items() if value}}
