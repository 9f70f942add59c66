# SPDX-License-Identifier: Apache-2.0
"""The list of what a depot needs, from a package index and a store that answer here."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import listing
from tests.standin import build as standin

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "depot_list.py"
ARCHITECTURE = "aarch64"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("served")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def published(folder: Path, name: str, file: str, content: bytes) -> str:
    """Put a file of a distribution into the index; return its sum."""
    place = folder / "simple" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / file).write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    with (place / "index.html").open("a", encoding="utf-8") as page:
        page.write(f'<a href="{file}#sha256={sha256}">{file}</a>\n')
    return sha256


def wheel(name: str, version: str) -> tuple[str, bytes]:
    distribution = standin.Distribution(name, version, "torch")
    return f"{distribution.stem}-py3-none-any.whl", standin.wheel(distribution)


@pytest.fixture(scope="module")
def release(served: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release 9.0.0 with a small lock of a wheel and a source archive, and CANN from the server here."""
    folder, address = served
    place = tmp_path_factory.mktemp("releases") / "9.0.0"
    place.mkdir()
    document = yaml.safe_load((ROOT / "releases/9.0.0/release.yml").read_text())
    for number, package in enumerate(
        (document["packages"]["toolkit"][ARCHITECTURE], document["packages"]["kernels"]["910b"][ARCHITECTURE])
    ):
        package["url"] = f"{address}/CANN%20{number}/package%20{number}.zip"
        (folder / f"CANN {number}").mkdir()
        (folder / f"CANN {number}" / f"package {number}.zip").write_bytes(b"x" * (1000 + number))
    (place / "release.yml").write_text(yaml.safe_dump(document, sort_keys=False))
    of_wheel = published(folder, "alpha", *wheel("alpha", "1.0"))
    of_source = published(folder, "beta", "beta-2.0.tar.gz", b"a source archive")
    (place / document["locks"][ARCHITECTURE]).write_text(
        f"alpha==1.0 --hash=sha256:{of_wheel}\nbeta==2.0 --hash=sha256:{of_source}\n"
    )
    for name in ("setuptools", "wheel"):
        published(folder, name, *wheel(name, "99.0"))
    published(folder, "uv", *wheel("uv", "0.9.9"))
    return place


@pytest.fixture(scope="module")
def requirements(served: tuple[Path, str], release: Path) -> Path:
    path = release / "uv.txt"
    content = (served[0] / "simple/uv" / wheel("uv", "0.9.9")[0]).read_bytes()
    path.write_text(f"uv==0.9.9 --hash=sha256:{hashlib.sha256(content).hexdigest()}\n")
    return path


@pytest.fixture(scope="module", autouse=True)
def index(served: tuple[Path, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith(("UV_", "PIP_")) or name.endswith("_proxy")]:
            patched.delenv(name)
        patched.setenv("PIP_CONFIG_FILE", os.devnull)
        patched.setenv("PIP_INDEX_URL", f"{served[1]}/simple")
        yield


@pytest.fixture(scope="module")
def found(release: Path, requirements: Path) -> list[listing.Listed]:
    return listing.listing(release, [ARCHITECTURE], requirements, "")


def test_every_file_has_its_address_size_and_sum(served: tuple[Path, str], found: list[listing.Listed]) -> None:
    (python,) = (each for each in found if each.part == "python")
    assert ARCHITECTURE in python.name
    assert {each.name: each.part for each in found if each != python} == {
        "package 0.zip": "cann",
        "package 1.zip": "cann",
        "uv-0.9.9-py3-none-any.whl": "uv",
        "alpha-1.0-py3-none-any.whl": "wheels",
        "beta-2.0.tar.gz": "wheels",
        "setuptools-99.0-py3-none-any.whl": "build",
        "wheel-99.0-py3-none-any.whl": "build",
    }
    folder, address = served
    assert [each.size_bytes for each in found if each.part == "cann"] == [1000, 1001]
    for each in found:
        if each.part in ("uv", "wheels", "build"):
            content = (folder / each.url.removeprefix(address + "/")).read_bytes()
            assert (each.size_bytes, each.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_the_text_has_a_line_a_file(found: list[listing.Listed]) -> None:
    unknown = found[1]._replace(size_bytes=None)
    lines = list(listing.text([found[0], unknown]))
    assert lines == [
        f"# 9.0.0 for {ARCHITECTURE}: 2 files, 0.00 GB and 1 of unknown size",
        f"       1000  {found[0].sha256}  {found[0].url}",
        f"          ?  {unknown.sha256}  {unknown.url}",
    ]


def test_a_store_that_does_not_answer_leaves_the_size_open(found: list[listing.Listed]) -> None:
    gone, refused = (found[0]._replace(size_bytes=None, url=url) for url in (found[0].url + "x", "http://127.0.0.1:9/"))
    assert [each.size_bytes for each in listing._with_sizes([gone, refused])] == [None, None]


def test_json_has_the_same(release: Path, requirements: Path, found: list[listing.Listed]) -> None:
    argv = [sys.executable, str(SCRIPT), "--releases-dir", str(release.parent), "--release", "9.0.0", "--json"]
    argv += ["--architecture", ARCHITECTURE, "--uv", str(requirements)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [each._asdict() for each in found]


def test_what_the_index_lacks_is_said(release: Path) -> None:
    argv = [sys.executable, str(SCRIPT), "--releases-dir", str(release.parent), "--release", "9.0.0"]
    done = subprocess.run([*argv, "--architecture", ARCHITECTURE], capture_output=True, text=True, check=False)
    assert done.returncode == 1, "the pinned uv is not in the index here"
    assert "depot-list: " in done.stderr
    assert "Traceback" not in done.stderr


def test_an_architecture_without_a_lock_is_said(release: Path) -> None:
    with pytest.raises(AscendError, match=r"release 9\.0\.0 has no lock for riscv64.*aarch64, x86_64"):
        listing.listing(release, ["riscv64"], release / "uv.txt", "")
