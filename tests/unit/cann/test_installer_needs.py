# SPDX-License-Identifier: Apache-2.0
"""What CANN's installers need of a node is held before one starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    install as cann_install,
    installer_needs,
    layout as cann_layout,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import CANN_INSTALL_RECORD
from tests.answers import write

ROOT = "/usr/local/Ascend"
ALL = (*installer_needs.ARCHIVE, *installer_needs.PYTHON)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A PATH of stand-ins for every program; pip3 answers."""
    for name in ALL:
        program(tmp_path, name, "exit 0")
    return {"PATH": str(tmp_path / "bin")}


def program(folder: Path, name: str, script: str) -> None:
    write(folder, f"bin/{name}", f"#!/bin/sh\n{script}\n").chmod(0o755)


def hold(folder: Path, env: dict[str, str], kind: str = "toolkit") -> None:
    installer_needs.require(kind, ROOT, env, run, str(folder))


def refused(folder: Path, env: dict[str, str], kind: str = "toolkit") -> AscendError:
    with pytest.raises(AscendError) as raised:
        hold(folder, env, kind)
    assert all(raised.value.as_dict().values()), raised.value.as_dict()
    return raised.value


def test_a_node_that_has_everything(tmp_path: Path, env: dict[str, str]) -> None:
    hold(tmp_path, env)
    hold(tmp_path, env, "kernels")


@pytest.mark.parametrize("name", ALL)
def test_a_missing_program(tmp_path: Path, env: dict[str, str], name: str) -> None:
    (tmp_path / "bin" / name).unlink()
    assert refused(tmp_path, env).problem == f"CANN's installer needs {name}, which is missing"
    if name in installer_needs.PYTHON:
        hold(tmp_path, env, "kernels")
    else:
        refused(tmp_path, env, "kernels")


def test_a_pip_that_may_not_be_run_counts_as_missing(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "bin/pip3").chmod(0o644)
    assert "needs pip3, which is missing" in str(refused(tmp_path, env))


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("#!/bin/sh\necho No module named pip >&2; exit 1\n", "code 1: No module named pip"),
        ("#!/nowhere/python3\n", "code 127: "),
        ("#!/bin/sh\nexit 3\n", "code 3: no output"),
    ],
)
def test_a_pip_that_does_not_run(tmp_path: Path, env: dict[str, str], script: str, found: str) -> None:
    (tmp_path / "bin/pip3").write_text(script)
    error = refused(tmp_path, env)
    assert error.problem == "CANN's installer needs pip3, but pip3 does not run"
    assert error.found.startswith(found)
    assert error.where == str(tmp_path / "bin/pip3")
    hold(tmp_path, env, "kernels")


def test_a_pip_that_hangs(tmp_path: Path, env: dict[str, str]) -> None:
    def hangs(argv: list[str], timeout_s: float, env: dict[str, str]) -> Result:
        assert argv == [str(tmp_path / "bin/pip3"), "--version"]
        return Result(-9, "", True)

    with pytest.raises(AscendError, match="no answer within 120 s"):
        installer_needs.require("toolkit", ROOT, env, hangs, str(tmp_path))


@pytest.mark.parametrize("content", ["", "\n", "\0" * 64])
def test_a_record_without_content_is_removed(tmp_path: Path, env: dict[str, str], content: str) -> None:
    record = write(tmp_path, CANN_INSTALL_RECORD, content)
    hold(tmp_path, env)
    assert not record.exists()


