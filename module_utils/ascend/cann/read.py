# SPDX-License-Identifier: Apache-2.0
"""Read the CANN versions of a node from their files, as facts and findings; no command is run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, Optional, Set, Tuple

from .. import rights
from ..change import origin
from ..finding import Finding, finding
from ..homes import Homes, look
from ..node import Node
from ..text import listed
from . import files as cann_files, latest as cann_latest, receipts as cann_receipts
from .elsewhere import elsewhere_findings, read_elsewhere, read_install_record
from .layout import INFO, SHOWN, Latest, Tree
from .layouts import OLDER
from .packages import (
    ALTERED,
    ARCHITECTURE,
    CLOSED,
    EXTRA,
    HALF,
    ITSELF,
    KERNELS_VERSION,
    LAYOUT,
    NUMBER,
    SET_ENV,
    UNPROVEN,
    UNREAD,
    UNREADABLE,
    VERSION,
    Problem,
    as_package,
    chips_of,
    file_problems,
    kernels_problems,
    toolkit_problems,
)

if TYPE_CHECKING:
    from ..shapes import Cann, CannVersion, Package


def read_cann(
    node: Node, cann_root: str, state_dir: str, deep: bool = False, others: Optional[Homes] = None
) -> Tuple[Cann, List[Finding]]:
    """Return ``{"root", "latest", "latest_state", "latest_beside", "repairing", "versions", "elsewhere",
    "elsewhere_count", "record"}`` and findings.

    ``versions`` maps a version to ``{"path", "layout": "ascend-toolkit" | "cann", "ours", "version", "inner_version",
    "arch", "toolkit": package, "kernels": {chip: package}}``; a package is ``{"state": "complete" | "half-installed" |
    "altered" | "unproven" | "absent", "problems": [at most SHOWN], "problem_count"}``, with ``closed``, text about what
    others cannot use, if there is anything. ``latest`` is where the links in the root lead, ``latest_beside`` that in
    beside/. ``repairing`` is what cann_latest.read returns, ``elsewhere`` are other installations, ``record`` is the
    path in RECORD. ``deep`` reads every file that a manifest names. ``others`` are the homes, where they were looked at
    before.
    """
    tree = Tree(node.path(cann_root), node.path(state_dir), node.root)
    findings = _denied(tree)
    versions: Dict[str, CannVersion] = {}
    for version in tree.versions():
        versions[version], found = _read_version(tree, cann_root, version, deep)
        findings += found
    latest_link = tree.deciding_latest()
    installed = [name for name, version in versions.items() if version["toolkit"]["state"] != "absent"]
    for place in tree.places():
        here = [version for version in installed if tree.place(version) == place]
        findings += _latest_findings(tree, tree.latest(place), here)
        if place.layout is OLDER:
            findings += _top_set_env_findings(tree, here)
    latest_beside = tree.latest(tree.places()[0]).version
    for latest in (latest_link.version, latest_beside):
        findings += _without_kernels(versions, latest)
    install_record, found = read_install_record(node, cann_root)
    elsewhere = read_elsewhere(node, tree, others or look(node))
    facts: Cann = {
        "root": cann_root,
        "latest": latest_link.version,
        "latest_state": latest_link.state,
        "latest_beside": latest_beside,
        "repairing": cann_latest.read(tree),
        "versions": versions,
        "elsewhere": elsewhere[:SHOWN],
        "elsewhere_count": len(elsewhere),
        "record": install_record,
    }
    return facts, findings + found + elsewhere_findings(elsewhere)


def _read_version(tree: Tree, cann_root: str, version: str, deep: bool) -> Tuple[CannVersion, List[Finding]]:
    path = os.path.join(cann_root, os.path.relpath(tree.home(version), tree.root))
    info = cann_files.parse_product_info(cann_files.read(os.path.join(tree.arch(version), INFO))[0])
    problems = toolkit_problems(tree, version, deep)
    findings = _findings("toolkit " + version, problems or [], path)
    if problems is not None:
        findings += _moved(tree, version, info.path, path)
    kernels: Dict[str, Package] = {}
    for chip in chips_of(tree, version):
        found = kernels_problems(tree, version, chip, deep)
        if found is not None:
            kernels[chip] = as_package(found)
            findings += _findings("kernels-%s %s" % (chip, version), found, path)
    facts: CannVersion = {
        "path": path,
        "layout": tree.place(version).layout.name,
        "ours": tree.name(version) in origin.ours(tree.state_dir),
        "version": info.version,
        "inner_version": info.inner_version,
        "arch": info.arch,
        "toolkit": as_package(problems),
        "kernels": kernels,
    }
    return facts, findings


_REPAIR = "ansible-playbook site.yml --limit NODE  # installs it again if it is the release's version"
_ROOT = "run it as root: ansible-playbook --become"
_UNKNOWN = (
    "cann-layout-unknown",
    "the documented layout",
    "ansible-playbook playbooks/record.yml --limit NODE  # read the capture, then send it to us; no repair is needed",
)
_LAYOUT = (_UNKNOWN[0], "%s has an undocumented layout", *_UNKNOWN[1:])
# Kind of problem -> name of the finding, what it says of a package, what is wanted, what helps.
_FINDINGS = {
    HALF: ("cann-half-installed", "%s is half-installed", "all of its parts", _REPAIR),
    VERSION: ("cann-version-mismatch", "files of %s name a different version", "one version everywhere", _REPAIR),
    KERNELS_VERSION: ("cann-kernels-version", "%s do not match their toolkit's version", "the same version", _REPAIR),
    SET_ENV: ("cann-set-env-missing", "%s has no environment file", "its set_env.sh", _REPAIR),
    ARCHITECTURE: (
        "cann-architecture",
        "%s is for another machine",
        "the package of this machine's architecture",
        "uname -m; then ansible-playbook site.yml --limit NODE",
    ),
    UNREADABLE: ("cann-unreadable", "%s cannot be read in full", "readable files", _ROOT),
    NUMBER: ("cann-version-mismatch", "files of %s name a different number", "one number everywhere", _REPAIR),
    LAYOUT: _LAYOUT,
    UNPROVEN: _LAYOUT,
    ITSELF: (
        "cann-changes-itself",
        "recorded files of %s changed again after their repair, so they are not repaired again",
        "the files as they were installed",
        "ls -l FILE; lsof FILE  # who writes it? CANN's own cache or log is not damage: send us its path",
    ),
    ALTERED: ("cann-altered", "files of %s are missing or changed", "the files as they were installed", _REPAIR),
    CLOSED: (rights.FINDING, "others cannot use %s", rights.WANTED, rights.REMEDY),
    EXTRA: ("cann-extra", "files were added to %s", "", "rpm -qf FILE; ls -l FILE  # who put them there?"),
    UNREAD: (
        "cann-unverified",
        "%s was not verified in full",
        "",
        "inspect it once with deep: true, which reads every file",
    ),
}


def _findings(name: str, problems: List[Problem], where: str) -> List[Finding]:
    """Return a finding for each kind of problem of a package; ``latest`` has its own."""
    found = []
    for kind, (key, problem, wanted, remedy) in _FINDINGS.items():
        words = list(dict.fromkeys(item.words for item in problems if item.kind == kind))
        if words:
            found.append(finding("cann", key, problem % name, wanted, listed(words), where, remedy))
    return found


def _latest_findings(tree: Tree, latest: Latest, versions: List[str]) -> List[Finding]:
    """Return what is wrong with the link (or folder of links) of the layout of these versions."""
    name = os.path.relpath(latest.path, tree.root)
    problem = {
        "mixed": ("cann-latest-mixed", "%s points to more than one version", "links to one version"),
        "dangling": ("cann-latest-dangling", "%s points to nothing", "links to an installed version"),
        "absent": ("cann-latest-absent", "%s is absent", "a link to one of " + listed(versions)),
    }.get(latest.state)
    if not problem or (not versions and latest.state == "absent"):
        return []
    key, words, wanted = problem
    remedy = _REPAIR
    if {latest.words(), name} & _from_the_beginning(tree, versions):
        key, wanted, remedy = _UNKNOWN
    return [finding("cann", key, words % name, wanted, latest.words(), tree.shown(latest.path), remedy)]


def _from_the_beginning(tree: Tree, versions: List[str]) -> Set[str]:
    """Return the names under which the versions' receipts list what differed right after installation."""
    receipts = [cann_receipts.read(tree.state_dir, version, "toolkit") for version in versions]
    return {name for receipt in receipts for name in receipt.differs}


