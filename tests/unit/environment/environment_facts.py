# SPDX-License-Identifier: Apache-2.0
"""Facts and findings of the environments that lie below a folder, and changes to one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import read as environment_read
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import Finding
from tests import environment_tree as tree

ROOT = "/opt/ascend/env"
Damage = Callable[[Path], object]


def whole(root: Path) -> Path:
    """The folder of a whole environment on a node whose root is ``root``."""
    tree.python(root)
    return tree.environment(root, tree.PINS)


def read(root: Path, deep: bool = False) -> tuple[Any, list[Finding]]:
    facts, findings = environment_read.read_environments(tree.node(root), ROOT, deep)
    assert json.loads(json.dumps((facts, findings))) == [facts, findings]
    for finding in findings:
        assert finding["subset"] == "python"
        assert all(finding[key] for key in ("name", "problem", "wanted", "found", "where", "remedy")), finding
    return facts, findings


def one(root: Path, deep: bool = False) -> dict[str, Any]:
    environment: dict[str, Any] = read(root, deep)[0]["all"][tree.NAME]
    return environment


def words(found: dict[str, Any]) -> list[str]:
    """The texts of an environment's problems."""
    return [each["problem"] for each in found["problems"]]


def names(root: Path, deep: bool = False) -> list[str]:
    return [finding["name"] for finding in read(root, deep)[1]]


def site(place: Path) -> Path:
    return place / "lib/python3.10/site-packages"


def record(place: Path, **changes: object) -> None:
    value = json.loads((place / environment_read.RECEIPT).read_text())
    (place / environment_read.RECEIPT).write_text(json.dumps({**value, **changes}))


def editable(place: Path, source: str = "/src/fire") -> None:
    direct = {"url": f"file://{source}", "dir_info": {"editable": True}}
    (site(place) / "fire-0.7.0.dist-info/direct_url.json").write_text(json.dumps(direct))
