# SPDX-License-Identifier: Apache-2.0
"""A depot that changed, is gone, unreadable or damaged: told in the project's form, and what is printed cures it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import (
    fill as filling,
    source as depot_source,
    trouble as depot_trouble,
    wheels as depot_wheels,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import (
    Index,
    source_key,
    source_of,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.web import Sources
from tests.standin import build as standin
from tests.unit.depot.test_fill import cann_release, fill_cann, fill_python, package, python_archive

ROOT = Path(__file__).resolve().parents[3]
OWN = "Ascend-cann-toolkit.run"
CHANGED = "a file of the depot has changed since it was added"


def same_size(path: Path, later_ns: int = 10**9) -> None:
    """Another content in the same file: one byte differs."""
    before = path.stat()
    content = path.read_bytes()
    with path.open("r+b") as stream:
        stream.write(bytes([content[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + later_ns))


def cann(folder: Path, incoming: Path, check: bool = False, deep: bool = False) -> list[str]:
    index = Index(folder, deep)
    taken, _ = fill_cann(index, cann_release("0" * 64), incoming, check=check)
    if not check:
        index.save()
    return taken


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Path, Path]:
    """A depot with an operator's package, and the folder that it came from."""
    incoming, folder = tmp_path / "in coming", tmp_path / "the depot"
    incoming.mkdir()
    folder.mkdir()
    package(incoming / OWN)
    assert cann(folder, incoming) == [OWN]
    return folder, incoming


def cured(error: AscendError) -> None:
    """Type what is printed, as it stands there."""
    subprocess.run(["bash", "-c", error.remedy], check=True)


@pytest.mark.parametrize("check", [False, True])
def test_a_package_of_the_same_size_is_refused_and_the_remedy_cures_it(filled: tuple[Path, Path], check: bool) -> None:
    """The depot's file is the operator's own, by a link: overwritten there, it is overwritten here."""
    folder, incoming = filled
    target = folder / "cann/8.0.RC1" / OWN
    before = hashlib.sha256(target.read_bytes()).hexdigest()
    assert target.samefile(incoming / OWN)
    same_size(incoming / OWN)
    with pytest.raises(AscendError, match=CHANGED) as refused:
        cann(folder, incoming, check)
    assert (before in refused.value.wanted, refused.value.where) == (True, str(target))
    assert json.loads((folder / "index.json").read_text())["files"][f"cann/8.0.RC1/{OWN}"]["sha256"] == before
    cured(refused.value)
    with pytest.raises(AscendError, match="not a CANN package"):
        cann(folder, incoming)  # what lies there now is looked at, as on the first day
    package(incoming / OWN)
    assert cann(folder, incoming) == [OWN]
    assert cann(folder, incoming) == []


def test_a_file_of_another_size_is_refused(filled: tuple[Path, Path]) -> None:
    folder, incoming = filled
    target = folder / "cann/8.0.RC1" / OWN
    content, before_ns = target.read_bytes(), target.stat().st_mtime_ns
    target.unlink()
    target.write_bytes(content[:-1])
    os.utime(target, ns=(before_ns, before_ns))
    (incoming / OWN).unlink()
    with pytest.raises(AscendError, match=CHANGED):
        cann(folder, incoming)


def test_a_copy_with_other_times_is_the_same_depot(filled: tuple[Path, Path]) -> None:
    folder, incoming = filled
    os.utime(folder / "cann/8.0.RC1" / OWN, ns=(1, 1))
    assert cann(folder, incoming) == []
    entry = json.loads((folder / "index.json").read_text())["files"][f"cann/8.0.RC1/{OWN}"]
    assert entry["mtime_ns"] == 1, "it is not read again"


def test_the_deep_form_reads_what_kept_its_size_and_time(filled: tuple[Path, Path]) -> None:
    folder, incoming = filled
    same_size(folder / "cann/8.0.RC1" / OWN, later_ns=0)
    assert cann(folder, incoming) == []
    with pytest.raises(AscendError, match=CHANGED):
        cann(folder, incoming, deep=True)


