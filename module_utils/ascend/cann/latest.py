# SPDX-License-Identifier: Apache-2.0
"""Remember the target of ``latest`` before a repair, because CANN's installer changes it and may be interrupted.

``cann-latest.json``: ``{"schema": 1, "repaired": version, "latest": version}``, from before the installer starts until
``latest`` is restored. A repair that was interrupted finds it there, whatever the installer did to ``latest``.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from .. import atomic, files
from ..errors import AscendError
from .layout import Tree
from .layouts import Place

if TYPE_CHECKING:
    from ..shapes import Repairing

FILE = "cann-latest.json"
KEYS = ("repaired", "latest")


def read(tree: Tree) -> Optional[Repairing]:
    """Return ``{"repaired", "latest"}``; None if there is nothing to restore, or the version is gone."""
    content = files.mapping(_path(tree))
    if not all(isinstance(content.get(key), str) and content[key] for key in KEYS):
        return None
    if content["latest"] not in tree.versions():
        return None
    return {"repaired": content["repaired"], "latest": content["latest"]}


def keep(tree: Tree, repaired: str) -> Optional[str]:
    """Return the other version to which ``latest`` pointed before the repair, which an earlier run may have begun.

    Call it before the installer starts. Raises AscendError if it cannot be remembered.
    """
    kept = read(tree)
    if kept and kept["repaired"] == repaired:
        return kept["latest"]
    latest = leads_to(tree, repaired)
    if not latest or latest == repaired:
        return None
    try:
        os.makedirs(tree.state_dir, mode=0o755, exist_ok=True)
        atomic.write(_path(tree), json.dumps({"schema": 1, "repaired": repaired, "latest": latest}) + "\n")
    except OSError as error:
        raise AscendError(
            "cannot record where CANN's `latest` points, so CANN %s is not repaired" % repaired,
            wanted="a writable file",
            found=str(error),
            where=_path(tree),
            remedy="df -h %s; findmnt -T %s  # then run site.yml again" % (tree.state_dir, tree.state_dir),
        ) from error
    return latest


def forget(tree: Tree, repaired: str = "") -> None:
    """Forget it: ``latest`` is right again, or the version that was ``repaired`` is gone. Raises OSError."""
    if repaired and files.mapping(_path(tree)).get("repaired") != repaired:
        return
    with suppress(FileNotFoundError):
        os.unlink(_path(tree))


def forget_in(tree: Tree, place: Place) -> None:
    """Forget it for one place, whose ``latest`` is right again; other places are kept. Raises OSError."""
    kept = read(tree)
    if not kept or tree.place(kept["latest"]) == place:
        forget(tree)


def leads_to(tree: Tree, version: str) -> Optional[str]:
    """Return the version to which the links point that the installer of ``version`` changes, or None.

    Only its own place's links count: a CANN of another layout, or beside it, does not protect ``latest``.
    """
    return tree.latest(tree.place(version)).version


def _path(tree: Tree) -> str:
    return os.path.join(tree.state_dir, FILE)
