# SPDX-License-Identifier: Apache-2.0
"""What the depot fetches by address and sum: CANN's bundles, CPython, a checkout; and what it does not read twice."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import platform
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files as node_files
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import (
    cann as depot_cann,
    download,
    fill as filling,
    python as depot_python,
    source as depot_source,
    web,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.web import Sources
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import read_release
from tests.served import free_port
from tests.standin import build as standin
from tests.unit.depot.fileserver import Files, black_hole, serving
from tests.unit.depot.test_fill import package
from tests.unit.depot.test_needs import interpreter

ROOT = Path(__file__).resolve().parents[3]
STORE = "https://ascend-repo.obs.cn-east-2.myhuaweicloud.com/CANN/"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "UV_PYTHON_INSTALL_MIRROR", *web.AUTHORITIES, web.STALL):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(download, "PAUSE_S", 0.0)


@pytest.fixture
def server() -> Iterator[Files]:
    with serving(Files({})) as files:
        yield files


@pytest.fixture
def index(tmp_path: Path) -> Index:
    (tmp_path / "depot").mkdir()
    return Index(tmp_path / "depot")


# --- CANN -----------------------------------------------------------------------------------------------------------


def bundle(folder: Path, run: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"x/{run}", package(folder / "made.run"))
        archive.writestr(f"x/{run}.cms", "signature")
    return buffer.getvalue()


@pytest.fixture
def release(server: Files, tmp_path: Path) -> dict[str, Any]:
    """A release whose two bundles lie in Huawei's store, for which the server stands."""
    described = {}
    for name in ("toolkit", "kernels"):
        content = bundle(tmp_path, f"{name}.run")
        server.contents[f"/CANN%208/{name}.zip"] = content
        sha256 = hashlib.sha256(content).hexdigest()
        described[name] = {"file": f"{name}.run", "url": f"{STORE}CANN%208/{name}.zip", "zip_sha256": sha256}
    packages = {"toolkit": {"aarch64": described["toolkit"]}, "kernels": {"910b": {"aarch64": described["kernels"]}}}
    return {"cann": {"version": "8"}, "packages": packages}


def take(index: Index, release: dict[str, Any], sources: Sources) -> list[str]:
    return depot_cann.fill(index, release, "aarch64", {}, sources, silent(), False)[0]


def test_bundles_come_from_the_store_or_its_mirror(index: Index, server: Files, release: dict[str, Any]) -> None:
    mirror = Sources(addresses={STORE: f"{server.address}/"})
    assert take(index, release, mirror) == ["toolkit.run", "kernels.run"]
    folder = index.folder / "cann/8"
    assert sorted(path.name for path in folder.iterdir()) == ["kernels.run", "toolkit.run"], "no bundle is kept"
    assert sorted(path for path, *_ in server.asked) == ["/CANN%208/kernels.zip", "/CANN%208/toolkit.zip"]
    for name in ("toolkit", "kernels"):
        entry = index["files"][f"cann/8/{name}.run"]
        assert entry["sha256"] == hashlib.sha256((folder / f"{name}.run").read_bytes()).hexdigest()
    assert take(index, release, mirror) == []
    assert len(server.asked) == 2


def test_a_bundle_that_broke_off_is_gone_on_with_in_the_next_run(
    index: Index, server: Files, release: dict[str, Any]
) -> None:
    """One that is whole already is not asked for again, though its package was not out of it yet."""
    mirror = Sources(addresses={STORE: f"{server.address}/"})
    toolkit, kernels = (server.contents[f"/CANN%208/{name}.zip"] for name in ("toolkit", "kernels"))
    folder = index.folder / "cann/8"
    folder.mkdir(parents=True)
    (folder / f"toolkit.zip.{hashlib.sha256(toolkit).hexdigest()[:16]}.part").write_bytes(toolkit[:300])
    (folder / "kernels.zip").write_bytes(kernels)
    assert take(index, release, mirror) == ["toolkit.run", "kernels.run"]
    assert [(path, ranged) for path, ranged, _ in server.asked] == [("/CANN%208/toolkit.zip", "bytes=300-")]


