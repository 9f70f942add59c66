# SPDX-License-Identifier: Apache-2.0
"""Read what a release is (``releases/<name>/release.yml`` and its locks) and what the depot holds (``index.json``).

Runs on the control node, with its Python. Every file is read once per change of its time stamp: a playbook asks for
the same release once per node.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.ascend.errors import AscendError
from ansible.module_utils.ascend.python.lock import digest, parse

# libyaml's is ten times as fast, and every worker of a fleet's check reads the release.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_release(folder: str) -> dict[str, Any]:
    """Return the release in ``folder`` as ``release.yml`` says it."""
    path = Path(folder) / "release.yml"
    if not path.is_file():
        known = sorted(entry.parent.name for entry in path.parent.parent.glob("*/release.yml"))
        raise AscendError(
            f"there is no release {path.parent.name}",
            wanted=str(path),
            found=", ".join(known) or "no release at all",
            remedy="set ascend_release to one of those, or add a folder: releases/README.md",
        )
    return _yaml(str(path), path.stat().st_mtime_ns)


def read_lock(path: str) -> tuple[dict[str, str], str]:
    """Return (distribution name -> version, lock digest of 12 hexadecimal digits) of a lock file."""
    file = Path(path)
    if not file.is_file():
        raise AscendError("a lock is missing", wanted=path, found="no such file", remedy="see releases/README.md")
    return _lock(path, file.stat().st_mtime_ns)


def read_index(depot: str) -> dict[str, Any]:
    """Return the depot's index, or an empty one while the depot has not been filled."""
    path = Path(depot) / "index.json"
    if not path.is_file():
        return {"files": {}, "pythons": {}, "uv": {}, "cann": {}, "locks": {}, "sources": {}}
    return _json(str(path), path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _yaml(path: str, _changed_ns: int) -> dict[str, Any]:
    with Path(path).open(encoding="utf-8") as file:
        release: dict[str, Any] = yaml.load(file, Loader=_LOADER)
    return release


@functools.lru_cache(maxsize=32)
def _json(path: str, _changed_ns: int) -> dict[str, Any]:
    with Path(path).open(encoding="utf-8") as file:
        index: dict[str, Any] = json.load(file)
    return index


@functools.lru_cache(maxsize=32)
def _lock(path: str, _changed_ns: int) -> tuple[dict[str, str], str]:
    text = Path(path).read_text(encoding="utf-8")
    return parse(text), digest(text)
