# SPDX-License-Identifier: Apache-2.0
"""Which of the depot's files the nodes of a mirror need, whatever is installed on them now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from ..release.read import release_of
from .index import python_of
from .trouble import read_index

Asked = dict[str, Any]


def sums_needed(nodes: Iterable[Asked]) -> set[str]:
    """Return the sums of what these nodes need, by their releases and architectures (``needs``).

    What only a node knows, such as its chip, counts in every variant. Raises AscendError if a depot cannot be read.
    """
    found = set()
    for node in nodes:
        settings = node["ascend_settings"]
        index, release = read_index(str(settings["depot_dir"])), release_of(settings)
        for architecture in node["depot_architectures"]:
            found |= {index["files"].get(name, {}).get("sha256", "") for name in _names(index, release, architecture)}
    return found - {""}


def _names(index: dict[str, Any], release: dict[str, Any], architecture: str) -> Iterator[str]:
    packages = index["cann"].get(release["cann"]["version"], {})
    by_architecture = [packages.get("toolkit", {}), *packages.get("kernels", {}).values(), index["uv"]]
    entries = [of.get(architecture) for of in by_architecture]
    entries.append(python_of(index["pythons"], architecture, release["python"]["series"]))
    entries += [entry for of in index["sources"].values() for entry in of.values()]
    yield from (entry.get("file", "") if isinstance(entry, dict) else str(entry or "") for entry in entries)
    wheels = index["locks"].get(release["release"], {}).get(architecture, {}).get("wheels")
    yield from (name for name in index["files"] if wheels and os.path.dirname(name) == wheels)