def test_a_bundle_that_lies_there_is_held_to_its_sum(index: Index, server: Files, release: dict[str, Any]) -> None:
    mirror = Sources(addresses={STORE: f"{server.address}/"})
    folder = index.folder / "cann/8"
    folder.mkdir(parents=True)
    (folder / "kernels.zip").write_bytes(bundle(index.folder, "other.run"))
    with pytest.raises(AscendError, match="not the published one") as caught:
        take(index, release, mirror)
    assert caught.value.remedy.startswith(f"rm {folder}/kernels.zip")


def test_a_store_out_of_reach_is_told_with_both_names(index: Index, release: dict[str, Any]) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(AscendError, match=r"(toolkit|kernels)\.zip cannot be fetched.*refused") as caught:
        take(index, release, Sources(addresses={STORE: nobody}))
    assert ".run or " in caught.value.remedy
    assert "depot_incoming=/that/folder" in caught.value.remedy


# --- CPython --------------------------------------------------------------------------------------------------------


@functools.cache  # gzip writes the time
def archive() -> bytes:
    """A stand-in for an install_only archive for aarch64."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        packed.addfile(tarfile.TarInfo("python/bin/python3"))
    return buffer.getvalue()


NAME = "cpython-3.11.7%2B20240107-aarch64-unknown-linux-gnu-install_only.tar.gz"
OTHER = "s390x" if platform.machine() == "aarch64" else "aarch64"  # not this machine's


def pinned(content: bytes, architecture: str = OTHER) -> dict[str, Any]:
    url = f"{depot_python.STANDALONE}/20240107/{NAME}"
    archives = {architecture: {"url": url, "sha256": hashlib.sha256(content).hexdigest()}}
    return {"series": "3.11", "accepted": ">=3.11.0", "depot": "3.11.7", "archives": archives}


@pytest.fixture
def standalone(server: Files, monkeypatch: pytest.MonkeyPatch) -> Files:
    """A mirror of python-build-standalone, as uv is told of one."""
    server.contents[f"/mirror/20240107/{NAME}"] = archive()
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", f"{server.address}/mirror")
    return server


def test_another_architectures_python_is_fetched_by_address_and_sum(index: Index, standalone: Files) -> None:
    asked = depot_python.Asked(pinned(archive()), OTHER)
    relative = f"python/cpython-3.11.7-linux-{OTHER}.tar.gz"
    assert depot_python.fill(index, asked, Sources(), silent(), False) == ([relative], [])
    assert (index.folder / relative).read_bytes() == archive()
    assert index["pythons"] == {OTHER: {"3.11": {"version": "3.11.7", "file": relative}}}
    assert index["files"][relative]["sha256"] == hashlib.sha256(archive()).hexdigest()
    assert depot_python.fill(index, asked, Sources(), silent(), False) == ([], [])
    assert len(standalone.asked) == 1


def test_a_mirror_of_the_role_comes_before_uvs(index: Index, standalone: Files) -> None:
    standalone.contents[f"/own/20240107/{NAME}"] = standalone.contents.pop(f"/mirror/20240107/{NAME}")
    sources = Sources(addresses={depot_python.STANDALONE: f"{standalone.address}/own"})
    assert depot_python.fill(index, depot_python.Asked(pinned(archive()), OTHER), sources, silent(), False)[0]


def test_an_archive_with_another_sum_is_not_taken(index: Index, standalone: Files) -> None:
    asked = depot_python.Asked(pinned(b"another"), OTHER)
    with pytest.raises(AscendError, match="not the published file"):
        depot_python.fill(index, asked, Sources(), silent(), False)
    assert index["pythons"] == {}
    assert list((index.folder / "python").iterdir()) == []


def test_the_archive_of_the_operators_is_pinned_by_its_sum(index: Index, tmp_path: Path) -> None:
    name = NAME.replace("%2B", "+").replace("aarch64", OTHER)
    asked = depot_python.Asked(pinned(archive()), OTHER)
    (tmp_path / name).write_bytes(b"one of the same version")
    (_,), (warning,) = depot_python.fill(index, asked, Sources(tmp_path), silent(), False)
    assert "is not pinned" in warning
    assert hashlib.sha256(b"one of the same version").hexdigest() in warning
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(archive())
    shutil.rmtree(index.folder / "python")
    assert depot_python.fill(index, asked, Sources(tmp_path), silent(), False)[1] == []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An interpreter of this machine in PATH, and no other of its series; return the machine."""
    machine = platform.machine()
    program = interpreter(tmp_path, "3.11", machine)
    (tmp_path / "bin").mkdir()
    program.rename(tmp_path / "bin" / "python3.11")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.setattr(depot_python, "_with_pip", lambda *_: None)
    monkeypatch.setattr(subprocess, "run", patched_run())
    return machine