def _top_set_env_findings(tree: Tree, versions: List[str]) -> List[Finding]:
    """Return a finding if the environment file that the older layout's versions share is lost, empty or unreadable."""
    words = "no session finds CANN through its environment file"
    wanted = "ascend-toolkit/set_env.sh"
    where = tree.shown(tree.top_set_env)
    return [
        finding("cann", "cann-set-env-missing", words, wanted, problem.words, where, _REPAIR)
        for version in versions[:1]
        for problem in file_problems(tree, version, tree.top_set_env, SET_ENV)
        if problem.name not in _from_the_beginning(tree, versions)
    ]


def _without_kernels(versions: Dict[str, CannVersion], latest: Optional[str]) -> List[Finding]:
    """Return a finding if the latest version has no kernels, or only another one has some."""
    version = versions.get(str(latest))
    if not version or version["kernels"] or version["toolkit"]["state"] == "absent":
        return []
    others = ["%s %s" % (chip, name) for name in sorted(versions) for chip in sorted(versions[name]["kernels"])]
    remedy = "ansible-playbook site.yml --limit NODE  # a new toolkit removes the kernels of the old one"
    name = "cann-kernels-version" if others else "cann-kernels-absent"
    problem = "the latest CANN %s has no kernels" % latest
    wanted = "kernels of %s" % latest
    return [finding("cann", name, problem, wanted, listed(others) or "none", version["path"], remedy)]


