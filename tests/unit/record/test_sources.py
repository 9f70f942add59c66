# SPDX-License-Identifier: Apache-2.0
"""What a record lists of folders: level by level, no deeper than it is told."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.record.sources import Trees


def listed(root: Path, depth: int) -> list[str]:
    """The folders that are listed below /top, in order."""
    node = Node(lambda _argv, _timeout_s: Result(127, "", False), lambda _name: None, str(root))
    section = Trees(node).section("/top", depth)
    return [line.rstrip(":") for line in section.content.splitlines() if line.endswith(":")] if section else []


def test_folders_are_listed_level_by_level(tmp_path: Path) -> None:
    for path in ("a/deep/deeper", "b/other"):
        (tmp_path / "top" / path).mkdir(parents=True)
    (tmp_path / "top/b/file").write_text("no folder")
    (tmp_path / "top/c").symlink_to("a")
    levels = [["/top"], ["/top/a", "/top/b"], ["/top/a/deep", "/top/b/other"], ["/top/a/deep/deeper"]]
    for depth in range(1, 6):
        assert listed(tmp_path, depth) == [folder for level in levels[:depth] for folder in level]
    assert listed(tmp_path / "absent", 4) == []
