# SPDX-License-Identifier: Apache-2.0
"""What the fast form sees of an environment's files: the real uv, small real wheels, and edits of all kinds."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import manifest
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import (
    build as environment,
    damage,
    lock,
    read as environment_read,
    virtualenv,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from tests.unit.environment.test_build import site_packages


@pytest.fixture
def built(wanted: environment.Wanted) -> environment.Wanted:
    environment.build(wanted, run)
    assert environment.problems(wanted) == []
    return wanted


def append(path: Path) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write("print('hello')\n")


def same_size(path: Path) -> None:
    path.write_bytes(b"#" * path.stat().st_size)


def replaced(path: Path) -> None:
    """As an editor writes: another file of that name."""
    path.with_suffix(".new").write_text("changed = True\n")
    path.with_suffix(".new").replace(path)


EDITS: list[tuple[str, Callable[[Path], None]]] = [
    ("torch_npu/__init__.py", append),
    ("torch_npu/__init__.py", same_size),
    ("torch_npu/__init__.py", replaced),
    ("torch/__init__.py", append),
    ("deepspeed/__init__.py", same_size),
]


@pytest.mark.parametrize(("name", "edit"), EDITS)
def test_an_edit_is_seen_and_cured_by_a_repair_that_is_not_deep(
    built: environment.Wanted, name: str, edit: Callable[[Path], None]
) -> None:
    file = site_packages(built) / name
    good = file.read_bytes()
    others = site_packages(built) / "transformers" / "__init__.py"
    inode = others.stat().st_ino if others.exists() else 0
    edit(file)
    (words,) = environment.problems(built)
    assert words.endswith(f": 1 file altered: {name}")
    environment.build(built, run)
    assert (environment.problems(built), file.read_bytes()) == ([], good)
    assert not inode or others.stat().st_ino == inode


def facts_of(built: environment.Wanted) -> list[str]:
    node = Node(lambda *_arguments: pytest.fail("a program is started"), lambda _name: None)
    found, findings = environment_read.read_environments(node, str(Path(built.path).parent))
    (there,) = found["all"].values()
    names = [finding["name"] for finding in findings if finding["where"].startswith(built.path)]
    return [*(problem["problem"] for problem in there["problems"]), *names]


def test_of_several_environments_the_current_one_is_held_to_its_files(built: environment.Wanted) -> None:
    """And all, where none is current: the next change may make one of them it."""
    same_size(site_packages(built) / "torch_npu" / "__init__.py")
    said = ["torch_npu: 1 file altered: torch_npu/__init__.py", "environment-files-altered"]
    assert facts_of(built) == said
    link = Path(built.path).with_name("current")
    link.symlink_to("another")
    assert facts_of(built) == []
    link.unlink()
    link.symlink_to(Path(built.path).name)
    assert facts_of(built) == said


def test_what_is_no_edit(built: environment.Wanted) -> None:
    site = site_packages(built)
    for path in site.rglob("*.pyc"):
        path.unlink()
    (site / "torch_npu" / "__pycache__").mkdir(exist_ok=True)
    (site / "torch_npu" / "__pycache__" / "new.cpython-310.pyc").write_bytes(b"x")
    (site / "torch" / "__init__.py").touch()
    (site / "torch_npu" / "__init__.py").chmod(0o666)
    (site / "torch_npu" / "left_by_a_job.json").write_text("{}")
    assert environment.problems(built) == []


def test_upper_files_come_first_and_own_ones_in_any_case(
    wanted: environment.Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "MOST", 0)
    environment.build(wanted, run)
    held = manifest._load(str(Path(wanted.path) / virtualenv.FILES))["folders"]
    site = str(site_packages(wanted).relative_to(wanted.path))
    with_files = {folder for folder, columns in held.items() if columns[0]}
    assert f"{site}/torch_npu" in with_files
    assert "bin" in with_files
    deep = {folder for folder in with_files if folder.replace(site, "").count("/") > 1}
    assert deep == set()
    assert not any(folder.endswith((".dist-info", "__pycache__")) for folder in with_files)
    monkeypatch.undo()
    environment.remove(wanted.path)
    environment.build(wanted, run)
    more = manifest._load(str(Path(wanted.path) / virtualenv.FILES))["folders"]
    assert set(held) == set(more), "the rights of every folder are looked at"


DEEP = "torch/nn/modules/linear.py"


@pytest.fixture
def deeper(wanted: environment.Wanted, tmp_path: Path) -> environment.Wanted:
    """The same environment, whose torch has a file further down."""
    wheelhouse = shutil.copytree(Path(wanted.wheelhouse.removeprefix("file://")), tmp_path / "incoming")
    (wheel,) = wheelhouse.glob("torch-*.whl")
    old = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    (record,) = (name for name in content if name.endswith("/RECORD"))
    content[DEEP] = b"class Linear:\n    pass\n"
    digest = base64.urlsafe_b64encode(hashlib.sha256(content[DEEP]).digest()).decode().rstrip("=")
    # In the middle: the first and last files of each list are measured in any case.
    rows = content[record].decode().splitlines()
    middle = [f"torch/nn/x{number}.py,," for number in range(6)]
    rows = [*rows[:1], *middle, f"{DEEP},sha256={digest},{len(content[DEEP])}", *middle[::-1], *rows[1:]]
    content[record] = ("\n".join(dict.fromkeys(rows)) + "\n").encode()
    content |= {row.partition(",")[0]: b"" for row in middle}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    text = wanted.lock.replace(old, hashlib.sha256(wheel.read_bytes()).hexdigest())
    changed = {"lock": text, "wheelhouse": wheelhouse.as_uri(), "lock_digest": lock.digest(text)}
    return environment.Wanted(**{**wanted.__dict__, **changed})


def gone(path: Path) -> None:
    path.unlink()


def folder_gone(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("damaged", [gone, folder_gone, append, same_size])
def test_a_file_further_down(deeper: environment.Wanted, damaged: Callable[[Path], None]) -> None:
    environment.build(deeper, run)
    file = site_packages(deeper) / DEEP
    good = file.read_bytes()
    damaged(file)
    what = "altered" if file.exists() else "missing"
    assert environment.problems(deeper) == [f"torch: 1 file {what}: {DEEP}"]
    environment.build(deeper, run)
    assert (environment.problems(deeper), file.read_bytes()) == ([], good)


def test_a_file_that_is_too_far_down_is_left_to_the_deep_form(
    deeper: environment.Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "MOST", 0)
    environment.build(deeper, run)
    same_size(site_packages(deeper) / DEEP)
    assert environment.problems(deeper) == []
    assert environment.problems(deeper, deep=True) == [f"torch: 1 file altered: {DEEP}"]


def test_a_lost_package_is_told_once(built: environment.Wanted) -> None:
    shutil.rmtree(site_packages(built) / "torch_npu")
    (words,) = environment.problems(built)
    assert words.startswith("torch-npu: torch_npu is missing")


@pytest.mark.parametrize("how", ["lost", "damaged"])
def test_a_repair_without_a_manifest_believes_no_file(built: environment.Wanted, how: str) -> None:
    """Else the manifest that it writes would hide what was edited."""
    file = site_packages(built) / "torch_npu" / "__init__.py"
    good, before = file.read_bytes(), file.stat()
    same_size(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    path = Path(built.path) / virtualenv.FILES
    if how == "lost":
        path.unlink()
        assert environment.problems(built) == [], "an environment of before is as it is until it is repaired"
        (Path(built.path) / "pyvenv.cfg").unlink()
        (Path(built.path) / environment_read.CANN_HOME).unlink()
        shutil.rmtree(site_packages(built) / "deepspeed")
    else:
        path.write_text(path.read_text()[:-9] + "\n")
        assert "is unreadable" in environment.problems(built)[0]
    environment.build(built, run)
    assert (environment.problems(built), file.read_bytes()) == ([], good)
    assert path.is_file()


def test_an_interrupted_repair_leaves_nothing_hidden(built: environment.Wanted) -> None:
    """Killed before the record is written: what the old manifest accuses is looked at again."""
    file = site_packages(built) / "torch_npu" / "__init__.py"
    good = file.read_bytes()
    same_size(file)
    (Path(built.path) / environment_read.RECEIPT).unlink()
    environment.build(built, run)
    assert (environment.problems(built), file.read_bytes()) == ([], good)


def test_more_new_times_than_are_read_accuse_nothing(
    built: environment.Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "MOST_TOUCHED", 0)
    for path in site_packages(built).rglob("*.py"):
        path.touch()
    assert environment.problems(built) == []


def test_sums_are_those_of_the_records(built: environment.Wanted) -> None:
    """What lies there is not believed: a file that is not as its wheel is differs when its time does."""
    file = site_packages(built) / "torch" / "__init__.py"
    path = Path(built.path) / virtualenv.FILES
    before = path.read_text()
    same_size(file)
    damage.remember(built.path, {})
    after = path.read_text()
    digests = [json.loads(text.splitlines()[1])["sha256"] for text in (before, after)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("form", ["hexadecimal", "sha512", "md5", "cut", "no sum"])
def test_a_record_with_other_sums_is_held_all_the_same(wanted: environment.Wanted, form: str) -> None:
    """As ffmpy 0.6.1 is: its RECORD has hexadecimal digits. A sum that says nothing is taken from the file."""
    environment.build(wanted, run)
    site = site_packages(wanted)
    (record,) = site.glob("torch-*.dist-info/RECORD")
    rows = [line.split(",") for line in record.read_text().splitlines()]
    for row in rows:
        if row[1] and row[0].startswith("torch/"):
            row[1] = summed(form, (site / row[0]).read_bytes())
    record.write_text("".join(",".join(row) + "\n" for row in rows))
    damage.remember(wanted.path, {})
    assert environment.problems(wanted) == []
    same_size(site / "torch" / "__init__.py")
    assert environment.problems(wanted) == ["torch: 1 file altered: torch/__init__.py"]


def summed(form: str, data: bytes) -> str:
    """A sum as a RECORD of that form has it."""
    digest = hashlib.sha256(data).digest()
    forms = {
        "hexadecimal": f"sha256={digest.hex()}",
        "sha512": f"sha512={base64.urlsafe_b64encode(hashlib.sha512(data).digest()).decode().rstrip('=')}",
        "md5": f"md5={hashlib.md5(data).hexdigest()}",
        "cut": f"sha256={digest.hex()[:50]}",
        "no sum": "",
    }
    return forms[form]
