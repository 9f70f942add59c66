# SPDX-License-Identifier: Apache-2.0
"""Other installations of CANN, and the record of the place that its installer insists on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

from .. import files
from ..finding import Finding, finding
from ..homes import CANN_NAME, Homes, acting_as, each
from ..node import Node
from ..places import BESIDE, CANN_INSTALL_RECORD
from ..text import listed
from . import files as cann_files, profiles
from .layout import INFO, VERSION_NAME, Tree
from .layouts import version_of

if TYPE_CHECKING:
    from ..shapes import Elsewhere

NOTHING = "\0 \t\r\n"  # what a file is filled with that lost its content in a power cut
FOLDERS = ("/usr/local", "/opt")  # where other roots of CANN are put, as /usr/local/CANN9.0.0
SET_ENV = "set_env.sh"
MOST_ABOVE = 4  # folders from a sourced file up to its root: <root>/ascend-toolkit/8.0.RC1/aarch64-linux/script
_NOT_CANN = ("ascend",)  # this project's own /opt/ascend


def read_install_record(node: Node, cann_root: str) -> Tuple[Optional[str], List[Finding]]:
    """Return the toolkit's path in CANN's install record, which the next installer insists on.

    An empty record, as after a power cut, is stale; the next installation writes a new one.
    """
    text, problem = cann_files.read(node.path(CANN_INSTALL_RECORD))
    if problem == "missing":
        return None, []
    if problem != "empty" and problem:
        return None, [_unreadable(problem)]
    if not text.strip(NOTHING):
        return None, [_stale(cann_root, "empty")]
    info = cann_files.parse_install_info(text)
    path = info.packages.get("toolkit", {}).get("path")
    if not path:
        # Without problems it is a record of other products.
        return None, [_unreadable(", ".join(info.problems))] if info.problems else []
    ours = [_real(node, place) for place in (cann_root, os.path.join(cann_root, BESIDE))]
    # A change that was interrupted may have named a place in which nothing is yet.
    is_named = os.path.normpath(path) == os.path.join(cann_root, BESIDE)
    if is_named or (os.path.isdir(node.path(path)) and _real(node, path) in ours):
        return path, []
    gone = "" if os.path.isdir(node.path(path)) else ", which does not exist"
    return path, [_stale(cann_root, path + gone)]


def _stale(cann_root: str, found: str) -> Finding:
    words = "CANN's install record is stale"
    remedy = "mv %s %s.old  # the next installation writes a new one" % (CANN_INSTALL_RECORD, CANN_INSTALL_RECORD)
    return finding("cann", "cann-record-stale", words, cann_root, found, CANN_INSTALL_RECORD, remedy)


def _unreadable(problem: str) -> Finding:
    words, path = "CANN's install record cannot be read", CANN_INSTALL_RECORD
    remedy = "ls -la %s; mv %s %s.old  # the next installation writes a new one" % (path, path, path)
    return finding("cann", "cann-record-unreadable", words, "Toolkit_InstallPath=<path>", problem, path, remedy)


def read_elsewhere(node: Node, tree: Tree, sessions: Homes) -> List[Elsewhere]:
    """Return the installations that this project does not manage: other products, other roots, users' own.

    Where to look: folders with a name like CANN's in /usr/local, /opt and the homes, the record in /etc/Ascend, and
    what profiles source. Each place has a time limit; network mounts are skipped.
    """
    places: Dict[str, str] = {"/usr/local/Ascend": "the default root"}
    for folder in FOLDERS:
        names = [name for name in files.names(node.path(folder)) if CANN_NAME.fullmatch(name)]
        places.update((os.path.join(folder, name), "another root") for name in names if name not in _NOT_CANN)
    places.update((place, "a user's installation") for place in sessions.cann)
    for place in _recorded_places(node):
        places.setdefault(place, "named by the record in /etc/Ascend")
    by = {place: place for place in sessions.cann}
    for script, profile in profiles.sourced(node, sessions):
        place = os.path.dirname(script)
        if place not in places:
            places[place], by[place] = "sourced by " + profile, profile
    own = os.path.realpath(tree.root)

    def read(place: str) -> List[Tuple[str, Elsewhere]]:
        with acting_as(node, sessions.owner(by.get(place, ""))):
            return _installations(node, place, places[place], own)

    looked = each(node, list(places), read)
    sessions.hung.extend(looked.hung)
    found = {item["path"]: item for item in _products(tree.root)}
    for items in looked.found.values():
        for real, item in items:
            if not files.is_in(real, own):
                found.setdefault(real, item)
    return [{**item, "path": tree.shown(item["path"])} for item in found.values()]


def _recorded_places(node: Node) -> List[str]:
    """Return the places that the install records name, of whichever product."""
    folder = node.path(os.path.dirname(CANN_INSTALL_RECORD))
    found: List[str] = []
    for name in files.names(folder):
        for key, value in files.pairs(files.text(os.path.join(folder, name)) if name.endswith(".info") else "").items():
            if key.lower().replace("_", "").endswith(("installpath", "installpathparam")) and os.path.isabs(value):
                found.append(os.path.normpath(value))
    return found


def _installations(node: Node, place: str, why: str, own: str) -> List[Tuple[str, Elsewhere]]:
    """Return (real path, installation) of each one of a root; for a place within a root, those of that root."""
    root = node.path(place)
    for above in _and_above(root, node.path("/")):
        if os.path.realpath(above) == own:
            return []
        other = Tree(above, "", node.root)
        homes = [other.home(version) for version in other.versions() if files.names(other.home(version))]
        found = [_installation(home, os.path.join(other.arch(version_of(home)), INFO), why) for home in homes]
        found += _products(above)
        if found:
            return [(os.path.realpath(str(item["path"])), item) for item in found]
    # Laid out otherwise, a copy for example: what is sourced there is one all the same.
    if os.path.isfile(os.path.join(root, SET_ENV)):
        return [(os.path.realpath(root), {"path": root, "version": None, "why": why})]
    return []


def _and_above(path: str, top: str) -> List[str]:
    """Return a folder and its parents that may be its root, excluding the node's top folders (/home, /opt)."""
    found: List[str] = []
    while len(found) < MOST_ABOVE and os.path.dirname(path).rstrip("/") != top.rstrip("/") and path != top:
        found.append(path)
        path = os.path.dirname(path)
    return found


