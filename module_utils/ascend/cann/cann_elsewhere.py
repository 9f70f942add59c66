# SPDX-License-Identifier: Apache-2.0
"""Other installations of CANN, and the record of the place that its installer insists on."""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Tuple

from ansible.module_utils.ascend import files
from ansible.module_utils.ascend.cann import cann_files
from ansible.module_utils.ascend.cann.cann_layout import INFO, VERSION_NAME, Tree, listed
from ansible.module_utils.ascend.node import Finding, Node, finding

RECORD = "/etc/Ascend/ascend_cann_install.info"
NOTHING = "\0 \t\r\n"  # what a file is filled with that lost its content in a power cut
MOST_HOMES = 500


def read_record(node: Node, cann_root: str) -> Tuple[Optional[str], List[Finding]]:
    """Return the toolkit's path in the installers' record, which their next run insists on.

    A record with nothing in it, as a power cut leaves, is stale: the next installation writes it anew.
    """
    text, problem = cann_files.read(node.path(RECORD))
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
    if os.path.isdir(node.path(path)) and _real(node, path) == _real(node, cann_root):
        return path, []
    gone = "" if os.path.isdir(node.path(path)) else ", which is not there"
    return path, [_stale(cann_root, path + gone)]


def _stale(cann_root: str, found: str) -> Finding:
    words = "the installers' record of CANN's place is stale"
    remedy = "mv %s %s.old  # the next installation writes it anew" % (RECORD, RECORD)
    return finding("cann", "cann-record-stale", words, cann_root, found, RECORD, remedy)


def _unreadable(problem: str) -> Finding:
    words = "the installers' record of CANN's place cannot be read"
    remedy = "ls -la %s; mv %s %s.old  # the next installation writes it anew" % (RECORD, RECORD, RECORD)
    return finding("cann", "cann-record-unreadable", words, "Toolkit_InstallPath=<path>", problem, RECORD, remedy)


def read_elsewhere(node: Node, tree: Tree) -> List[Dict[str, Optional[str]]]:
    """Return the installations that this project does not look after: other products, other roots, users' own."""
    homes = ["/home/" + name for name in files.names(node.path("/home"))[:MOST_HOMES]]
    places = [("/usr/local/Ascend", "the default root")] + [
        (home + "/Ascend", "a user's own") for home in ["/root", *homes]
    ]
    found = _products(tree.root)
    seen = {os.path.realpath(tree.root)}
    for place, why in places:
        root = node.path(place)
        if os.path.realpath(root) in seen:
            continue
        seen.add(os.path.realpath(root))
        other = Tree(root, "", node.root)
        for version in other.versions():
            if files.names(other.home(version)):
                found.append(_installation(other.home(version), os.path.join(other.arch(version), INFO), why))
        found += _products(root)
    return [dict(item, path=tree.shown(str(item["path"]))) for item in found]


def _products(root: str) -> List[Dict[str, Optional[str]]]:
    """Return the nnae and nnrt of a root: products that hold parts of CANN, and whose set_env.sh leads to them."""
    found = []
    for product in ("nnae", "nnrt"):
        folder = os.path.join(root, product)
        for name in files.names(folder):
            home = os.path.join(folder, name)
            info = "ascend_%s_install.info" % product
            inside = [os.path.join(home, info)]
            inside += [os.path.join(home, n, info) for n in files.names(home) if n.endswith("-linux")]
            recorded = [path for path in inside if os.path.exists(path)]
            if VERSION_NAME.fullmatch(name) and not os.path.islink(home) and files.names(home):
                found.append(_installation(home, recorded[0] if recorded else "", "the product " + product))
    return found


def _installation(home: str, info: str, why: str) -> Dict[str, Optional[str]]:
    said = cann_files.parse_product_info(cann_files.read(info)[0]).version
    name = os.path.basename(home)
    return {"path": home, "version": said or name[len("cann-") if name.startswith("cann-") else 0 :], "why": why}


def elsewhere_findings(elsewhere: List[Dict[str, Optional[str]]]) -> List[Finding]:
    """Return one finding for all of ``read_elsewhere``'s installations; none without any."""
    if not elsewhere:
        return []
    words = listed(["%(path)s (%(why)s)" % item for item in elsewhere])
    remedy = "grep -n set_env.sh /etc/profile /etc/profile.d/* /root/.bashrc /home/*/.bashrc  # which do sessions take?"
    problem = "CANN lies in other places too: a session may take it from there"
    return [finding("cann", "cann-elsewhere", problem, "one place", words, str(elsewhere[0]["path"]), remedy)]


def _real(node: Node, path: str) -> str:
    return os.path.realpath(node.path(path))
