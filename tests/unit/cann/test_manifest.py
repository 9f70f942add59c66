# SPDX-License-Identifier: Apache-2.0
"""Installed files remembered: what is lost or changed is seen, what only looks changed is not, old manifests count."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files, manifest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.manifest import (
    ALTERED,
    CLOSED,
    EXTRA,
    LOST,
    UNREAD,
    UNREADABLE,
)
from tests.answers import write

FILES = {
    "opp/version.info": "Version=7.2\n",
    "opp/op.so": "library",
    "opp/deep/er/kernel.o": "kernel",
    "opp/empty": "",
    "toolkit/run": "program",
    "opp_kernel/version.info": "another package's",
    "single": "a file at the top",
}


class Installed:
    """A folder and its manifest."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.path = folder / "state/manifests/toolkit.json"
        for name, text in FILES.items():
            write(self.root, name, text)
        (self.root / "toolkit/run").chmod(0o755)
        (self.root / "link").symlink_to("opp/op.so")
        (self.root / "opp/folder").symlink_to("deep")
        self.record()

    def record(self) -> int:
        tops = ["link", "opp", "opp_kernel", "single", "toolkit"]
        return manifest.write(str(self.root), tops, str(self.path), without=["opp_kernel"])

    def differences(self, deep: bool = False) -> list[tuple[str, str]]:
        return [(found.kind, found.words) for found in manifest.verify(str(self.path), deep)]


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


@pytest.mark.parametrize("little", [manifest.LITTLE_BYTES, -1], ids=["one by one", "in threads"])
def test_nothing_differs(installed: Installed, monkeypatch: pytest.MonkeyPatch, little: int) -> None:
    monkeypatch.setattr(manifest, "LITTLE_BYTES", little)
    assert installed.record() == len(FILES) - 1 + 2
    for deep in (False, True):
        assert installed.differences(deep) == []
    (installed.root / "opp/op.so").write_text("Library")
    assert [kind for kind, _ in installed.differences(True)] == [ALTERED]
    assert os.listdir(installed.path.parent) == ["toolkit.json"]
    assert manifest.verify(str(installed.path.parent / "none.json")) == []


Change = Callable[[Path], Any]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda root: (root / "opp/op.so").unlink(), (LOST, "missing opp/op.so")),
        (lambda root: write(root, "opp/op.so", "lib"), (ALTERED, "opp/op.so has 3 bytes, not 7")),
        (lambda root: write(root, "opp/op.so", "LIBRARY"), (ALTERED, "opp/op.so has different content")),
        (lambda root: write(root, "opp/empty", "x"), (ALTERED, "opp/empty has 1 bytes, not 0")),
        (lambda root: write(root, "single", "A FILE AT THE TOP"), (ALTERED, "single has different content")),
        (lambda root: (root / "toolkit/run").chmod(0o644), (ALTERED, "toolkit/run has mode 0644, not 0755")),
        (lambda root: (root / "opp/op.so").chmod(0o244), (ALTERED, "opp/op.so has mode 0244, not 0644")),
        (lambda root: (root / "opp/op.so").chmod(0o640), (CLOSED, "opp/op.so (0640)")),
        (lambda root: (root / "toolkit/run").chmod(0o744), (CLOSED, "toolkit/run (0744)")),
        (lambda root: (root / "opp/deep").chmod(0o750), (CLOSED, "opp/deep (0750)")),
        (lambda root: (root / "toolkit").chmod(0o711), (CLOSED, "toolkit (0711)")),
        (lambda root: (root / "link").unlink(), (LOST, "missing link")),
        (lambda root: swap(root / "link", "elsewhere"), (ALTERED, "link points to elsewhere, not opp/op.so")),
        (lambda root: swap(root / "opp/op.so", "x"), (ALTERED, "opp/op.so is no longer a regular file")),
        (
            lambda root: [(root / "link").unlink(), write(root, "link", "x")],
            (ALTERED, "link is not a link to opp/op.so"),
        ),
        (
            lambda root: [(root / "opp/op.so").unlink(), (root / "opp/op.so").mkdir()],
            (ALTERED, "opp/op.so is no longer a regular file"),
        ),
    ],
)
def test_what_differs(installed: Installed, change: Change, expected: tuple[str, str]) -> None:
    change(installed.root)
    for deep in (False, True):
        found = installed.differences(deep)
        assert [difference for difference in found if difference[0] != EXTRA] == [expected]