def kernels_chip_findings(cann: Cann, chip: str) -> List[Finding]:
    """Return a finding if the cards need the kernels of ``chip`` and the latest version has only others."""
    latest = cann["versions"].get(cann["latest"] or "")
    kernels = sorted(latest["kernels"]) if latest else []
    if not latest or not kernels or chip in kernels:
        return []
    problem = "the kernels of CANN %s are for other chips" % cann["latest"]
    remedy = "ansible-playbook site.yml --limit NODE  # installs kernels-%s" % chip
    return [finding("cann", "cann-kernels-chip", problem, chip, listed(kernels), latest["path"], remedy)]


def _moved(tree: Tree, version: str, stated: Optional[str], where: str) -> List[Finding]:
    """Return a finding if a version was moved after installation: its scripts and uninstaller contain the old path."""
    if not stated:
        return []
    real = os.path.realpath(tree.below.rstrip("/") + stated)
    if real in (os.path.realpath(tree.arch(version)), os.path.realpath(tree.home(version))):
        return []
    problem = "toolkit %s was installed somewhere else and moved" % version
    return [finding("cann", "cann-moved", problem, where, stated, where, "move it back, or install it again")]


def _denied(tree: Tree) -> List[Finding]:
    """Return a finding if the folders cannot be listed, so that nothing below them is known."""
    found = []
    for path in (tree.root, os.path.join(tree.root, "ascend-toolkit"), tree.places()[0].base):
        try:
            os.listdir(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            problem = "CANN's folder cannot be read"
            words = str(error.strerror)
            found.append(
                finding("cann", "cann-unreadable", problem, "a readable folder", words, tree.shown(path), _ROOT)
            )
    return found
