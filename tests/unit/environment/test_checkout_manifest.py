# SPDX-License-Identifier: Apache-2.0
"""What counts as an edit of a checkout, and what does not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import checkout_manifest

Damage = Callable[[Path], object]
FILES = {
    "README.md": "what it is\n",
    "data/dataset_info.json": "{}\n",
    "examples/run.sh": "#!/bin/sh\n",
    "scripts/tool.py": "t = 1\n",
    "src/train.py": "x = 1\n",
    "src/llamafactory/__init__.py": "",
    "src/llamafactory/model/loader.py": "y = 1\n",
}


def fill(root: Path) -> Path:
    """A checkout as an archive brings it, with what does not count beside what does."""
    others = ("saves/old.json", ".git/HEAD", "src/llamafactory.egg-info/PKG-INFO", "src/__pycache__/train.pyc", "x.pyc")
    for path, text in {**FILES, **dict.fromkeys(others, "x")}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "examples/run.sh").chmod(0o755)
    (root / "examples/latest").symlink_to("run.sh")
    return root


def rewrite(path: Path, text: str) -> None:
    """Another content, with the old time where the size is the same."""
    before = path.stat()
    path.write_text(text)
    if path.stat().st_size == before.st_size:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def new_time(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, (1, 1))


def package(root: Path, path: str) -> None:
    (root / path).mkdir(parents=True)
    (root / path / "__init__.py").write_text("")


def linked_package(root: Path, path: str) -> None:
    package(root.parent, "mine")
    (root / path).symlink_to(root.parent / "mine")


def linked(root: Path, path: str) -> None:
    """Somebody's own copy, led to from where the folder was."""
    (root / path).rename(root.parent / "elsewhere")
    (root / path).symlink_to(root.parent / "elsewhere")


def replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "mine").write_text("mine")


def replaced_by_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("mine")


