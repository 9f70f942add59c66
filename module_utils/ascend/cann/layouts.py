# SPDX-License-Identifier: Apache-2.0
"""The two layouts of CANN, as data: what its installers put under which names, below the place that they are given.

The code that reads, installs, repairs and removes CANN uses these; a release says which one its CANN has (release.yml).
"""

from __future__ import annotations

import os
from typing import NamedTuple, Tuple

from ..places import BESIDE

# Without these no program of the toolkit runs; the others (aoe, ncs, test-ops ...) may be left out by --whitelist.
PARTS = ("runtime", "compiler", "hccl", "opp", "toolkit")

# What torch-npu loads, relative to <arch>-linux/lib64.
LIBRARIES = ("libascendcl.so", "libhccl.so", "libge_runner.so", "libgraph.so", "libacl_op_compiler.so")


class Layout(NamedTuple):
    """Paths are relative to the place (``folder``, ``link``, ``shared``) or to a version's folder.

    ``folder`` is before a version's name; ``link`` points to the latest one; sessions go through ``shared``. ``parts``
    have a ``version.info`` each, and ``libraries`` are the toolkit's own of LIBRARIES. ``kernels_part`` is that of the
    kernels ("" for none), ``kernels_record`` what is written of their package in ``<arch>-linux`` ("" for nothing).
    ``kernels`` and ``kernels_log`` name the package of a chip and its log. ``uninstall`` and ``uninstall_kernels`` are
    scripts, where ``{arch}`` is the folder ``<arch>-linux``. ``one_link``: ``link`` is one link, which anybody can make
    again; otherwise it is a folder of CANN's own making. ``apart``: Huawei has every CANN of another layout uninstalled
    before one of this is installed into the same place. ``sources``: the kernels' installer finds its toolkit by the
    variables of the toolkit's set_env.sh. ``checks``: a package looks at itself before its installation (``--check``).
    """

    name: str
    folder: str
    link: str
    shared: Tuple[str, ...]
    parts: Tuple[str, ...]
    libraries: Tuple[str, ...]
    kernels: str
    kernels_log: str
    kernels_part: str
    kernels_record: str
    uninstall: str
    uninstall_kernels: str
    one_link: bool
    apart: bool
    sources: bool
    checks: bool


# 5.1 to 8.3: Huawei's installation guides for 7.0.0 and 8.0.RC2.
OLDER = Layout(
    name="ascend-toolkit",
    folder="ascend-toolkit/",
    link="ascend-toolkit/latest",
    shared=(
        "ascend-toolkit",
        "ascend-toolkit/set_env.sh",
        "ascend-toolkit/latest",
        "ascend-toolkit/latest/version.cfg",
    ),
    parts=PARTS,
    libraries=LIBRARIES,
    kernels="kernels-%s",
    kernels_log="ascend_kernels_%s_install.log",
    kernels_part="opp_kernel",
    kernels_record="",
    uninstall="{arch}/script/uninstall.sh",
    uninstall_kernels="opp_kernel/script/uninstall.sh",
    one_link=False,
    apart=False,
    sources=True,
    checks=False,
)
# From 8.5 on: the installation guide for 8.5.0, and what users of 8.5.0 and 9.0.0 show of their nodes.
LATER = Layout(
    name="cann",
    folder="cann-",
    link="cann",
    shared=("ascend-toolkit", "ascend-toolkit/set_env.sh"),
    parts=("runtime",),  # that of the older ones which still has its name
    libraries=tuple(name for name in LIBRARIES if name != "libhccl.so"),  # seen in 9.x: it comes with the ops
    kernels="%s-ops",
    kernels_log="ascend_ops_%s_install.log",
    kernels_part="",
    kernels_record="ascend_ops_install.info",
    uninstall="{arch}/script/uninstall.sh",
    uninstall_kernels="{arch}/script/ops_uninstall.sh",
    one_link=True,
    apart=True,
    sources=False,
    checks=True,
)
LAYOUTS = {layout.name: layout for layout in (OLDER, LATER)}


class Place(NamedTuple):
    """Where versions of one layout are: ``base`` is their installers' ``--install-path``."""

    base: str
    layout: Layout

    @property
    def link(self) -> str:
        """The link to this place's latest version."""
        return os.path.join(self.base, self.layout.link)

    @property
    def shared(self) -> Tuple[str, ...]:
        """The folders and files that this place's versions share, and through which sessions go.

        CANN's root may be somebody else's.
        """
        own = [self.base] if os.path.basename(self.base) == BESIDE else []
        return (*own, *(os.path.join(self.base, path) for path in self.layout.shared))

    def home(self, version: str) -> str:
        """Return the folder of a version."""
        return os.path.join(self.base, self.layout.folder + version)


def version_of(home: str) -> str:
    """Return the version of a folder's path, of either layout."""
    name = os.path.basename(home)
    return name[len(LATER.folder) :] if name.startswith(LATER.folder) else name


def place_of(root: str, layout: str, beside: bool) -> Place:
    """Return where a layout's CANN is put when installed into a root, or beside what is there."""
    return Place(os.path.join(root, BESIDE) if beside else root, LAYOUTS[layout])
