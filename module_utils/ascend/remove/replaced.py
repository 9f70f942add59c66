# SPDX-License-Identifier: Apache-2.0
"""Whether nobody needs a CANN that another one replaces; unlike in a removal, nobody was asked about files in it."""

from __future__ import annotations

import os
from typing import Iterator

from .. import files, mounts
from ..cann.layout import Tree
from ..errors import AscendError
from ..node import Node
from ..text import listed
from . import belongings, in_use


def require_nobodys(node: Node, tree: Tree, version: str) -> None:
    """Raise AscendError if users have files in a version, or use it."""
    home = tree.home(version)
    path = tree.shown(home)
    words = next(_not_ours(node, tree, version), "")
    if words:
        raise AscendError(
            "CANN %s cannot be replaced: users' files, mounts or processes are in it" % version,
            wanted="no users' files, mounts or processes in it",
            found=words,
            where=path,
            remedy="move the files, unmount, or wait for the processes; then run it again; or set cann_cross: beside",
        )


def _not_ours(node: Node, tree: Tree, version: str) -> Iterator[str]:
    home = tree.home(version)
    path = tree.shown(home)
    found = belongings.of_cann(tree.state_dir, home, version) if files.names(home) else []
    if found:
        yield "files of users: %s" % listed(found)
    mounted = mounts.within(mounts.read(node.path("/proc/self/mountinfo")), os.path.realpath(home))
    if mounted:
        yield "mounted there: %s" % listed(mounted)
    for user in in_use.users(node, [path]).get(path, []):
        yield "pid %(pid)d of %(user)s: %(command)s" % user