def relink(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


MODEL = "src/llamafactory/model"
PACKAGE = ["src/llamafactory/__init__.py", f"{MODEL}/loader.py"]
EVERY = sorted([*FILES, "examples/latest"])
# Damage, and the paths that are edits then.
EDITS: dict[str, tuple[Damage, list[str]]] = {
    "longer": (lambda root: rewrite(root / "src/train.py", "x = 10\n"), ["src/train.py"]),
    "as long, a new time": (lambda root: new_time(root / "src/train.py", "x = 2\n"), ["src/train.py"]),
    "outside of src": (lambda root: rewrite(root / "data/dataset_info.json", "{1: 2}"), ["data/dataset_info.json"]),
    "removed": (lambda root: (root / f"{MODEL}/loader.py").unlink(), [f"{MODEL}/loader.py"]),
    "a folder removed": (lambda root: shutil.rmtree(root / "src/llamafactory"), PACKAGE),
    "not to be run": (lambda root: (root / "examples/run.sh").chmod(0o644), ["examples/run.sh"]),
    "not to be read": (lambda root: (root / "README.md").chmod(0o600), ["README.md"]),
    "a link elsewhere": (lambda root: relink(root / "examples/latest", "/other"), ["examples/latest"]),
    "a link in place": (lambda root: relink(root / "src/train.py", "/other.py"), ["src/train.py"]),
    "a folder in place": (lambda root: replaced_by_folder(root / "src/train.py"), ["src/train.py"]),
    "a file in place of a folder": (lambda root: replaced_by_file(root / "src/llamafactory"), PACKAGE),
    "a link in place of a folder": (lambda root: linked(root, "src/llamafactory"), PACKAGE),
    "a link in place of a folder within": (lambda root: linked(root, MODEL), [f"{MODEL}/loader.py"]),
    "a module": (lambda root: (root / MODEL / "mine.py").write_text(""), [f"{MODEL}/mine.py"]),
    "a module that shadows one": (lambda root: (root / "src/torch.py").write_text(""), ["src/torch.py"]),
    "a compiled module": (lambda root: (root / MODEL / "mine.so").write_text(""), [f"{MODEL}/mine.so"]),
    "a package": (lambda root: package(root, "src/mine"), ["src/mine/__init__.py"]),
    "a package in one": (lambda root: package(root, f"{MODEL}/mine"), [f"{MODEL}/mine/__init__.py"]),
    "a link to a package": (
        lambda root: linked_package(root, "src/mine"),
        ["src/mine"],
    ),
}
# What running, training and looking around leave: nobody's edit.
OTHERS: dict[str, Damage] = {
    "results": lambda root: tree_of(root / "saves/lora/modeling_qwen.py"),
    "results below src": lambda root: tree_of(root / "src/saves/lora/modeling_qwen.py"),
    "results that the archive had": lambda root: (root / "saves/old.json").write_text("new"),
    "byte code": lambda root: tree_of(root / f"{MODEL}/__pycache__/loader.cpython-310.pyc"),
    "an egg-info": lambda root: (root / "src/llamafactory.egg-info/PKG-INFO").write_text("new"),
    "git's own": lambda root: tree_of(root / ".git/logs/HEAD"),
    "a program of a user's": lambda root: tree_of(root / "mine.py"),
    "data": lambda root: tree_of(root / "data/mine.json"),
    "no module": lambda root: tree_of(root / f"{MODEL}/notes.txt"),
    "a new time": lambda root: os.utime(root / "src/train.py", (1, 1)),
    "more rights": lambda root: (root / "src/train.py").chmod(0o777),
    "a link to results": lambda root: (root / "src/results").symlink_to("/tmp"),
    "wandb": lambda root: tree_of(root / "wandb/run/x.py"),
}


def tree_of(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fill(tmp_path / "checkout")


def test_what_is_recorded(root: Path) -> None:
    taken = checkout_manifest.taken(str(root))
    assert sorted(taken) == EVERY
    assert taken["examples/latest"] == ["run.sh"]
    assert taken["examples/run.sh"][::2] == [10, 0o755]
    assert checkout_manifest.edits(str(root), taken) == checkout_manifest.edits(str(root), taken, deep=True) == []


@pytest.mark.parametrize("kind", EDITS)
def test_edits(root: Path, kind: str) -> None:
    taken = checkout_manifest.taken(str(root))
    damage, wanted = EDITS[kind]
    damage(root)
    assert checkout_manifest.edits(str(root), taken) == wanted
    assert checkout_manifest.edits(str(root), taken, deep=True) == wanted


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_edit(root: Path, kind: str) -> None:
    taken = checkout_manifest.taken(str(root))
    OTHERS[kind](root)
    assert checkout_manifest.edits(str(root), taken) == checkout_manifest.edits(str(root), taken, deep=True) == []


def test_only_the_deep_form_reads_what_kept_its_size_and_time(root: Path) -> None:
    taken = checkout_manifest.taken(str(root))
    rewrite(root / "src/train.py", "x = 2\n")
    assert checkout_manifest.edits(str(root), taken) == []
    assert checkout_manifest.edits(str(root), taken, deep=True) == ["src/train.py"]


def test_a_large_file_is_left_to_the_deep_form(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout_manifest, "MOST_READ", 5)
    taken = checkout_manifest.taken(str(root))
    new_time(root / "src/train.py", "x = 2\n")
    new_time(root / "data/dataset_info.json", "[]\n")
    assert checkout_manifest.edits(str(root), taken) == ["data/dataset_info.json"]
    assert checkout_manifest.edits(str(root), taken, deep=True) == ["data/dataset_info.json", "src/train.py"]


def test_a_link_in_place_of_the_checkout(root: Path, tmp_path: Path) -> None:
    taken = checkout_manifest.taken(str(root))
    linked(tmp_path, root.name)
    assert checkout_manifest.edits(str(root), taken) == EVERY


def test_facts(root: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest"
    nothing: dict[str, Any] = {"path": "/x", "archive": None, "edited": [], "edited_count": 0}
    assert checkout_manifest.read("/x", str(root), str(manifest)).facts() == {
        **nothing, "commit": None, "recorded_commit": None, "recorded": False,
    }  # fmt: skip
    checkout_manifest.write(
        str(manifest), checkout_manifest.Manifest("f" * 64, "a" * 40, checkout_manifest.taken(str(root)))
    )
    known = {**nothing, "archive": "f" * 64, "recorded_commit": "a" * 40, "recorded": True}
    assert checkout_manifest.read("/x", str(root), str(manifest)).facts() == {**known, "commit": "a" * 40}
    (root / ".git/HEAD").write_text("b" * 40)
    assert checkout_manifest.read("/x", str(root), str(manifest)).facts() == {**known, "commit": "b" * 40}
    shutil.rmtree(root)
    found = checkout_manifest.read("/x", str(root), str(manifest)).facts()
    assert (found["edited"], found["edited_count"]) == (EVERY[:5], 8)


def test_words_that_no_terminal_takes(root: Path) -> None:
    (root / "src" / os.fsdecode(b"\xff\x1b[31m.py")).write_text("")
    (edited,) = checkout_manifest.edits(str(root), checkout_manifest.taken(str(fill(root.parent / "other"))))
    source = checkout_manifest.Checkout("/x", None, None, (edited,))
    assert source.facts()["edited"] == [r"src/\xdcff\x1b[31m.py"]


def test_names_of_any_bytes_are_recorded(root: Path, tmp_path: Path) -> None:
    (root / os.fsdecode(b"od\xff,name")).write_text("1")
    manifest = str(tmp_path / "manifest")
    checkout_manifest.write(manifest, checkout_manifest.Manifest("f" * 64, None, checkout_manifest.taken(str(root))))
    assert checkout_manifest.read("/x", str(root), manifest, deep=True).edited == ()
    (root / os.fsdecode(b"od\xff,name")).unlink()
    assert checkout_manifest.read("/x", str(root), manifest).edited == (os.fsdecode(b"od\xff,name"),)


@pytest.mark.parametrize(
    "changes",
    [
        {"archive": 7},
        {"commit": 7},
        {"files": {}},
        {"files": []},
        {"files": {"a": ["x", "y"]}},
        {"files": {"a": [1, 2, 3]}},
        {"files": {"a": "x"}},
        {"files": {"\0": ["x"]}},
    ],
)
def test_a_record_that_cannot_be_used(changes: dict[str, Any], tmp_path: Path) -> None:
    good = {"archive": "f" * 64, "commit": None, "files": {"a": [1, 2, 3, "x"], "b": ["a"]}}
    (tmp_path / "manifest").write_text(json.dumps(good))
    assert checkout_manifest.load(str(tmp_path / "manifest")) is not None
    (tmp_path / "manifest").write_text(json.dumps({**good, **changes}))
    assert checkout_manifest.load(str(tmp_path / "manifest")) is None


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_record_never_raises(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    root = fill(folder / "checkout")
    manifest = folder / "manifest"
    checkout_manifest.write(
        str(manifest), checkout_manifest.Manifest("f" * 64, None, checkout_manifest.taken(str(root)))
    )
    old = manifest.read_bytes()
    cut = data.draw(st.integers(0, len(old)))
    manifest.write_bytes(old[:cut] + data.draw(st.binary(max_size=20)) + old[cut + data.draw(st.integers(0, 20)) :])
    for deep in (False, True):
        json.dumps(checkout_manifest.read("/x", str(root), str(manifest), deep).facts())
