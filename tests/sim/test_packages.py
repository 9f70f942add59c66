# SPDX-License-Identifier: Apache-2.0
"""The simulated CANN packages answer as Huawei's do, as far as that is known, before they touch a machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    build = [sys.executable, "sim/cann/build.py", "--output", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, timeout=120)
    return folder


@pytest.fixture
def kernels(packages: Path) -> Path:
    return packages / "Ascend-cann-kernels-910b_8.0.RC1_linux.run"


def start(package: Path, folder: Path, *options: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    """Run a package as a user without TMPDIR and DISPLAY would."""
    bare = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(
        ["bash", package, *options], env=bare, input=answer, capture_output=True, text=True, timeout=60, check=False
    )


def test_both_are_there_with_their_official_names(packages: Path) -> None:
    names = sorted(path.name for path in packages.glob("*.run"))
    assert names == ["Ascend-cann-kernels-910b_8.0.RC1_linux.run", "Ascend-cann-toolkit_8.0.RC1_linux-x86_64.run"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--info"], 0, "Uncompressed size"),
        (["--list"], 0, "install.sh"),
        (["--check"], 0, "SHA256 checksums are OK"),
        (["--help"], 0, "--install-path"),
        (["--version"], 0, "8.0.RC1"),
        (["--nonsense"], 1, "Unrecognized flag"),
        ([], 1, "Only one of"),
    ],
)
def test_options(kernels: Path, tmp_path: Path, options: list[str], code: int, words: str) -> None:
    done = start(kernels, tmp_path, *options)
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True), done


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_the_licence_is_asked_for(kernels: Path, tmp_path: Path, answer: str) -> None:
    done = start(kernels, tmp_path, "--install", answer=answer)
    assert done.returncode == 1
    assert "Do you accept the EULA to install CANN?[Y/N]" in done.stdout


def test_a_damaged_package_is_not_unpacked(kernels: Path, tmp_path: Path) -> None:
    content = bytearray(kernels.read_bytes())
    content[-2000] ^= 0xFF
    damaged = tmp_path / "damaged.run"
    damaged.write_bytes(content)
    done = start(damaged, tmp_path, "--install", "--quiet")
    assert done.returncode == 2
    assert "checksum" in done.stdout + done.stderr
    assert not list(tmp_path.rglob("install.sh"))


def test_it_unpacks_below_home_and_cleans_up(kernels: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert start(kernels, home, "--version").returncode == 0
    assert list(home.iterdir()) == []
    no_folder = tmp_path / "file"
    no_folder.touch()
    done = start(kernels, no_folder, "--version")
    assert done.returncode == 1
    assert f"{no_folder}/selfgz" in done.stderr


def test_it_can_be_unpacked_and_kept(kernels: Path, tmp_path: Path) -> None:
    done = start(kernels, tmp_path, "--noexec", f"--extract={tmp_path / 'content'}")
    assert done.returncode == 0, done
    assert (tmp_path / "content" / "install.sh").is_file()