def patched_run() -> Any:
    """subprocess.run, but for patchelf: the interpreter is no ELF."""
    really = subprocess.run
    return lambda argv, **options: None if argv[0] == "patchelf" else really(argv, **options)


def test_a_python_of_this_machine_is_made_where_that_is_allowed_and_named_as_not_pinned(
    index: Index, standalone: Files, here: str
) -> None:
    standalone.contents.clear()
    release = pinned(archive(), here)
    with pytest.raises(AscendError, match=r"cpython-3\.11\.7-linux-.*cannot be fetched.*HTTP 404"):
        depot_python.fill(index, depot_python.Asked(release, here), Sources(), silent(), False)
    asked = depot_python.Asked(release, here, make=True)
    (relative,), (warning,) = depot_python.fill(index, asked, Sources(), silent(), False)
    assert relative == f"python/cpython-3.11.99-linux-{here}.tar.gz"
    sha256 = hashlib.sha256((index.folder / relative).read_bytes()).hexdigest()
    assert index["files"][relative]["sha256"] == sha256
    assert f"{relative} is not pinned" in warning
    assert sha256 in warning
    assert "HTTP 404" in warning, "and why"


def test_none_is_made_where_nobody_allowed_it(index: Index, here: str) -> None:
    asked = depot_python.Asked({"series": "3.11"}, here)
    with pytest.raises(AscendError, match=r"cannot obtain CPython 3\.11 for .*"):
        depot_python.fill(index, asked, Sources(), silent(), False)
    assert depot_python.fill(index, asked._replace(make=True), Sources(), silent(), False)[0]


def test_a_release_without_an_archive_says_so(index: Index) -> None:
    asked = depot_python.Asked({"series": "3.11", "depot": "3.11.7"}, OTHER)
    with pytest.raises(AscendError, match=r"python\.archives of release\.yml, which has none.*depot_python"):
        depot_python.fill(index, asked, Sources(), silent(), False)


@pytest.mark.parametrize("name", sorted(path.parent.name for path in (ROOT / "releases").glob("*/release.yml")))
def test_each_release_pins_an_archive_an_architecture(name: str) -> None:
    python = read_release(str(ROOT / "releases" / name))["python"]
    for architecture in ("aarch64", "x86_64"):
        archive = depot_python.Asked(python, architecture).pinned
        assert archive["url"].startswith(f"{depot_python.STANDALONE}/")
        assert f"/cpython-{python['depot']}%2B" in archive["url"]
        assert archive["url"].endswith(f"-{architecture}-unknown-linux-gnu-install_only.tar.gz")
        assert len(archive["sha256"]) == 64


# --- a checkout -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [False, True])
def test_a_git_server_of_which_nothing_comes_back(index: Index, answers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "CONNECT_S", 0.2)
    monkeypatch.setenv(web.STALL, "0.2")
    with black_hole(answers) as address:
        source = {"url": f"{address}/LLaMA-Factory.git", "version": "v0.9.1"}
        words = "no data for" if answers else "no connection within"
        with pytest.raises(AscendError, match=rf"cannot clone.*{words} 0\.2 s") as caught:
            depot_source.fill(index, source, {}, False)
    assert caught.value.remedy.startswith(f"git ls-remote {address}/LLaMA-Factory.git")


def test_a_git_server_that_asks_for_a_password_does_not_hang(index: Index, server: Files) -> None:
    server.account = "somebody:else"
    with pytest.raises(AscendError, match=r"cannot clone.*(Authentication failed|could not read Username)"):
        depot_source.fill(index, {"url": f"{server.address}/x.git", "version": "v1"}, {}, False)


