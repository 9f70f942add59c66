# SPDX-License-Identifier: Apache-2.0
"""Editable checkouts: where they lie, and the commit they are at, without git (and once with it)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import checkout

A, B = "a" * 40, "b" * 64
DIRECT = [
    ({"url": "file:///opt/LLaMA-Factory", "dir_info": {"editable": True}}, "/opt/LLaMA-Factory"),
    ({"url": "file://localhost/opt/a%20b", "dir_info": {"editable": True}}, "/opt/a b"),
    ({"url": "file:///opt/x", "dir_info": {"editable": False}}, None),
    ({"url": "file:///opt/x", "dir_info": {}}, None),
    ({"url": "file:///opt/x", "dir_info": "editable"}, None),
    ({"url": "file:///opt/x.whl", "archive_info": {}}, None),
    ({"url": "https://example.org/x", "dir_info": {"editable": True}}, "https://example.org/x"),
    ({"url": "file:///opt/%00", "dir_info": {"editable": True}}, "file:///opt/%00"),
    ({"url": "file://[", "dir_info": {"editable": True}}, "file://["),
    ({"url": 7, "dir_info": {"editable": True}}, "7"),
    ({"dir_info": {"editable": True}}, "None"),
    ([1], None),
]


@pytest.mark.parametrize(("direct", "wanted"), DIRECT)
def test_where_it_lies(direct: object, wanted: str | None, tmp_path: Path) -> None:
    assert checkout.editable_path(str(tmp_path)) is None
    (tmp_path / "direct_url.json").write_text(json.dumps(direct))
    assert checkout.editable_path(str(tmp_path)) == wanted


def git(folder: Path, **content: str) -> None:
    for name, text in content.items():
        path = folder / {"refs": "refs/heads/main", "packed": "packed-refs"}.get(name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


PACKED = (
    f"# pack-refs with: peeled fully-peeled sorted\n{'c' * 40} refs/heads/main2\n{A} refs/heads/main\n^{'d' * 40}\n"
)
HEADS = [
    ({"HEAD": A + "\n"}, A),
    ({"HEAD": B}, B),
    ({"HEAD": "ref: refs/heads/main\n", "refs": A + "\n"}, A),
    ({"HEAD": "ref: refs/heads/main\n", "packed": PACKED}, A),
    ({"HEAD": "ref: refs/heads/main\n", "refs": B, "packed": PACKED}, B),
    ({"HEAD": "ref: refs/heads/gone\n", "packed": PACKED}, None),
    ({"HEAD": "ref: refs/heads/main\n", "refs": "ref: refs/heads/main\n"}, None),
    ({"HEAD": "ref: refs/../../secret\n", "refs": A, "../secret": A}, None),
    ({"HEAD": "ref: /etc/passwd\n"}, None),
    ({"HEAD": "ref: refs/heads/.invalid\n"}, None),
    ({"HEAD": "nonsense\0\n"}, None),
    ({"HEAD": A[:-1]}, None),
    ({}, None),
]


@pytest.mark.parametrize(("content", "wanted"), HEADS)
def test_commits(content: dict[str, str], wanted: str | None, tmp_path: Path) -> None:
    git(tmp_path / ".git", **content)
    assert checkout.commit(str(tmp_path)) == wanted


def test_a_worktree(tmp_path: Path) -> None:
    git(tmp_path / "main/.git", refs=A)
    git(tmp_path / "main/.git/worktrees/other", HEAD="ref: refs/heads/main\n", commondir="../..\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/.git").write_text(f"gitdir: {tmp_path}/main/.git/worktrees/other\n")
    assert checkout.commit(str(tmp_path / "other")) == A
    (tmp_path / "other/.git").write_text("gitdir: \0\n")
    assert checkout.commit(str(tmp_path / "other")) is None


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
@pytest.mark.parametrize("packed", [False, True])
def test_as_git_itself_says(packed: bool, tmp_path: Path) -> None:
    def run(*argv: str) -> str:
        settings = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        said = subprocess.run(["git", *settings, *argv], cwd=tmp_path, env=environment, capture_output=True, check=True)
        return said.stdout.decode().strip()

    run("init")
    run("commit", "--allow-empty", "-m", "x")
    if packed:
        run("pack-refs", "--all")
    assert checkout.commit(str(tmp_path)) == run("rev-parse", "HEAD")


def test_egg_links(tmp_path: Path) -> None:
    link = tmp_path / "x.egg-link"
    assert checkout.linked_path(str(link)) is None
    for text, wanted in (("/src/x\n.", "/src/x"), ("", None), ("relative\n", None), ("/a\0b\n", None)):
        link.write_text(text)
        assert checkout.linked_path(str(link)) == wanted
