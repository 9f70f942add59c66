# SPDX-License-Identifier: Apache-2.0
"""Where CANN is: two layouts, versions side by side, and the links that point to the latest one.

``ascend-toolkit/<version>/`` (5.1 to 8.3): one folder per part, each with a ``version.info``, and
``ascend-toolkit/latest``, a folder of links to one of them (or itself a link to it). ``cann-<version>/`` (from
8.5 on): ``share/info/<part>/version.info``, and the link ``cann``. Both have ``<arch>-linux/
ascend_toolkit_install.info``. The folder's name is the full version, also of alpha builds. A version of the later
layout is in the root, or below its ``beside/``, where it takes over no link of the others (layouts.py).
"""

from __future__ import annotations

import os
import platform
import re
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from .. import files
from ..places import BESIDE
from ..text import listed
from . import files as cann_files
from .layouts import LATER, OLDER, PARTS, Place, place_of

INFO = "ascend_toolkit_install.info"
SHOWN = 5
MACHINES = {"arm64": "aarch64", "amd64": "x86_64", "x86-64": "x86_64"}
VERSION_NAME = re.compile(r"[0-9]+\.[0-9]+\.[A-Za-z0-9.-]+")
KERNEL = "opp/built-in/op_impl/ai_core/tbe/kernel"
# Folders of the toolkit that only the kernels packages fill: their loss is not the toolkit's.
KERNELS = ("opp_kernel", KERNEL)


class Latest(NamedTuple):
    """Where ``latest`` (or ``cann``) points: to ``version``, None if that does not exist.

    ``state`` is "ok", "absent", "dangling" (a link points to nothing) or "mixed" (the links point to more than one
    version). ``leads`` maps the links' targets, versions or paths, to their names; ``broken`` are the links that point
    to nothing. ``kernels`` is the target of the link opp_kernel, which stays behind when the toolkit changes.
    """

    path: str
    state: str
    version: Optional[str]
    leads: Dict[str, List[str]]
    broken: Tuple[str, ...] = ()
    kernels: Optional[str] = None
    is_folder: bool = False

    def words(self) -> str:
        """Return the links' targets as text."""
        leads = ["%s: %s" % (place, listed(names)) for place, names in sorted(self.leads.items())]
        broken = ["to nothing: " + listed(list(self.broken))] if self.broken else []
        return "; ".join(leads + broken) or "nothing"


class Tree(NamedTuple):
    """Where CANN is: ``root`` as a path of this machine, ``below`` the folder that is "/" for absolute links.

    ``layout`` and ``beside`` say where a version would be that does not exist yet.
    """

    root: str
    state_dir: str
    below: str = "/"
    layout: str = OLDER.name
    beside: bool = False

    @property
    def top_set_env(self) -> str:
        """The environment file of the older layout that sessions source; it follows ``latest``."""
        return os.path.join(self.root, "ascend-toolkit", "set_env.sh")

    @property
    def version_cfg(self) -> str:
        """The older layout's file with the version of each part that is in use ("running"), and those installed."""
        return os.path.join(self.root, "ascend-toolkit", "latest", "version.cfg")

    def shown(self, path: str) -> str:
        """Return a path of this machine as the node's own."""
        return path[len(self.below.rstrip("/")) :] if files.is_in(path, self.below) else path

    def places(self) -> List[Place]:
        """Return where versions may be; if one is in several places, the first counts."""
        return [place_of(self.root, *each) for each in ((LATER.name, True), (LATER.name, False), (OLDER.name, False))]

    def place(self, version: str) -> Place:
        """Return the place of a version, or where it would be if it does not exist."""
        found = [place for place in self.places() if _is_home(place.home(version))]
        return found[0] if found else place_of(self.root, self.layout, self.beside)

    def name(self, version: str) -> str:
        """Return the name of a version in origin.json; the same version may be in the root and beside it."""
        return _name(self.root, self.place(version), version)

    def names(self) -> List[str]:
        """Return these names for all versions that exist."""
        return [_name(self.root, place, version) for place in self.places() for version in self.versions(place)]

    def home(self, version: str) -> str:
        """Return the folder of a version."""
        return self.place(version).home(version)

    def arch(self, version: str) -> str:
        """Return the ``<arch>-linux`` folder of a version: the one with its record, preferring this machine's."""
        home = self.home(version)
        own = "%s-linux" % this_machine()
        names = [n for n in files.names(home) if n.endswith("-linux") and not os.path.islink(os.path.join(home, n))]
        with_info = [name for name in names if os.path.exists(os.path.join(home, name, INFO))]
        for choice in (with_info, names):
            if choice:
                return os.path.join(home, own if own in choice else choice[0])
        return os.path.join(home, own)

    def script(self, version: str, name: str) -> str:
        """Return the path of a script of a version, by its name in ``Layout``."""
        return os.path.join(self.home(version), name.format(arch=os.path.basename(self.arch(version))))

    def set_env(self, version: str) -> str:
        """Return this version's own environment file, whatever ``latest`` says."""
        beside = os.path.join(self.home(version), "set_env.sh")
        own = os.path.join(self.arch(version), "script", "set_env.sh")
        of_later = self.place(version).layout is LATER
        return beside if of_later or (os.path.isfile(beside) and not os.path.exists(own)) else own

    def versions(self, place: Optional[Place] = None) -> List[str]:
        """Return the names of the version folders, of all places or of one; links do not count."""
        names: Set[str] = set()
        for each in [place] if place else self.places():
            folder, prefix = os.path.split(os.path.join(each.base, each.layout.folder))
            for name in files.names(folder):
                path = os.path.join(folder, name)
                if name.startswith(prefix) and VERSION_NAME.fullmatch(name[len(prefix) :]) and not os.path.islink(path):
                    names.add(name[len(prefix) :])
        return sorted(names)

    def latest(self, place: Place) -> Latest:
        """Return the target of a place's link (or folder of links)."""
        path = place.link
        if os.path.islink(path):
            target = self._followed(path)
            leads = {_version_in(target) or self.shown(target): [os.path.basename(path)]}
            if os.path.isdir(target):
                return Latest(path, "ok", _version_in(target), leads)
            return Latest(path, "dangling", None, leads)
        return self._folder_of_links(path) if os.path.isdir(path) else Latest(path, "absent", None, {})

    def deciding_latest(self) -> Latest:
        """Return what sessions get: the root's ``cann`` if it points to a version, else ``latest``."""
        _beside, later, older = [self.latest(place) for place in self.places()]
        layouts = [latest for latest in (later, older) if latest.version]
        return layouts[0] if layouts else older if later.state == "absent" else later

    def _folder_of_links(self, path: str) -> Latest:
        leads: Dict[str, List[str]] = {}
        broken = []
        kernels = None
        for name in _link_names(path):
            target = self._step(os.path.join(path, name))
            if files.is_in(target, path):
                continue  # lib64 -> aarch64-linux/lib64
            place = _version_in(target) or self.shown(target)
            if name == "opp_kernel":
                kernels = place
            else:
                leads.setdefault(place, []).append(name)
            if not os.path.exists(self._followed(target)) and not self._is_missing(place, name, target):
                broken.append(name)
        version = self._chosen(path, leads)
        state = "mixed" if len(leads) > 1 else "dangling" if broken else "ok" if version or leads else "absent"
        return Latest(path, state, version, leads, tuple(broken), kernels, True)

    def _is_missing(self, version: str, name: str, target: str) -> bool:
        """Whether a link is right but the version lacks the part, which is the toolkit's problem."""
        home, part = self.home(version), name.split(os.sep)[0]
        is_checked = part in PARTS or part == "opp_kernel" or part.endswith("-linux")
        is_right = os.path.isdir(home) and target == os.path.join(home, name)
        return is_checked and is_right and not os.path.isdir(os.path.join(home, part))

    def _chosen(self, path: str, leads: Dict[str, List[str]]) -> Optional[str]:
        """Return the version of the runtime's link, or of the next one that exists; without links, version.cfg's."""
        rank = {name: position for position, name in enumerate(PARTS)}
        places = sorted(leads, key=lambda place: min(rank.get(name, len(rank)) for name in leads[place]))
        if not places:
            versions = cann_files.parse_version_cfg(cann_files.read(os.path.join(path, "version.cfg"))[0]).versions
            places = [version for _number, version in versions.get("runtime", ())]
        return next(
            (place for place in places if VERSION_NAME.fullmatch(place) and os.path.isdir(self.home(place))), None
        )

    def _step(self, path: str) -> str:
        target = files.link(path) or ""
        start = (
            self.below.rstrip("/") + target if target.startswith("/") else os.path.join(os.path.dirname(path), target)
        )
        return os.path.normpath(start)

    def _followed(self, path: str) -> str:
        for _step in range(20):
            if not os.path.islink(path):
                return path
            path = self._step(path)
        return path