# --- nothing is read twice ------------------------------------------------------------------------------------------


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read for their sum."""
    names: list[str] = []
    really = node_files.sha256

    def counted(path: Any) -> str:
        names.append(Path(path).name)
        return really(path)

    monkeypatch.setattr(node_files, "sha256", counted)
    return names


def options(folder: Path, incoming: Path, part: str, **more: Any) -> dict[str, Any]:
    told = {"part": part, "folder": str(folder), "served": False, "release": str(ROOT / "releases" / "8.0.RC1")}
    told |= {"architecture": "x86_64", "lock": str(incoming.parent / "lock-8.0.RC1.txt"), "incoming": str(incoming)}
    told |= {"cann_sha256": {}, "python": "", "make_python": False, "requirements": "", "deep": False}
    return {**told, "extra_index": "", "addresses": {}, "source": {}, **more}


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    """A depot with wheels, packages and a Python, the folder that they came from, and the packages' sums."""
    standin.build(tmp_path / "own")
    incoming = tmp_path / "own" / "incoming"
    described = read_release(str(ROOT / "releases" / "8.0.RC1"))["packages"]
    names = [described["toolkit"]["x86_64"]["file"], described["kernels"]["910b"]["x86_64"]["file"]]
    for name in names:
        package(incoming / name, "x86_64")
    (incoming / "cpython-3.10.13-linux-x86_64.tar.gz").write_bytes(b"python")
    sums = {name: hashlib.sha256((incoming / name).read_bytes()).hexdigest() for name in names}
    for part in ("cann", "python", "wheels"):
        filling.fill(options(tmp_path / "depot", incoming, part, cann_sha256=sums), False, silent())
    return tmp_path / "depot", incoming, sums


def look(depot: Path, incoming: Path, sums: dict[str, str], **more: Any) -> bool:
    parts = ("cann", "python", "wheels")
    return any(
        filling.has_to_be_filled(options(depot, incoming, part, cann_sha256=sums, **more), False) for part in parts
    )


def test_a_depot_that_is_complete_is_not_read(filled: tuple[Path, Path, dict[str, str]], read: list[str]) -> None:
    assert not look(*filled)
    assert read == []


def test_nor_where_the_operators_folder_is_on_another_disk(
    filled: tuple[Path, Path, dict[str, str]], read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are copies then, not links: they are compared by what is remembered of them."""
    depot, incoming, sums = filled
    for name in sums:
        copied = incoming / f"{name}.copy"
        shutil.copy2(incoming / name, copied)
        copied.replace(incoming / name)
    assert not look(depot, incoming, sums)
    assert sorted(read) == sorted(sums), "the first time"
    read.clear()
    assert not look(depot, incoming, sums)
    assert read == []


def test_a_file_with_another_inode_is_read_once(filled: tuple[Path, Path, dict[str, str]], read: list[str]) -> None:
    """As a restored backup has it, size and time kept."""
    depot, incoming, sums = filled
    (torch,) = depot.rglob("torch-*.whl")
    content = torch.read_bytes()
    status = torch.stat()
    torch.unlink()
    torch.write_bytes(content[:-1] + b"x")
    os.utime(torch, ns=(status.st_atime_ns, status.st_mtime_ns))
    if torch.stat().st_ino == status.st_ino:
        pytest.skip("the file system gives the same inode again")
    assert look(depot, incoming, sums)
    assert set(read) == {torch.name}


def test_a_depot_of_before_is_not_read_for_its_inodes(
    filled: tuple[Path, Path, dict[str, str]], read: list[str]
) -> None:
    depot, incoming, sums = filled
    index = Index(depot)
    for entry in index["files"].values():
        del entry["inode"]
    index.save()
    assert not look(depot, incoming, sums)
    assert read == []
    assert all(entry["inode"] for entry in Index(depot)["files"].values())


def test_what_was_downloaded_is_not_read_again(index: Index, server: Files, release: Any, read: list[str]) -> None:
    take(index, release, Sources(addresses={STORE: f"{server.address}/"}))
    assert read == []


def test_files_are_on_the_disk_before_the_table_names_them(
    index: Index, server: Files, release: Any, settled: list[tuple[str, bool]]
) -> None:
    take(index, release, Sources(addresses={STORE: f"{server.address}/"}))
    index.save()
    assert settled == [(str(index.folder), False)]
    again = Index(index.folder)
    assert take(again, release, Sources()) == []
    again["cann"]["other"] = {}
    again.save()
    assert len(settled) == 1, "nothing was taken"
