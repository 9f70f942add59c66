# SPDX-License-Identifier: Apache-2.0
"""Files from the depot: over real HTTP and from a mount; size and sha256 decide."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile, take, unpacked_run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError

CONTENT = b"a package" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
asked: list[str] = []


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the base class)
        """Says nothing."""


@pytest.fixture
def depot(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "depot"
    folder.mkdir()
    (folder / "cann.run").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    asked.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_is_fetched_once(depot: str, tmp_path: Path) -> None:
    file = DepotFile(depot + "/cann.run", SHA256, len(CONTENT))
    path = Path(take(file, str(tmp_path / "cache")))
    assert path.read_bytes() == CONTENT
    assert take(file, str(tmp_path / "cache")) == str(path)
    assert asked == ["/cann.run"]


def test_a_damaged_cache_is_fetched_again(depot: str, tmp_path: Path) -> None:
    file = DepotFile(depot + "/cann.run", SHA256, len(CONTENT))
    path = Path(take(file, str(tmp_path / "cache")))
    path.write_bytes(b"x" * len(CONTENT))
    assert Path(take(file, str(tmp_path / "cache"))).read_bytes() == CONTENT
    assert len(asked) == 2


def test_a_mount(tmp_path: Path) -> None:
    source = tmp_path / "cann.run"
    source.write_bytes(CONTENT)
    taken = take(DepotFile(source.as_uri(), SHA256, len(CONTENT)), str(tmp_path / "cache"))
    assert Path(taken).read_bytes() == CONTENT


@pytest.mark.parametrize(("sha256", "size"), [("0" * 64, len(CONTENT)), (SHA256, len(CONTENT) - 1)])
def test_another_file_is_refused_and_not_kept(depot: str, tmp_path: Path, sha256: str, size: int) -> None:
    with pytest.raises(AscendError, match="differs from the control node's"):
        take(DepotFile(depot + "/cann.run", sha256, size), str(tmp_path / "cache"))
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_file_that_is_not_there(depot: str, tmp_path: Path) -> None:
    with pytest.raises(AscendError, match=r"the depot did not serve a file.*curl -fI"):
        take(DepotFile(depot + "/other.run", SHA256, len(CONTENT)), str(tmp_path / "cache"))


def test_too_little_room(depot: str, tmp_path: Path) -> None:
    with pytest.raises(AscendError, match="too little room"):
        take(DepotFile(depot + "/cann.run", SHA256, 1 << 60), str(tmp_path / "cache"))
    assert asked == []


def test_the_official_bundle(tmp_path: Path) -> None:
    bundle = tmp_path / "Ascend-cann-kernels.zip"
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("CANN/Ascend-cann-kernels.run", CONTENT)
        archive.writestr("CANN/Ascend-cann-kernels.run.cms", b"signature")
    run = Path(unpacked_run(str(bundle)))
    assert (run.name, run.read_bytes()) == ("Ascend-cann-kernels.run", CONTENT)
    assert unpacked_run(str(run)) == str(run)
    # What lies there from an earlier run is not trusted by its size: root starts it.
    run.write_bytes(CONTENT[:-1] + b"!")
    assert Path(unpacked_run(str(bundle))).read_bytes() == CONTENT
    inode = run.stat().st_ino
    assert Path(unpacked_run(str(bundle))).stat().st_ino == inode, "what is right is left as it is"


def test_a_bundle_without_a_package(tmp_path: Path) -> None:
    bundle = tmp_path / "other.zip"
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("README", b"")
    with pytest.raises(AscendError, match="not contain exactly one package"):
        unpacked_run(str(bundle))