def _products(root: str) -> List[Elsewhere]:
    """Return the nnae and nnrt of a root, products that contain parts of CANN and whose set_env.sh points to them."""
    found = []
    for product in ("nnae", "nnrt"):
        folder = os.path.join(root, product)
        for name in files.names(folder):
            home = os.path.join(folder, name)
            info = "ascend_%s_install.info" % product
            inside = [os.path.join(home, info)]
            inside += [os.path.join(home, n, info) for n in files.names(home) if n.endswith("-linux")]
            with_info = [path for path in inside if os.path.exists(path)]
            if VERSION_NAME.fullmatch(name) and not os.path.islink(home) and files.names(home):
                found.append(_installation(home, with_info[0] if with_info else "", "the product " + product))
    return found


def _installation(home: str, info: str, why: str) -> Elsewhere:
    version = cann_files.parse_product_info(cann_files.read(info)[0]).version
    return {"path": home, "version": version or version_of(home), "why": why}


def elsewhere_findings(elsewhere: List[Elsewhere]) -> List[Finding]:
    """Return one finding for all of ``read_elsewhere``'s installations, if there are any."""
    if not elsewhere:
        return []
    words = listed(["%(path)s (%(why)s)" % item for item in elsewhere])
    remedy = "grep -n set_env.sh /etc/profile /etc/profile.d/* /root/.bashrc /home/*/.bashrc  # which do sessions use?"
    problem = "CANN is installed in other places too, and a session may use one of them"
    return [finding("cann", "cann-elsewhere", problem, "one place", words, str(elsewhere[0]["path"]), remedy)]


def _real(node: Node, path: str) -> str:
    return os.path.realpath(node.path(path))
