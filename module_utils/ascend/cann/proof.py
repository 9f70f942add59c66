# SPDX-License-Identifier: Apache-2.0
"""A proof outranks an assumption: CANN with an undocumented layout, and files that it changes itself.

We know a version's layout from neighbouring versions. If an installer succeeded but the files are elsewhere, the
package's receipt (cann_receipts.py) says what differs, and the manifest what was there. Such a package is ``unproven``,
and is not reinstalled, because the same package would give the same result. Once the environment has run on every
verified card, the package is complete. From then on a lost or changed file is drift, as in any other package.

A recorded file that a repair brought back and that changed again is changed by CANN itself, and is told instead of
repaired. A lost one is repaired, however often.
"""

from __future__ import annotations

import os
from typing import Iterable, List

from .. import manifest
from ..errors import AscendError
from ..versions import same
from . import files as cann_files, layout as cann_layout, receipts as cann_receipts
from .layout import INFO, Tree
from .packages import ACCUSE_NOTHING, OF_LAYOUT, SET_ENV, Problem, file_problems, is_changed
from .receipts import Receipt


def has_core(tree: Tree, version: str) -> bool:
    """Whether a version exists, whatever its layout: its record names it, and ascend-env finds its set_env.sh."""
    stated = cann_files.parse_product_info(cann_files.read(os.path.join(tree.arch(version), INFO))[0]).version
    return (
        bool(stated) and same(str(stated), version) and not file_problems(tree, version, tree.set_env(version), SET_ENV)
    )


def differing(tree: Tree, version: str, problems: List[Problem]) -> List[str]:
    """Return the names under which a receipt lists these problems as another layout; none if more is wrong."""
    accused = [problem for problem in problems if problem.kind not in ACCUSE_NOTHING]
    if not has_core(tree, version) or any(problem.kind not in OF_LAYOUT for problem in accused):
        return []
    return sorted({problem.name for problem in accused})


def differing_latest(tree: Tree, version: str) -> List[str]:
    """Return the targets of the latest version's links, as a receipt knows them, if they are not one version."""
    latest = tree.latest(tree.place(version))
    return [latest.words()] if latest.state in ("mixed", "dangling") else []


def changed(tree: Tree, version: str, package: str, deep: bool) -> List[str]:
    """Return a package's recorded files that exist but are not as installed."""
    found = manifest.verify(cann_layout.manifest_path(tree.state_dir, package, version), deep, tree.home(version))
    return [each.path for each in found if is_changed(tree.home(version), each)]


def note_layout(tree: Tree, version: str, package: str, differs: Iterable[str]) -> None:
    """Record how a package that was just installed differs from the documents. Raises AscendError."""
    _keep(tree, version, package, cann_receipts.read(tree.state_dir, version, package)._replace(differs=tuple(differs)))


def note_repair(tree: Tree, version: str, packages: Iterable[str], deep: bool) -> None:
    """Record which changed files an installation is about to restore. Raises AscendError."""
    for package in packages:
        receipt = cann_receipts.read(tree.state_dir, version, package)
        receipt = receipt.with_repaired(changed(tree, version, package, deep))
        _keep(tree, version, package, receipt._replace(differs=(), proven=False))


def prove(tree: Tree, version: str, check_mode: bool = False) -> bool:
    """Record that this version's environment ran on the cards; return whether that is new. Raises AscendError.

    CANN itself made any change since the installation, in this run, because the plan left none.
    """
    news = False
    for package in cann_layout.packages(tree.state_dir, version):
        receipt = cann_receipts.read(tree.state_dir, version, package)
        proven = receipt.with_repaired(changed(tree, version, package, deep=False))
        proven = proven._replace(proven=bool(receipt.differs))
        news = news or proven != receipt
        if proven != receipt and not check_mode:
            _keep(tree, version, package, proven)
    return news


def doubt(tree: Tree, version: str, check_mode: bool = False) -> bool:
    """Compare the files that CANN changed itself with the manifest once more; return whether there are any.

    Used when a proof failed: a file that changed again may be the reason, whoever changed it. Raises AscendError.
    """
    news = False
    for package in cann_layout.packages(tree.state_dir, version):
        receipt = cann_receipts.read(tree.state_dir, version, package)
        doubted = set(receipt.repaired).intersection(changed(tree, version, package, deep=True))
        news = news or bool(doubted)
        if doubted and not check_mode:
            left = tuple(path for path in receipt.repaired if path not in doubted)
            _keep(tree, version, package, receipt._replace(repaired=left))
    return news


def _keep(tree: Tree, version: str, package: str, receipt: Receipt) -> None:
    try:
        cann_receipts.write(tree.state_dir, version, package, receipt)
    except OSError as error:
        raise AscendError(
            "cannot write CANN's receipt",
            wanted="a writable file",
            found=str(error),
            where=os.path.join(tree.state_dir, cann_receipts.FILE),
            remedy="df -h %s; findmnt -T %s  # then run site.yml again" % (tree.state_dir, tree.state_dir),
        ) from error