def _is_home(path: str) -> bool:
    """Whether a version exists; some uninstallers leave an empty folder."""
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is not None and not os.path.islink(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # nobody may look into it


def _name(root: str, place: Place, version: str) -> str:
    return version if place.base == root else "%s/%s" % (BESIDE, version)


def manifest_path(state_dir: str, package: str, version: str) -> str:
    """Return the path of the manifest of a version's ``toolkit`` or ``kernels-<chip>``."""
    return os.path.join(state_dir, "manifests", "%s-%s.json" % (package, version))


def recorded_chips(state_dir: str, version: str) -> List[str]:
    """Return the chips whose kernels of a version have a manifest."""
    end = "-%s.json" % version
    names = [name for name in files.names(os.path.join(state_dir, "manifests")) if name.endswith(end)]
    return [name[len("kernels-") : -len(end)] for name in names if name.startswith("kernels-")]


def packages(state_dir: str, version: str) -> List[str]:
    """Return the names of a version's packages that have a manifest, or may have one."""
    return ["toolkit"] + ["kernels-" + chip for chip in recorded_chips(state_dir, version)]


def kernels_tops(chip: str) -> List[str]:
    """Return the parts of a version's folder that the manifest of a chip's kernels covers."""
    return ["opp_kernel", os.path.join(KERNEL, "ascend" + chip), os.path.join(KERNEL, "config", "ascend" + chip)]


def read_latest(root: str) -> Optional[str]:
    """Return the latest version; None if there is none, or if it no longer exists."""
    return Tree(root, "").deciding_latest().version


def _link_names(path: str) -> List[str]:
    """Return the links of a folder ``latest``, and those in the real folders in which it gathers parts."""
    names = []
    for name in files.names(path):
        if os.path.islink(os.path.join(path, name)):
            names.append(name)
        elif name.endswith("-linux") or name == "tools":
            inside = [os.path.join(name, link) for link in files.names(os.path.join(path, name))]
            names += [link for link in inside if os.path.islink(os.path.join(path, link))]
    return names


def _version_in(path: str) -> Optional[str]:
    """Return the version in whose folder a path is, by the folders' names."""
    parts = path.split(os.sep)
    for before, part in reversed(list(zip(["", *parts], parts))):
        name = part[len("cann-") :] if part.startswith("cann-") else part
        if VERSION_NAME.fullmatch(name) and (name != part or before == "ascend-toolkit"):
            return name
    return None


def this_machine() -> str:
    """Return this machine's architecture as CANN names it, e.g. "aarch64"."""
    return MACHINES.get(platform.machine(), platform.machine())
