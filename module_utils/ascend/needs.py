# SPDX-License-Identifier: Apache-2.0
"""What a node needs from its distribution, detected by programs and files, whatever the packages say.

The packages' names are in roles/system/vars, by package manager.
"""

from __future__ import annotations

import glob
from typing import List, NamedTuple, Optional, Tuple

from . import files
from .node import Node

MANAGERS = ("apt-get", "dnf", "yum")  # in this order: dnf's systems have a yum as well
_CACHE = "/etc/ld.so.cache"
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/lib/*-linux-gnu", "/usr/lib/*-linux-gnu")


class Need(NamedTuple):
    """Something that must exist: all of the ``programs``, one of the ``headers`` (patterns), the ``library``.

    Without it none of the ``steps`` (names of the plan's steps) starts; if there are no such steps, it is only a
    remark.
    """

    name: str
    why: str
    steps: Tuple[str, ...] = ()
    programs: Tuple[str, ...] = ()
    headers: Tuple[str, ...] = ()
    library: str = ""


_CANN = ("toolkit", "kernels")
NEEDS = (
    Need("bash", "CANN's installers and ascend-env are bash scripts", (*_CANN, "ascend-env"), ("bash",)),
    Need("tar", "CANN's installers unpack themselves with it", _CANN, ("tar",)),
    Need("gzip", "CANN's installers unpack themselves with it", _CANN, ("gzip",)),
    Need("coreutils", "CANN's installers split themselves into their parts with it", _CANN, ("head", "dd", "cut")),
    Need("libstdc++", "torch and CANN are linked with it", ("environment",), library="libstdc++.so.6"),
    Need("unzip", "parts of some CANN versions are unpacked with it", programs=("unzip",)),
    Need(
        "g++",
        "CANN's compiler of operators (TBE) needs its headers, and DeepSpeed builds extensions with it",
        programs=("g++",),
        headers=("/usr/include/c++/*/type_traits",),
    ),
    Need("libaio", "DeepSpeed's async_io (offloading to disks) is built with it", headers=("/usr/include/libaio.h",)),
)


def lacking(node: Node) -> List[str]:
    """Return the names of what the node lacks, in the order of NEEDS."""
    return [need.name for need in NEEDS if not _is_met(node, need)]


def manager(node: Node) -> Optional[str]:
    """Return the program that installs the distribution's packages; None for an unknown one."""
    return next((name for name in MANAGERS if node.find(name)), None)


def _is_met(node: Node, need: Need) -> bool:
    if not all(node.find(program) for program in need.programs):
        return False
    if need.headers and not any(glob.glob(node.path(pattern)) for pattern in need.headers):
        return False
    return not need.library or _linked(node, need.library)


def _linked(node: Node, library: str) -> bool:
    """Whether the loader finds it, in its cache or in its default folders."""
    if "\0%s\0" % library in (files.text(node.path(_CACHE)) or ""):
        return True
    return any(glob.glob(node.path("%s/%s" % (folder, library))) for folder in _LIBRARIES)
