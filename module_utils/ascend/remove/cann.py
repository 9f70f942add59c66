# SPDX-License-Identifier: Apache-2.0
"""Remove a CANN version with its own uninstaller, and point ``latest`` to one that remains."""

from __future__ import annotations

import errno
import functools
import os
import re
import shutil
from contextlib import suppress
from typing import Any, Callable, List, Optional

from .. import atomic, files
from ..cann import install as cann_install, layout as cann_layout, receipts as cann_receipts
from ..cann.layouts import Place
from ..change import fault_points, origin
from ..command import Result
from ..errors import AscendError
from ..node import Node
from ..places import Places
from ..versions import compare_cann
from . import survey

Run = Callable[..., Result]


class Uninstallers:
    """The uninstallers of one node; ``notes`` are their messages for the operator."""

    def __init__(self, node: Node, places: Places, python_bin: str, run: Run, timeout_s: int) -> None:
        self.root = node.path(places.cann_root)
        self.state_dir = node.path(places.state_dir)
        self.tree = cann_layout.Tree(self.root, self.state_dir, node.root)
        self.places = {"root": self.root, "state_dir": self.state_dir, "tmp_dir": node.path(places.tmp_dir)}
        self.places["cache_dir"] = node.path(places.cache_dir)
        self.python_bin = python_bin
        self.run = run
        self.timeout_s = timeout_s
        self.notes: List[str] = []

    def remove(self, version: str, path: str) -> None:
        """Remove a toolkit and its kernels. Raises AscendError.

        If the uninstaller was itself interrupted, or leaves something, the folder is removed, because its content came
        with the version.
        """
        home = self.tree.home(version)
        try:
            if files.names(home):
                cann_install.uninstall(self._package("toolkit", version), self.run)
        except AscendError as error:
            self.notes.append(
                "CANN %s: its folder %s was removed, because its uninstaller failed: %s" % (version, path, error)
            )
        fault_points.reached("remove.uninstalled")
        aside = os.path.join(os.path.dirname(home), survey.REMOVING + os.path.basename(home))
        with atomic.removing(path, "cannot remove what CANN's uninstaller left", "no files of CANN %s" % version):
            if os.path.lexists(home):
                atomic.remove(aside)
                shutil.rmtree(_renamed(home, aside))
            self._drop_manifests(version)
            origin.keep(self.state_dir, self.tree.names())

    def remove_kernels(self, version: str, chip: str) -> None:
        """Remove the kernels that were put beside somebody else's toolkit. Raises AscendError."""
        cann_install.uninstall(self._package("kernels", version, chip), self.run)

    def lead_latest(self, wanted_home: Optional[str]) -> None:
        """If ``latest`` points to no version, point it to a remaining one: that of ``wanted_home``, or the newest.

        Each place has its own; the place beside is removed with its last version.
        """
        for place in self.tree.places():
            versions = [version for version in self.tree.versions(place) if files.names(place.home(version))]
            if versions and self.tree.latest(place).version not in versions:
                self._lead(versions, wanted_home)
            if not versions and place.base != self.root:
                self._clear(place)
            if not versions and place.layout.one_link and os.path.islink(place.link) and not os.path.exists(place.link):
                os.unlink(place.link)

    def _clear(self, place: Place) -> None:
        """Remove what installers left beside for their sessions, but no file of others."""
        with atomic.removing(self.tree.shown(place.base), "cannot remove what CANN's uninstaller left"):
            for path in (place.link, os.path.join(place.base, "ascend-toolkit", "latest"), *place.shared):
                if path == place.base:
                    continue  # somebody may have led it to a disk of its own
                if os.path.islink(path) or os.path.isfile(path):
                    os.unlink(path)
            for path in (os.path.join(place.base, "ascend-toolkit"), place.base):
                with suppress(OSError):  # absent, or others have something in it
                    os.rmdir(path)

    def _lead(self, versions: List[str], wanted_home: Optional[str]) -> None:
        known = [version for version in versions if self.tree.shown(self.tree.home(version)) == wanted_home]
        version = known[0] if known else sorted(versions, key=functools.cmp_to_key(_compare))[-1]
        package = self._package("toolkit", version)
        words = "CANN %s has no %s" % (version, cann_install.RELINK)
        try:
            if cann_install.can_lead_latest(package):
                cann_install.make_latest(package, self.run)
                self.notes.append("CANN's latest now points to %s" % version)
                return
        except AscendError as error:
            words = str(error)
        remedy = "sessions that source its common set_env.sh find no CANN, but ascend-env does"
        self.notes.append("CANN's latest now points to no version, because %s: %s" % (words, remedy))

    def _package(self, kind: str, version: str, chip: Optional[str] = None) -> cann_install.Package:
        more: Any = self.places
        return cann_install.Package(
            kind=kind, version=version, chip=chip, python_bin=self.python_bin or None, timeout_s=self.timeout_s, **more
        )

    def _drop_manifests(self, version: str) -> None:
        cann_receipts.forget(self.state_dir, version)
        for name in reversed(cann_layout.packages(self.state_dir, version)):
            path = cann_layout.manifest_path(self.state_dir, name, version)
            if os.path.exists(path):
                os.unlink(path)

    def drop_links(self, versions: List[str]) -> None:
        """Remove links such as ``8.0`` to these versions if they now point to nothing."""
        folder = os.path.join(self.root, "ascend-toolkit")
        for name in files.names(folder):
            path = os.path.join(folder, name)
            target = files.link(path)
            dangles = target and os.path.basename(target) in versions and not os.path.exists(path)
            if dangles and re.fullmatch(r"\d+\.\d+", name):
                os.unlink(path)


def _compare(one: str, other: str) -> int:
    """A version that nobody can order counts as old."""
    try:
        return compare_cann(one, other)
    except AscendError:
        return (one > other) - (one < other)


def _renamed(home: str, aside: str) -> str:
    """Return the folder's new name, or its old one if it cannot be renamed (in an overlay's lower layer).

    The uninstaller has already run, so what is left counts as half-installed.
    """
    try:
        os.rename(home, aside)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return home
    return aside
