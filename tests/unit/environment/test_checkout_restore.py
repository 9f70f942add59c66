# SPDX-License-Identifier: Apache-2.0
"""An edited checkout is brought back to its archive, and nothing that users made is lost, wherever that breaks off."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import checkout_manifest, checkout_restore
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from tests.unit.environment.test_checkout_manifest import EDITS, FILES, OTHERS, fill, rewrite

A, B = "a" * 40, "b" * 40


class Place:
    """An environment's folder with a checkout in it, and the archive that it came from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = folder / "env"
        self.env.mkdir(parents=True)
        self.checkout = self.env / "src/LLaMA-Factory"
        self.manifest = self.env / ".manifest"
        content = fill(folder / "content")
        (content / ".git/HEAD").write_text(A)
        self.archive = archived(content, folder / "source.tar.gz")
        shutil.rmtree(content)
        assert self.restore() == ""

    def restore(self) -> str:
        building = self.folder / "building"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        sha256 = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        said = (str(self.checkout), str(self.archive), sha256, str(self.manifest), str(building / "source"))
        return checkout_restore.restore(*said)

    def read(self) -> checkout_manifest.Checkout:
        return checkout_manifest.read("/x", str(self.checkout), str(self.manifest), deep=True)


def archived(content: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(content, "LLaMA-Factory")
    return archive


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "node")


