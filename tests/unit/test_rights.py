# SPDX-License-Identifier: Apache-2.0
"""Whether others can use what is installed: the way to it, and itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A node's root, in which all may pass."""
    for folder in ("opt/ascend/env", "opt/ascend/python", "usr/local/bin", "data"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "usr/local/bin/ascend-env").write_text("#!/bin/sh\n")
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755)
    return tmp_path


def read(node: Path) -> list[tuple[str, str, bool]]:
    def place(path: str) -> str:
        return str(node) + path

    found = rights.read("/opt/ascend", "/usr/local/bin/ascend-env", place)
    return [(each["path"], each["mode"], each["ours"]) for each in found]


def test_nothing_is_closed(node: Path) -> None:
    assert read(node) == []


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o744, 0o711])
@pytest.mark.parametrize("path", ["/opt/ascend", "/opt/ascend/env", "/opt/ascend/python"])
def test_ours(node: Path, path: str, mode: int) -> None:
    (node / path[1:]).chmod(mode)
    assert read(node) == [(path, f"{mode:04o}", True)]


@pytest.mark.parametrize("path", ["/opt", "/usr", "/usr/local", "/usr/local/bin"])
def test_what_lies_above_is_not_ours(node: Path, path: str) -> None:
    (node / path[1:]).chmod(0o750)
    assert read(node) == [(path, "0750", False)]


def test_what_lies_above_need_not_be_listed(node: Path) -> None:
    (node / "opt").chmod(0o711)
    assert read(node) == []


def test_a_program_that_others_cannot_run(node: Path) -> None:
    (node / "usr/local/bin/ascend-env").chmod(0o700)
    assert read(node) == [("/usr/local/bin/ascend-env", "0700", True)]


def test_links_are_followed(node: Path) -> None:
    (node / "data/big/ascend/env").mkdir(parents=True)
    (node / "data/big/ascend/env").chmod(0o700)
    (node / "data/big").chmod(0o700)
    for name in ("env", "python", ""):
        (node / "opt/ascend" / name).rmdir()
    (node / "opt/ascend").symlink_to("../data/big/ascend")
    assert read(node) == [("/data/big", "0700", False), ("/data/big/ascend/env", "0700", True)]


def test_a_link_that_leads_to_itself_ends(node: Path) -> None:
    (node / "opt/ascend/env").rmdir()
    (node / "opt/ascend/env").symlink_to("env")
    assert read(node) == []


def test_a_mount_is_not_ours(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (node / "opt/ascend").chmod(0o700)
    monkeypatch.setattr(os.path, "ismount", lambda path: path == f"{node}/opt/ascend")
    assert read(node) == [("/opt/ascend", "0700", False)]


def test_before_anything_is_there(node: Path) -> None:
    for path in ("opt/ascend/env", "opt/ascend/python", "opt/ascend"):
        (node / path).rmdir()
    (node / "usr/local/bin/ascend-env").unlink()
    assert read(node) == []


@pytest.mark.parametrize(
    ("mode", "after"),
    [(0o600, 0o644), (0o700, 0o755), (0o400, 0o444), (0o644, 0o644), (0o640, 0o644), (0o500, 0o555), (0o4700, 0o4755)],
)
def test_a_file_is_opened_as_far_as_its_owner_may(tmp_path: Path, mode: int, after: int) -> None:
    file = tmp_path / "file"
    file.write_text("")
    file.chmod(mode)
    assert rights.open_to_all(rights.closed([str(file)])) == (mode != after)
    assert file.stat().st_mode & 0o7777 == after
    assert rights.closed([str(file)]) == []


def test_a_tree_is_opened_and_links_and_what_is_left_out_are_not(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o600)
    tree = tmp_path / "tree"
    for name in ("lib/deep", "src/mine"):
        (tree / name).mkdir(parents=True)
        (tree / name / "file").write_text("")
        (tree / name / "file").chmod(0o600)
    (tree / "lib" / "link").symlink_to(outside)
    (tree / "lib").chmod(0o700)
    tree.chmod(0o700)
    assert rights.open_to_all(rights.closed_below(str(tree), ("src",))) == 3
    assert (tree / "lib/deep/file").stat().st_mode & 0o777 == 0o644
    assert (tree / "lib").stat().st_mode & 0o777 == tree.stat().st_mode & 0o777 == 0o755
    assert (tree / "src/mine/file").stat().st_mode & 0o777 == outside.stat().st_mode & 0o777 == 0o600
    assert list(rights.closed_below(str(tree), ("src",))) == []


def test_root_opens_what_anybody_owns_and_others_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, since a tree that was given to a user is to be used by the others, too; a depot may be filled by a user."""
    file = tmp_path / "file"
    file.write_text("")
    file.chmod(0o600)
    owner = file.stat().st_uid
    for user, opened in ((owner + 1, 0), (owner, 1), (0, 1)):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        assert len(list(rights.own([str(file)]))) == opened


def test_a_link_in_the_place_of_what_is_opened_is_not_followed(tmp_path: Path) -> None:
    """Somebody who may write there would have /root opened."""
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "folder").mkdir(mode=0o700)
    found = list(rights.own([str(tmp_path / "folder")]))
    (tmp_path / "folder").rmdir()
    (tmp_path / "folder").symlink_to("private")
    assert list(rights.own([str(tmp_path / "folder")])) == []
    with pytest.raises(OSError, match="symbolic links"):
        rights.open_to_all(found)
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700


def test_the_way_to_the_depot_is_refused_with_the_command(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    with pytest.raises(AscendError, match="cannot reach") as told:
        rights.require_way(f"{tmp_path}/depot", "the web server")
    assert told.value.as_dict()["remedy"].startswith("chmod o+rx /")
