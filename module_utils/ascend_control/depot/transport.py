# SPDX-License-Identifier: Apache-2.0
"""How nodes get the files of the depot: ``depot_transport``."""

from __future__ import annotations

import re

from ...ascend.errors import AscendError

# Through the connection by which Ansible works on a node; from a mount; from a web server; from other nodes.
SSH, PATH, HTTP, SWARM = "ssh", "path", "http", "swarm"
TRANSPORTS = (SSH, PATH, HTTP, SWARM)
SENT = (SSH, SWARM)  # what nodes do not give each other goes through the connection
_ADDRESSES = {PATH: re.compile(r"file:///.+"), HTTP: re.compile(r"https?://[^/]+.*")}
_WANTED = {PATH: "file:///the/mount as the nodes see it", HTTP: "http://host:port or https://host of your web server"}


def address(transport: str, url: str, folder: str) -> str:
    """Return the prefix of a file's path in the depot, as nodes request it.

    ``url`` is ``ascend_depot_url``; a mount without one is at the depot's ``folder``. Raises AscendError.
    """
    if transport in SENT:
        return f"{SSH}:"
    if transport == PATH and not url:
        return f"file://{folder}"
    if not _ADDRESSES[transport].fullmatch(url):
        raise AscendError(
            f"ascend_depot_url is not an address for depot_transport: {transport}",
            wanted=_WANTED[transport],
            found=repr(url),
            where="the inventory, or -e",
            remedy="correct ascend_depot_url, or remove it to send the files through SSH",
        )
    return url.rstrip("/")
