# SPDX-License-Identifier: Apache-2.0
"""Environments exactly as their lock: the real uv, small real wheels."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from ansible.module_utils.ascend import environment, lock
from ansible.module_utils.ascend.command import run
from ansible.module_utils.ascend.depot_file import DepotFile
from ansible.module_utils.ascend.errors import AscendError

from tests.standin import build as standin

UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or ""
PYTHON = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def depot_file(path: Path) -> DepotFile:
    return DepotFile(path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stand-in wheels and their lock."""
    folder = tmp_path_factory.mktemp("depot")
    standin.build(folder)
    return folder


@pytest.fixture
def wanted(depot: Path, tmp_path: Path) -> environment.Wanted:
    text = (depot / "lock.txt").read_text()
    return environment.Wanted(
        path=str(tmp_path / "env" / "8.0.RC1-x"),
        release="8.0.RC1",
        python=PYTHON,
        cann_home="/usr/local/Ascend/ascend-toolkit/8.0.RC1",
        lock=text,
        lock_digest=lock.digest(text),
        wheelhouse=(depot / "incoming").as_uri(),
        uv=depot_file(Path(UV)),
        source=None,
        cache_dir=str(tmp_path / "cache"),
        timeout_s=120,
    )


def site_packages(wanted: environment.Wanted) -> Path:
    (found,) = Path(wanted.path).glob("lib/python3*/site-packages")
    return found


def test_build_and_nothing_left(wanted: environment.Wanted) -> None:
    assert environment.problems(wanted) == ["it is absent"]
    environment.build(wanted, run)
    assert environment.problems(wanted) == []
    said = subprocess.run(
        [f"{wanted.path}/bin/llamafactory-cli", "version"], capture_output=True, text=True, check=False
    )
    assert "0.9.1" in said.stdout
    assert list(site_packages(wanted).glob("**/__pycache__/*.pyc")), "bytecode is compiled"
    assert [path.name for path in Path(wanted.path).parent.iterdir()] == ["8.0.RC1-x"]


def test_damage_is_repaired_and_nothing_else_touched(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    site = site_packages(wanted)
    shutil.rmtree(site / "deepspeed")
    shutil.rmtree(next(site.glob("deepspeed-*.dist-info")))
    (next(site.glob("torch-*.dist-info")) / "RECORD").unlink()
    info = next(site.glob("llamafactory-*.dist-info"))
    other = info.rename(site / "llamafactory-0.1.dist-info") / "METADATA"
    other.write_text(other.read_text().replace("Version: 0.9.1+standin", "Version: 0.1"))
    extra = site / "extra-1.0.dist-info"
    extra.mkdir()
    (extra / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    (extra / "INSTALLER").write_text("somebody\n")  # not in RECORD: uv leaves it behind
    (extra / "RECORD").write_text("extra-1.0.dist-info/METADATA,,\nextra-1.0.dist-info/RECORD,,\n")
    untouched = site / "torch_npu" / "__init__.py"
    before = untouched.stat()
    words = " ".join(environment.problems(wanted))
    for part in ("deepspeed is missing", "llamafactory is 0.1", "extra 1.0 is extra", "torch"):
        assert part in words
    environment.build(wanted, run)
    assert environment.problems(wanted) == []
    assert (untouched.stat().st_ino, untouched.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_lost_file_within_a_distribution_is_restored(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    lost = site_packages(wanted) / "torch_npu" / "npu.py"
    lost.unlink()
    environment.build(wanted, run)
    assert lost.is_file()


def test_an_interrupted_build_does_not_count_and_is_finished(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    (Path(wanted.path) / ".ascend-fleet.json").unlink()
    with pytest.raises(AscendError, match="not finished"):
        environment.make_current(wanted.path, str(Path(wanted.path).parent / "current"))
    assert "it was not finished" in environment.problems(wanted)
    environment.build(wanted, run)
    assert environment.problems(wanted) == []


def test_a_wheel_with_another_hash_is_refused(wanted: environment.Wanted) -> None:
    text = "\n".join(
        line.replace("sha256:", "sha256:" + "0" * 8)[: len(line)] if "sha256" in line else line
        for line in wanted.lock.splitlines()
    )
    wrong = environment.Wanted(**{**wanted.__dict__, "lock": text})
    with pytest.raises(AscendError, match=r"uv ended with code.*[Hh]ash"):
        environment.build(wrong, run)
    assert environment.problems(wanted) != []


def test_current_is_led_atomically(wanted: environment.Wanted) -> None:
    link = Path(wanted.path).parent / "current"
    environment.build(wanted, run)
    assert environment.read_current(str(link)) is None
    link.symlink_to("elsewhere")
    environment.make_current(wanted.path, str(link))
    assert environment.read_current(str(link)) == wanted.path
    assert not link.with_name("current.part").is_symlink()


def test_an_editable_checkout(wanted: environment.Wanted, tmp_path: Path) -> None:
    checkout = tmp_path / "LLaMA-Factory"
    (checkout / "src" / "llamafactory").mkdir(parents=True)
    (checkout / "src" / "llamafactory" / "__init__.py").write_text("")
    (checkout / "examples").mkdir()
    (checkout / "examples" / "lora.yaml").write_text("do_sample: false\n")
    (checkout / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "llamafactory"\nversion = "0.9.0"\n'
    )
    (checkout / "backend.py").write_text(BACKEND)
    archive = tmp_path / "source.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(checkout, "LLaMA-Factory")
    source = environment.Wanted(**{**wanted.__dict__, "source": depot_file(archive)})
    environment.build(source, run)
    assert environment.problems(source) == []
    ask = "import llamafactory; print(llamafactory.__file__)"
    said = subprocess.run([f"{wanted.path}/bin/python", "-c", ask], capture_output=True, text=True, check=True)
    assert said.stdout.startswith(f"{wanted.path}/src/LLaMA-Factory/src/")
    assert (Path(wanted.path) / "src" / "LLaMA-Factory" / "examples" / "lora.yaml").is_file()


# The least build backend with editable wheels (PEP 660), so that no network is needed.
BACKEND = """
import os, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "llamafactory-0.9.0-py3-none-any.whl"
    info = "llamafactory-0.9.0.dist-info/"
    files = {
        "llamafactory.pth": os.path.abspath("src") + "\\n",
        info + "METADATA": "Metadata-Version: 2.1\\nName: llamafactory\\nVersion: 0.9.0\\n",
        info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[info + "RECORD"] = "".join("%s,,\\n" % file for file in files) + info + "RECORD,,\\n"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return name

build_wheel = build_editable
"""