def content(folder: Path) -> dict[str, Any]:
    """Everything below a folder: rights and bytes of files, targets of links."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = os.readlink(path)
        elif path.is_file():
            found[str(path.relative_to(folder))] = (path.stat().st_mode, path.read_bytes())
    return found


def test_what_is_unpacked_is_recorded(place: Place) -> None:
    found = place.read()
    assert found.manifest is not None
    assert sorted(found.manifest.files) == sorted([*FILES, "examples/latest"])
    assert found.manifest.archive == hashlib.sha256(place.archive.read_bytes()).hexdigest()
    assert (found.commit, found.manifest.commit, found.edited) == (A, A, ())
    assert (place.checkout / "saves/old.json").is_file()
    assert sorted(path.name for path in place.env.iterdir()) == [".manifest", "src"]


@pytest.mark.parametrize("kind", EDITS)
def test_every_edit_is_restored_and_kept(place: Place, kind: str) -> None:
    for name in OTHERS.keys() - {"more rights"}:
        OTHERS[name](place.checkout)
    good = content(place.checkout)
    damage, paths = EDITS[kind]
    damage(place.checkout)
    edited = content(place.checkout)
    assert place.read().edited == tuple(paths)
    kept = place.restore()
    assert place.read().edited == ()
    now = content(place.checkout)
    for path in (*FILES, "examples/latest"):
        assert now[path] == good[path]
    # Byte code is Python's, and made again.
    gone = {(path, what) for path, what in set(edited.items()) - set(now.items()) if "__pycache__" not in path}
    assert gone <= set(content(Path(kept)).items() if kept else ())
    assert place.restore() == ""


@pytest.mark.parametrize("kind", OTHERS)
def test_nothing_else_is_touched(place: Place, kind: str) -> None:
    OTHERS[kind](place.checkout)
    before = {path: path.lstat() for path in place.checkout.rglob("*")}
    rewrite(place.checkout / "README.md", "mine")
    assert place.restore() != ""
    for path, status in before.items():
        if path.name not in ("README.md", "LLaMA-Factory"):
            assert path.lstat().st_ino == status.st_ino
            assert path.lstat().st_mtime_ns == status.st_mtime_ns or path.is_dir()


def test_where_edits_are_kept(place: Place) -> None:
    kept = set()
    for text in ("first", "second", "third"):  # within one second
        (place.checkout / "src/train.py").write_text(text)
        kept.add(place.restore())
    assert len(kept) == 3
    assert {(Path(folder) / "src/train.py").read_text() for folder in kept} == {"first", "second", "third"}
    for folder in kept:
        assert re.fullmatch(rf"{place.env}/edited/\d{{8}}T\d{{6}}Z(-\d+)?", folder)


def test_a_file_is_never_missing_while_it_is_replaced(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.checkout / "src/train.py").write_text("mine")
    replace = os.replace
    seen = []

    def watched(source: str, target: str) -> None:
        seen.append(Path(target).is_file())
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    place.restore()
    assert seen[-1]
    assert (place.checkout / "src/train.py").read_text() == FILES["src/train.py"]


def test_what_a_link_leads_to_is_not_touched(place: Place) -> None:
    for name in ("src", "data"):
        (place.checkout / name).rename(place.folder / name)
        (place.checkout / name).symlink_to(place.folder / name)
        rewrite(place.folder / name / {"src": "train.py", "data": "dataset_info.json"}[name], "somebody's own")
    before = content(place.folder / "src"), content(place.folder / "data")
    kept = Path(place.restore())
    assert (content(place.folder / "src"), content(place.folder / "data")) == before
    assert os.readlink(kept / "src") == str(place.folder / "src")
    assert not (place.checkout / "src").is_symlink()
    assert place.read().edited == ()


@pytest.mark.parametrize("leads", [True, False])
def test_something_in_place_of_the_checkout(place: Place, leads: bool) -> None:
    place.checkout.rename(place.folder / "mine")
    if leads:
        place.checkout.symlink_to(place.folder / "mine")
    else:
        place.checkout.write_text("mine")
    before = content(place.folder / "mine")
    kept = Path(place.restore())
    assert content(place.folder / "mine") == before
    assert (kept / "LLaMA-Factory").is_symlink() == leads
    assert place.read().edited == ()
    assert not place.checkout.is_symlink()


# --- a repair that breaks off ------------------------------------------------------------------------------------

CALLS = ("replace", "rename", "link", "mkdir")


def interrupted(place: Place, monkeypatch: pytest.MonkeyPatch, at: int) -> bool:
    """Restore, but break off at the call of that number that changes something; tell whether it came to that."""
    calls = 0

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            if str(place.env) not in "".join(str(argument) for argument in arguments):
                return real(*arguments, **options)
            calls += 1
            if calls == at:
                raise KeyboardInterrupt
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, counting(getattr(os, name)))
        try:
            place.restore()
        except KeyboardInterrupt:
            return True
    return False


def test_broken_off_anywhere_and_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = 0
    broken_off = True
    while broken_off:
        at += 1
        place = Place(tmp_path / str(at))
        (place.checkout / "src/train.py").write_text("mine 1")
        shutil.rmtree(place.checkout / "src/llamafactory/model")
        (place.checkout / "src/llamafactory/model").symlink_to("/elsewhere")
        (place.checkout / "src/added.py").write_text("mine 2")
        (place.checkout / ".git/HEAD").write_text(B)
        (place.checkout / "saves/new").write_text("mine 3")
        broken_off = interrupted(place, monkeypatch, at)
        again = place.read()
        if broken_off:
            assert again.edited or again.commit == B or not list(place.env.glob("edited/*/*"))
        place.restore()
        done = place.read()
        assert (done.commit, done.edited) == (A, ())
        kept = {path.name: path for path in place.env.glob("edited/**/*")}
        assert [kept[name].read_text() for name in ("train.py", "added.py", "HEAD")] == ["mine 1", "mine 2", B]
        assert os.readlink(kept["model"]) == "/elsewhere"
        assert (place.checkout / "saves/new").read_text() == "mine 3"
    assert at > 10


# --- commits -----------------------------------------------------------------------------------------------------


def test_another_commit_is_kept_with_its_history(place: Place) -> None:
    (place.checkout / ".git/HEAD").write_text(B)
    (place.checkout / ".git/objects").mkdir()
    (place.checkout / "saves/new").write_text("mine")
    rewrite(place.checkout / "src/train.py", "x = 3\n")
    assert place.read().commit == B
    kept = Path(place.restore())
    assert (place.read().commit, place.read().edited) == (A, ())
    assert (kept / ".git/HEAD").read_text() == B
    assert (kept / ".git/objects").is_dir()
    assert (kept / "src/train.py").read_text() == "x = 3\n"
    assert (place.checkout / "saves/new").is_file()


def test_git_at_the_same_commit_stays(place: Place) -> None:
    (place.checkout / ".git/index").write_text("mine")
    rewrite(place.checkout / "src/train.py", "x = 30\n")
    kept = Path(place.restore())
    assert (place.checkout / ".git/index").read_text() == "mine"
    assert not (kept / ".git").exists()


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
def test_the_commit_of_git_archive_and_a_history_of_a_users_own(tmp_path: Path) -> None:
    """The depot's archive is made by git archive: it holds no .git, its header names the commit."""
    place = Place(tmp_path / "node")
    shutil.rmtree(place.env / "src")
    repository = fill(tmp_path / "repository")
    shutil.rmtree(repository / ".git")
    settings = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(where: Path, *argv: str) -> str:
        said = subprocess.run(["git", *settings, *argv], cwd=where, env=environment, capture_output=True, check=True)
        return said.stdout.decode().strip()

    git(repository, "init")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "x")
    git(repository, "archive", "-o", str(place.archive), "--prefix", "LLaMA-Factory/", "HEAD")
    assert place.restore() == ""
    commit = git(repository, "rev-parse", "HEAD")
    found = place.read()
    assert found.manifest is not None
    assert (found.commit, found.manifest.commit, found.edited) == (commit, commit, ())
    git(place.checkout, "init")
    assert place.read().commit == commit, "no commit yet: it is as it was unpacked"
    git(place.checkout, "commit", "--allow-empty", "-m", "mine")
    assert place.read().commit not in (None, commit)
    kept = Path(place.restore())
    assert (kept / ".git").is_dir()
    assert not (place.checkout / ".git").exists()
    assert (place.read().commit, place.read().edited) == (commit, ())


