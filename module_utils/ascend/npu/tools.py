# SPDX-License-Identifier: Apache-2.0
"""Find the driver's tools, because a session without a profile does not have them on its PATH."""

from __future__ import annotations

import os
from typing import Iterator, Optional

from .. import files
from ..node import Node

INSTALL_INFO = "/etc/ascend_install.info"
FOLDER = "/usr/local/Ascend/driver/tools"
PLACES = ("/usr/local/bin", "/usr/local/sbin", FOLDER)


def find(node: Node, name: str) -> Optional[str]:
    """Return a tool's path, or None; PATH comes first, then the folders of the driver's installer."""
    return node.find(name) or next(filter(files.is_program, _places(node, name)), None)


def _places(node: Node, name: str) -> Iterator[str]:
    root = files.pairs(files.text(node.path(INSTALL_INFO))).get("Driver_Install_Path_Param", "")
    if os.path.isabs(root):
        yield node.path(os.path.join(root, "driver/tools", name))
    yield from (node.path(os.path.join(place, name)) for place in PLACES)
