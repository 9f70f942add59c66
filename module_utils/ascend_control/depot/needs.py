# SPDX-License-Identifier: Apache-2.0
"""What the depot must contain: the union of the releases and architectures of the inventory's nodes."""

from __future__ import annotations

from typing import Any

from ...ascend.errors import AscendError
from ...ascend.finding import Refusal
from ..release.compatibility import release_problems
from .transport import HTTP, SWARM

Need = dict[str, Any]


def needs(nodes: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return what these nodes need, each thing once, in the order of the nodes.

    A node is ``{"ascend_settings": the planner's settings (roles/ascend/vars), "depot_architectures": [...]}``: its
    architecture is unknown before it was reached. ``fills`` are ``{"release", "releases_dir", "depot_dir", "served",
    "architecture", "lock", "python", "swarm"}``; ``sources`` of LLaMA-Factory have ``source`` in place of the last
    four; ``problems`` are refusals of releases and locks that do not fit; ``folders`` are the depots.

    Raises AscendError.
    """
    fills: list[Need] = []
    sources: list[Need] = []
    problems: list[Refusal] = []
    for node in nodes:
        settings, architectures = node["ascend_settings"], list(node["depot_architectures"] or ())
        where: Need = {name: str(settings[name]) for name in ("release", "releases_dir", "depot_dir")}
        # Over a mount nodes read the files as root; a web server's account is another.
        where["served"] = settings["depot_transport"] == HTTP
        own = [
            {
                **where,
                "architecture": architecture,
                "lock": str(settings["locks"].get(architecture) or ""),
                "python": str(settings["python"]),
                "swarm": settings["depot_transport"] == SWARM,
            }
            for architecture in architectures
        ]
        if settings["llamafactory_source"]:
            _add(sources, {**where, "source": dict(settings["llamafactory_source"])})
        if all(fill in fills for fill in own):
            continue
        problems += [each for each in release_problems(settings, architectures) if each not in problems]
        for fill in own:
            _add(fills, fill)
    _require_one_lock(fills)
    folders: list[Any] = list(dict.fromkeys(str(node["ascend_settings"]["depot_dir"]) for node in nodes))
    return {"fills": fills, "sources": sources, "problems": problems, "folders": folders}


def _add(needed: list[Need], need: Need) -> None:
    if need not in needed:
        needed.append(need)


def _require_one_lock(fills: list[Need]) -> None:
    """A depot has one set of wheels for a release and an architecture."""
    locks: dict[tuple[str, ...], str] = {}
    for fill in fills:
        key = (fill["depot_dir"], fill["release"], fill["architecture"])
        other = locks.setdefault(key, fill["lock"])
        if other != fill["lock"]:
            raise AscendError(
                f"two locks of release {fill['release']} for {fill['architecture']}",
                wanted="one lock per release and architecture in a depot",
                found=" and ".join(lock or "the lock of the release" for lock in (other, fill["lock"])),
                where="ascend_locks in the inventory",
                remedy="give one a release of its own (releases/README.md), or give the group its own ascend_depot_dir",
            )