def test_what_no_lock_pins_is_held_to_what_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "depot"
    folder.mkdir()
    index = Index(folder)
    file = python_archive(tmp_path / "own", "3.10.13")
    fill_python(index, "3.10", tmp_path / "own")
    same_size(folder / file)
    with pytest.raises(AscendError, match=CHANGED):
        fill_python(index, "3.10", tmp_path / "own")
    uv = next(iter(re.findall(r"^uv==(\S+)", (ROOT / "roles/depot/files/uv.txt").read_text(), re.MULTILINE)))
    (folder / "uv").mkdir()
    (folder / f"uv/uv-{uv}-x86_64").write_bytes(b"uv")
    index.enter(f"uv/uv-{uv}-x86_64")
    same_size(folder / f"uv/uv-{uv}-x86_64")
    with pytest.raises(AscendError, match=CHANGED):
        depot_wheels.fill_uv(index, "x86_64", ROOT / "roles/depot/files/uv.txt", "3.10", Sources(), silent(), False)


def test_a_wheel_that_was_built_here_is_held_to_what_it_was(tmp_path: Path) -> None:
    """The lock knows its source's sum, not its own."""
    standin.build(tmp_path)
    lock = tmp_path / "lock-8.0.RC1.txt"
    wheel = next((tmp_path / "incoming").glob("torch-*.whl"))
    lock.write_text(lock.read_text().replace(hashlib.sha256(wheel.read_bytes()).hexdigest(), "0" * 64))
    index = Index(tmp_path / "depot")
    argument: Any = ("8.0.RC1", "x86_64", lock, "3.10", Sources(tmp_path / "incoming"), silent(), False)
    (target,) = (tmp_path / "depot" / "wheels" / name for name in [_folder(lock)])
    target.mkdir(parents=True)
    (target / wheel.name).write_bytes(wheel.read_bytes())
    (target / "built.txt").write_text(wheel.name + "\n")
    assert f"torch=={standin_version(wheel)}" not in depot_wheels.fill(index, *argument)
    assert depot_wheels.fill(index, *argument) == []
    same_size(target / wheel.name)
    with pytest.raises(AscendError, match=CHANGED):
        depot_wheels.fill(index, *argument)


def standin_version(wheel: Path) -> str:
    return wheel.name.split("-")[1]


def _folder(lock: Path) -> str:
    from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment.lock import digest

    return f"8.0.RC1-{digest(lock.read_text())}-x86_64"


def source(path: Path, version: str, words: str = "") -> dict[str, str]:
    inside = path.parent / "env.py"
    inside.write_text(f'VERSION = "{version}"\n# {words}\n')
    with tarfile.open(path, "w:gz") as archive:
        archive.add(inside, "LLaMA-Factory/src/llamafactory/extras/env.py")
    return {"archive": str(path)}


def test_two_groups_have_a_checkout_each(tmp_path: Path) -> None:
    rows = {"llamafactory": {"minimum": "0.8.0", "recommended": "0.9.1", "tested_maximum": "0.9.1"}}
    (tmp_path / "depot").mkdir()
    index = Index(tmp_path / "depot")
    one, other = source(tmp_path / "one.tar.gz", "0.9.1"), source(tmp_path / "other.tar.gz", "0.8.0")
    for asked in (one, other):
        assert len(depot_source.fill(index, asked, rows, False)) == 1
        assert depot_source.fill(index, asked, rows, True) == depot_source.fill(index, asked, rows, False) == []
    assert [source_of(index["sources"], asked)["version"] for asked in (one, other)] == ["0.9.1", "0.8.0"]
    # The operator's archive is the operator's: another content is another source, the depot's file stays what it was.
    source(tmp_path / "one.tar.gz", "0.9.1", "edited")
    assert len(depot_source.fill(index, one, rows, True)) == 1
    assert len(depot_source.fill(index, one, rows, False)) == 1
    assert depot_source.fill(index, one, rows, False) == []
    (tmp_path / "one.tar.gz").write_bytes(b"<html>")
    with pytest.raises(AscendError, match="cannot unpack"):
        depot_source.fill(index, one, rows, False)


def test_a_token_in_an_address_is_not_given_to_everybody(tmp_path: Path) -> None:
    """The table of contents lies where the web server gives it away, and a message goes to a terminal."""
    secret = {"url": "https://oauth2:glpat-S3CR3T@127.0.0.1:1/none.git", "version": "v0.9.1"}
    (tmp_path / "depot").mkdir()
    rows = {"llamafactory": {"minimum": "0.8.0", "recommended": "0.9.1", "tested_maximum": "0.9.1"}}
    assert "S3CR3T" not in str(depot_source.fill(Index(tmp_path / "depot"), secret, rows, True))
    with pytest.raises(AscendError, match="cannot clone") as refused:
        depot_source.fill(Index(tmp_path / "depot"), secret, rows, False)
    assert "S3CR3T" not in refused.value.wanted
    assert source_key(secret) == source_key({**secret, "url": "https://127.0.0.1:1/none.git"})