def swap(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def touch(*paths: Path) -> None:
    for path in paths:
        os.utime(path, follow_symlinks=False)


def hide(path: Path) -> None:
    """Change the content behind the size and the time."""
    status = path.stat()
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: os.utime(root / "opp/op.so"),
        lambda root: touch(*root.rglob("*")),
        lambda root: (root / "opp/op.so").chmod(0o777),
        lambda root: write(root, "opp/__pycache__/a.pyc", "x"),
        lambda root: write(root, "opp/a.pyc", "x"),
        lambda root: write(root, "opp_kernel/more", "x"),
        lambda root: write(root, "another top", "x"),
    ],
)
def test_what_is_no_difference(installed: Installed, change: Change) -> None:
    change(installed.root)
    for deep in (False, True):
        assert installed.differences(deep) == []


def test_a_change_behind_size_and_time(installed: Installed) -> None:
    hide(installed.root / "opp/op.so")
    assert installed.differences() == []
    assert installed.differences(deep=True) == [(ALTERED, "opp/op.so has different content")]
    hide(installed.root / "opp/version.info")
    assert installed.differences() == [(ALTERED, "opp/version.info has different content")]


def test_large_files_that_decide_are_not_read_in_the_fast_form(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "DECIDING_BYTES", 5)
    hide(installed.root / "opp/version.info")
    assert installed.differences() == []
    assert installed.differences(deep=True) == [(ALTERED, "opp/version.info has different content")]


@pytest.mark.parametrize(("bound", "value"), [("MOST_TOUCHED", 2), ("MOST_TOUCHED_BYTES", 7)])
def test_too_many_new_times_are_said(
    installed: Installed, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(manifest, bound, value)
    for path in (installed.root / "opp").rglob("*"):
        os.utime(path)
    (found,) = installed.differences()
    assert found == (UNREAD, "2 files have a different time than when they were installed, and were not read")
    assert installed.differences(deep=True) == []


def test_what_was_added(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MOST_EXTRA", 2)
    for name in ("opp/c", "opp/deep/b", "toolkit/a", "opp/d"):
        write(installed.root, name)
    assert installed.differences() == []
    assert installed.differences(deep=True) == [
        (EXTRA, "opp/c was added"),
        (EXTRA, "opp/d was added"),
        (EXTRA, "2 more files were added"),
    ]


def test_it_tells_its_paths_in_both_forms(installed: Installed) -> None:
    tops = ["toolkit", "opp", "link", "single"]
    every = {str(path.relative_to(installed.root)) for path in installed.root.rglob("*") if not path.is_dir()}
    every |= {str(path.relative_to(installed.root)) for path in installed.root.rglob("*") if path.is_symlink()}
    recorded = {path for path in every if path.split("/")[0] in tops}
    manifest.write(str(installed.root), [top for top in tops if (installed.root / top).exists()], str(installed.path))
    told = manifest.paths(str(installed.path))
    assert told is not None
    assert (set(told), len(told)) == (recorded, len(recorded))
    old = {"schema": 1, "root": str(installed.root), "files": dict.fromkeys(recorded, 1)}
    installed.path.write_text(json.dumps(old))
    assert set(manifest.paths(str(installed.path)) or ()) == recorded
    manifest.begin(str(installed.root), str(installed.path))
    assert manifest.paths(str(installed.path)) is None
    assert manifest.paths(str(installed.path) + ".absent") is None


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]\n",
        '{"schema": 3}\n',
        '{"schema": 1}\n',
        '{"schema": 1, "root": "/x", "files": {"a": null}}\n',
        "[" * 100_000,
        lambda text: text.partition("\n")[0],
        lambda text: text[: len(text) // 2],
        lambda text: text[:-20],
        lambda text: text.replace("kernel.o", "kernel.p"),
        lambda text: text.replace('"schema": 2', '"schema": 1'),
        lambda text: "\0" * len(text),
    ],
)
def test_a_damaged_manifest_is_a_difference(installed: Installed, damage: str | Callable[[str], str]) -> None:
    installed.path.write_text(damage if isinstance(damage, str) else damage(installed.path.read_text()))
    (found,) = installed.differences()
    assert found[0] == ALTERED
    assert found[1].startswith(f"manifest {installed.path} is unreadable: ")
    assert manifest.paths(str(installed.path)) is None