@pytest.mark.parametrize(
    "content", [f"Toolkit_InstallPath={ROOT}\n", f"Toolkit_InstallPath={ROOT}/\n", "Nnae_InstallPath=/o\n"]
)
def test_a_record_that_does_not_matter_stays(tmp_path: Path, env: dict[str, str], content: str) -> None:
    record = write(tmp_path, CANN_INSTALL_RECORD, content)
    hold(tmp_path, env)
    assert record.read_text() == content


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("Toolkit_InstallPath=/gone\n", "/gone, which does not exist"),
        ("\x7fELF\x01\x02", "not a key"),
        (None, "not a regular file"),
    ],
)
def test_a_record_that_an_installer_would_stop_at(
    tmp_path: Path, env: dict[str, str], content: str | None, found: str
) -> None:
    if content is None:
        (tmp_path / CANN_INSTALL_RECORD.strip("/")).mkdir(parents=True)
    else:
        write(tmp_path, CANN_INSTALL_RECORD, content)
    for kind in ("toolkit", "kernels"):
        error = refused(tmp_path, env, kind)
        assert found in error.found
    assert os.path.exists(tmp_path / CANN_INSTALL_RECORD.strip("/"))


def test_unzip_is_only_spoken_of(tmp_path: Path, env: dict[str, str]) -> None:
    assert "unzip" in installer_needs.lacking(env)
    program(tmp_path, "unzip", "exit 0")
    assert installer_needs.lacking(env) == ""


class Failing:
    """An installation that fails, told by cann_install."""

    def __init__(self, folder: Path, kind: str = "toolkit") -> None:
        chip = "910b" if kind == "kernels" else None
        (folder / "tmp").mkdir()
        self.package = cann_install.Package(
            kind, "8.0.RC1", chip, str(folder / "Ascend"), str(folder), str(folder), str(folder / "tmp"), None, 7
        )

    def told(self, result: Result) -> AscendError:
        found = cann_install.observe(self.package)
        return cann_install._failure(self.package, "/cache/x.run", result, found, "a complete package")


def test_an_installer_that_says_it_is_done_and_did_nothing(tmp_path: Path) -> None:
    error = Failing(tmp_path).told(Result(0, "", False))
    assert error.problem == "the installer of toolkit 8.0.RC1 ended with code 0 and installed nothing"
    assert error.found.startswith("absent: none of its files")
    assert error.where == "/cache/x.run; its output: none"
    assert error.remedy.startswith("bash /cache/x.run --nox11 --check; ls -la /var/log/ascend_seclog")


def test_an_error_of_an_older_run_is_not_taken_for_this_one_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cann_install, "INSTALLERS_LOGS", str(tmp_path))
    write(tmp_path, "ascend_toolkit_install.log", "[Toolkit] [t] [ERROR] older\n")
    failing = Failing(tmp_path)
    error = failing.told(Result(1, "[Toolkit] [t] [INFO] LogFile:x\n[Toolkit] [t] [ERROR] newer\nbye\n", False))
    assert error.where == "/cache/x.run; its output: [Toolkit] [t] [ERROR] newer"
    assert error.remedy.startswith(f"less {tmp_path}/ascend_toolkit_install.log")
    assert "its output: words" in failing.told(Result(1, "words\n", False)).where
    hung = failing.told(Result(-9, "", True))
    assert "did not end within 7 s" in hung.problem
    assert hung.where.endswith("its output: none; the last error in its log: [Toolkit] [t] [ERROR] older")


def test_a_disk_that_filled_up_is_named(tmp_path: Path) -> None:
    failing = Failing(tmp_path)
    there = f"Not enough space left in {failing.package.tmp_dir}/x/selfgz1 (5 KB) to decompress x.run (9 KB)"
    assert failing.told(Result(1, there, False)).remedy.startswith(f"df -h {failing.package.tmp_dir};")
    full = failing.told(Result(1, "cp: error writing 'x': No space left on device\n", False))
    assert full.remedy.startswith(f"df -h {failing.package.root};")


def test_a_package_for_another_machine_or_chip_is_told_as_such(tmp_path: Path) -> None:
    failing = Failing(tmp_path, "kernels")
    assert failing.told(Result(1, "[x] [ERROR] No packages to install !\n", False)).remedy.startswith("uname -m; ")
    write(
        tmp_path, f"Ascend/ascend-toolkit/8.0.RC1/{cann_layout.KERNEL}/config/ascend310b/binary_info_config.json", "{}"
    )
    assert "kernels for another chip are installed: 310b" in failing.told(Result(0, "", False)).found