def test_files_that_are_gone_leave_the_table(filled: tuple[Path, Path]) -> None:
    folder, _ = filled
    (folder / "cann/8.0.RC1" / OWN).unlink()
    index = Index(folder)
    index.save()
    assert json.loads((folder / "index.json").read_text())["files"] == {}


# --- the depot's own trouble ----------------------------------------------------------------------------------------


def trouble(folder: Path) -> AscendError:
    found = depot_trouble.trouble(str(folder))
    assert found
    assert all(found.as_dict().values()), found.as_dict()
    return found


def test_a_whole_depot_has_none(filled: tuple[Path, Path]) -> None:
    assert depot_trouble.trouble(str(filled[0])) is None


def test_a_depot_that_is_gone(tmp_path: Path) -> None:
    assert trouble(tmp_path / "not" / "there").problem == "the depot is gone"
    assert f"findmnt -T {tmp_path}" in trouble(tmp_path / "not" / "there").remedy
    assert trouble(tmp_path).problem == "the depot is not filled"
    (tmp_path / "file").touch()
    assert trouble(tmp_path / "file").problem == "the depot is gone"


@pytest.mark.parametrize("text", ["", "[]", '{"files": 1}', '{"files": {', "\xff"])
def test_a_table_of_contents_that_is_none(filled: tuple[Path, Path], text: str) -> None:
    folder, incoming = filled
    (folder / "index.json").write_text(text, encoding="latin-1")
    found = trouble(folder)
    assert found.where == str(folder / "index.json")
    if text:
        with pytest.raises(AscendError, match="damaged"):
            cann(folder, incoming)
        subprocess.run(["bash", "-c", found.remedy.split(";")[0]], check=True)
    assert cann(folder, incoming) == [OWN]
    assert depot_trouble.trouble(str(folder)) is None


def test_files_that_are_lost_or_of_another_size(filled: tuple[Path, Path]) -> None:
    folder, incoming = filled
    target = folder / "cann/8.0.RC1" / OWN
    target.unlink()
    found = trouble(folder)
    assert (found.problem, found.found) == (
        "the depot is incomplete",
        f"1 are missing or have another size: cann/8.0.RC1/{OWN}",
    )
    assert cann(folder, incoming) == [OWN]
    target.unlink()
    target.write_bytes(b"x")
    away, _, again = trouble(folder).remedy.rpartition("; ")
    assert again == "ansible-playbook playbooks/depot.yml"
    subprocess.run(["bash", "-c", away], check=True)
    assert cann(folder, incoming) == [OWN]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look with another user's rights")
def test_a_depot_that_may_not_be_read(filled: tuple[Path, Path]) -> None:
    folder = filled[0]
    (folder / "index.json").chmod(0o600)
    for path in [folder, *folder.parents]:
        if path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o055) if path.is_relative_to("/tmp") else None
    child = os.fork()
    if not child:
        os.setgid(65534)
        os.setuid(65534)
        found = depot_trouble.trouble(str(folder))
        os._exit(0 if found and "no permission to read" in found.problem and "namei -l" in found.remedy else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (errno.ENOSPC, "a disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission to read or write"),
        (errno.ESTALE, "file system returned an error"),
        (errno.ENOTCONN, "refuses something|system call"),
    ],
)
def test_an_error_of_the_system_is_told_in_the_projects_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, problem: str
) -> None:
    """No traceback, and the depot's folder where the error names none."""

    def fails(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filling, "fill", fails)
    told = filling.outcome({"folder": str(tmp_path)}, False, silent())
    assert told["failed"]
    assert re.search(problem, told["problem"])
    assert told["where"] == str(tmp_path)
    assert all(told[key] for key in ("msg", "wanted", "found", "remedy"))


def test_a_program_that_is_missing_is_named() -> None:
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", "patchelf")
    told = depot_trouble.of_depot(error, "/srv/depot")
    assert (told.problem, told.wanted) == ("a program is missing on the control node", "patchelf")