def test_another_archive(place: Place, tmp_path: Path) -> None:
    newer = fill(tmp_path / "newer")
    (newer / "src/train.py").write_text("x = 'newer'\n")
    (newer / "src/llamafactory/model/loader.py").rename(newer / "src/llamafactory/model/newer.py")
    shutil.rmtree(newer / ".git")
    archived(newer, place.archive)
    (place.checkout / "saves/new").write_text("mine")
    kept = Path(place.restore())
    assert place.read().edited == ()
    assert (place.checkout / "src/train.py").read_text() == "x = 'newer'\n"
    assert not (place.checkout / "src/llamafactory/model/loader.py").exists()
    assert (kept / "src/train.py").read_text() == FILES["src/train.py"]
    assert (place.checkout / "saves/new").is_file()


# --- what cannot be done -----------------------------------------------------------------------------------------


def test_archives_that_are_none(place: Place, tmp_path: Path) -> None:
    place.archive.write_bytes(b"nonsense")
    with pytest.raises(AscendError, match="cannot unpack"):
        place.restore()
    for members in ({}, {"one": place.env, "two": place.env}, {"file": place.manifest}):
        with tarfile.open(place.archive, "w:gz") as tar:
            for name, path in members.items():
                tar.add(path, name)
        with pytest.raises(AscendError, match=r"wanted: one folder at its top; found: (nothing|one, two|file);"):
            place.restore()


def test_a_place_that_cannot_be_written(place: Place) -> None:
    shutil.rmtree(place.env / "src")
    (place.env / "src").write_text("mine")
    with pytest.raises(AscendError, match=r"cannot restore the checkout.*wanted: the files of source.*next: ls"):
        place.restore()
    assert (place.env / "src").read_text() == "mine"


def test_byte_code_of_what_was_replaced_is_gone(place: Place) -> None:
    """Python goes by the size and the second of a module's time: a restored file may share both with the edited one."""
    module = next(path for path in sorted((place.checkout / "src").rglob("*.py")) if path.stat().st_size)
    said = module.read_text()
    edited = module.stat()
    cache = Path(importlib.util.cache_from_source(str(module)))
    other = cache.with_name(f"other{''.join(cache.suffixes)}")
    module.write_text(said.swapcase())
    os.utime(module, ns=(edited.st_atime_ns, edited.st_mtime_ns))
    cache.parent.mkdir(exist_ok=True)
    for path in (cache, other):
        path.write_bytes(b"compiled")
    assert place.restore()
    assert module.read_text() == said
    assert [path.exists() for path in (cache, other)] == [False, True]