def test_what_may_not_be_read_is_not_lost(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_more: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", refuse)
        found = installed.differences()
    assert {kind for kind, _words in found} == {UNREADABLE}
    assert (UNREADABLE, "opp/op.so cannot be read: Permission denied") in found
    with monkeypatch.context() as patch:
        patch.setattr(files, "sha256", refuse)
        assert installed.differences() == [(UNREADABLE, "opp/version.info cannot be read: Permission denied")]
    monkeypatch.setattr("builtins.open", refuse)
    words = f"manifest {installed.path} cannot be read: Permission denied"
    assert installed.differences() == [(UNREADABLE, words)]


def test_the_sizes_of_an_old_manifest(installed: Installed) -> None:
    files: dict[str, Any] = {"opp/op.so": 7, "opp/empty": 0, "link": "-> opp/op.so", "single": 17}
    old = {"schema": 1, "root": str(installed.root), "files": files}
    installed.path.write_text(json.dumps(old, sort_keys=True))
    hide(installed.root / "opp/op.so")
    assert installed.differences() == []
    (installed.root / "opp/op.so").unlink()
    write(installed.root, "opp/empty", "x")
    swap(installed.root / "link", "x")
    swap(installed.root / "single", "opp")
    for deep in (False, True):
        assert installed.differences(deep) == [
            (ALTERED, "link points to x, not opp/op.so"),
            (LOST, "missing opp/op.so"),
            (ALTERED, "opp/empty has 1 bytes, not 0"),
            (ALTERED, "single is no longer a regular file"),
        ]


def test_another_root(installed: Installed) -> None:
    moved = installed.root.parent / "replayed" / str(installed.root).strip("/")
    moved.parent.mkdir(parents=True)
    installed.root.rename(moved)
    assert manifest.verify(str(installed.path), root=str(moved)) == []
    (moved / "opp/op.so").unlink()
    assert [found.words for found in manifest.verify(str(installed.path), root=str(moved))] == ["missing opp/op.so"]
    assert manifest.verify(str(installed.path), root="/another") == []


def test_a_writer_that_dies_leaves_the_old_manifest(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    before = installed.path.read_bytes()

    def dies(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", dies)
    write(installed.root, "opp/new", "x")
    with pytest.raises(KeyboardInterrupt):
        installed.record()
    assert installed.path.read_bytes() == before


def test_odd_names(installed: Installed) -> None:
    name = os.fsdecode(b"opp/b\xffd\n-> name")
    path = installed.root / name
    path.write_text("x")
    installed.record()
    assert installed.differences(deep=True) == []
    path.unlink()
    (found,) = installed.differences()
    assert json.loads(json.dumps(found[1]).encode()) == "missing opp/b\\udcffd\n-> name"


def test_a_file_that_cannot_be_read_is_not_recorded_as_read(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = installed.path.read_bytes()

    def fails(_path: str) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "sha256", fails)
    with pytest.raises(OSError, match="Input/output"):
        installed.record()
    assert installed.path.read_bytes() == before


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([name for name in FILES if not name.startswith("opp_kernel") and name != "opp/empty"]),
        st.sampled_from(["lost", "cut", "flipped", "hidden", "link", "folder", "touched"]),
    )
)
def test_any_damage(tmp_path_factory: pytest.TempPathFactory, damage: dict[str, str]) -> None:
    installed = Installed(tmp_path_factory.mktemp("installed"))
    for name, kind in damage.items():
        path = installed.root / name
        content = path.read_bytes()
        if kind == "touched":
            os.utime(path, ns=(0, 0))
            continue
        if kind == "hidden":
            hide(path)
            continue
        path.unlink()
        if kind == "cut":
            path.write_bytes(content[1:])
        elif kind == "flipped":
            path.write_bytes(content.swapcase())
        elif kind == "link":
            path.symlink_to("x" * len(content))
        elif kind == "folder":
            path.mkdir()
    for deep in (False, True):
        expected = {
            name
            for name, kind in damage.items()
            if kind != "touched" and (deep or kind != "hidden" or name.endswith(".info"))
        }
        found = manifest.verify(str(installed.path), deep)
        assert {difference.path for difference in found if difference.kind != EXTRA} == expected
        for difference in found:
            if difference.kind != EXTRA:
                assert (difference.kind == LOST) == (damage[difference.path] == "lost")
