# SPDX-License-Identifier: Apache-2.0
"""The collection with parts of it replaced: for tests that are about the rest."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.contract.tree import ROOT


def collection(folder: Path, *own: str) -> Path:
    """Make ascend.fleet below ``folder`` (ANSIBLE_COLLECTIONS_PATH) of links to the checkout; return its top.

    ``own`` are the folders in which the caller puts something of his own, ``plugins/modules`` for example.
    """
    top = folder / "ansible_collections" / "ascend" / "fleet"
    parts = ("meta", "playbooks", "roles", "plugins", "releases")
    _linked(ROOT, top, parts, [Path(part) for part in own])
    return top


def _linked(source: Path, target: Path, names: Iterable[str], own: list[Path]) -> None:
    target.mkdir(parents=True)
    for name in names:
        inside = [path.relative_to(name) for path in own if path.is_relative_to(name)]
        if Path() in inside:
            (target / name).mkdir()
        elif inside:
            _linked(source / name, target / name, sorted(path.name for path in (source / name).iterdir()), inside)
        else:
            (target / name).symlink_to(source / name)
