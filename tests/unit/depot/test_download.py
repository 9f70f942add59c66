# SPDX-License-Identifier: Apache-2.0
"""Downloads against real servers: resumed, verified, given up; what a killed run left is gone on with."""

from __future__ import annotations

import hashlib
import random
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import download as module, web
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.download import File, download
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.web import Web, accounts_of
from tests.served import authority
from tests.unit.depot.fileserver import Files, black_hole, serving

ROOT = Path(__file__).resolve().parents[3]
CONTENT = random.Random(7).randbytes(300_000)
# A run of its own: target, address, sha256, name, size and the rest of a File.
PROGRAM = """
import signal, sys
from pathlib import Path
sys.path.insert(0, "collections")
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import download, progress, web
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
target, url, sha256, name, size, _ = sys.argv[1:]
wanted = download.File(url, sha256, name, int(size))
download.download([wanted], Path(target), web.Web(), progress.silent(), "")
"""
SETTINGS = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this session's own, and no pauses."""
    for name in (*SETTINGS, *web.AUTHORITIES, web.STALL, "NETRC"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(module, "PAUSE_S", 0.0)


@pytest.fixture
def server() -> Iterator[Files]:
    with serving(Files({"/a.whl": CONTENT})) as files:
        yield files


def file(server: Files, path: str = "/a.whl", content: bytes = CONTENT, size: int | None = None) -> File:
    size = len(content) if size is None else size
    return File(
        server.address + path, hashlib.sha256(content).hexdigest(), path[1:], size, "put it into depot_incoming"
    )


def fetched(target: Path, *files: File, accounts: dict[str, str] | None = None) -> list[str]:
    """Download; return what lies in the folder afterwards."""
    download([*files], target, Web(accounts=accounts), silent(), "files")
    return sorted(path.name for path in target.iterdir())


def wait_for(fulfilled: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not fulfilled():
        assert time.monotonic() < until
        time.sleep(0.02)


def part(target: Path, content: bytes, wanted: File) -> Path:
    """What a run left that was ended."""
    target.mkdir(exist_ok=True)
    path = target / f"{wanted.name}.{wanted.sha256[:16]}.part"
    path.write_bytes(content)
    return path


def test_a_line_that_breaks_is_gone_on_with_where_it_broke(server: Files, tmp_path: Path) -> None:
    server.breaks_at["/a.whl"] = [100_000, 50_000, 1]
    assert fetched(tmp_path / "t", file(server)) == ["a.whl"]
    assert (tmp_path / "t/a.whl").read_bytes() == CONTENT
    assert (tmp_path / "t/a.whl").stat().st_mode & 0o777 == 0o644
    assert [ranged for _, ranged, _ in server.asked] == ["", "bytes=100000-", "bytes=150000-", "bytes=150001-"]


def test_a_server_without_ranges_begins_anew(server: Files, tmp_path: Path) -> None:
    server.ranges, server.breaks_at = False, {"/a.whl": [100_000]}
    assert fetched(tmp_path / "t", file(server)) == ["a.whl"]
    assert (tmp_path / "t/a.whl").read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_server_that_gives_another_part_is_asked_for_the_whole(server: Files, tmp_path: Path) -> None:
    server.ranges_from, server.breaks_at = 7, {"/a.whl": [100_000]}
    assert fetched(tmp_path / "t", file(server)) == ["a.whl"]
    assert (tmp_path / "t/a.whl").read_bytes() == CONTENT
    assert [ranged for _, ranged, _ in server.asked] == ["", "bytes=100000-", ""]


def test_a_server_that_always_breaks_at_the_same_place_is_given_up(server: Files, tmp_path: Path) -> None:
    server.ranges, server.breaks_at = False, {"/a.whl": [100_000] * 20}
    with pytest.raises(AscendError, match=r"a\.whl cannot be fetched.*IncompleteRead"):
        fetched(tmp_path / "t", file(server))
    assert len(server.asked) == 1 + module.FRUITLESS


@pytest.mark.parametrize("size", [len(CONTENT), 0])
def test_what_an_earlier_run_left_is_gone_on_with(server: Files, tmp_path: Path, size: int) -> None:
    wanted = file(server, size=size)
    part(tmp_path / "t", CONTENT[:200_000], wanted)
    assert fetched(tmp_path / "t", wanted) == ["a.whl"]
    assert [ranged for _, ranged, _ in server.asked] == ["bytes=200000-"]
    assert (tmp_path / "t/a.whl").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), 0])
def test_what_came_whole_before_the_run_was_ended_is_not_fetched_again(
    server: Files, tmp_path: Path, size: int
) -> None:
    wanted = file(server, size=size)
    part(tmp_path / "t", CONTENT, wanted)
    assert fetched(tmp_path / "t", wanted) == ["a.whl"]
    assert [ranged for _, ranged, _ in server.asked] == ([] if size else [f"bytes={len(CONTENT)}-"])


@pytest.mark.parametrize("left", [b"\0" * 200_000, CONTENT + b"more", b"\0" * len(CONTENT)])
@pytest.mark.parametrize("size", [len(CONTENT), 0])
def test_a_beginning_of_another_file_costs_one_more_download(
    server: Files, tmp_path: Path, left: bytes, size: int
) -> None:
    """As a power cut leaves it, or a server whose file changed since."""
    wanted = file(server, size=size)
    part(tmp_path / "t", left, wanted)
    assert fetched(tmp_path / "t", wanted) == ["a.whl"]
    assert (tmp_path / "t/a.whl").read_bytes() == CONTENT
    assert server.asked[-1][1] == ""
    assert len(server.asked) <= 2


def test_another_content_is_not_given_the_name_and_asked_for_once(server: Files, tmp_path: Path) -> None:
    wanted = file(server, content=b"x" * len(CONTENT))
    with pytest.raises(AscendError, match="not the published file") as caught:
        fetched(tmp_path / "t", wanted)
    assert (caught.value.wanted, caught.value.where) == (f"sha256 {wanted.sha256}", wanted.url)
    assert list((tmp_path / "t").iterdir()) == []
    assert len(server.asked) == 1


def test_a_page_in_place_of_a_large_file_ends_before_it_is_read(server: Files, tmp_path: Path) -> None:
    with pytest.raises(AscendError, match=r"wanted: 2000000000 bytes; found: 300000 bytes"):
        fetched(tmp_path / "t", file(server, size=2_000_000_000))


@pytest.mark.parametrize(("status", "times"), [(403, 1), (404, 1), (503, 2)])
def test_what_a_server_refuses_is_named(server: Files, tmp_path: Path, status: int, times: int) -> None:
    server.status["/a.whl"] = status
    wanted = file(server)
    with pytest.raises(AscendError, match=rf"a\.whl cannot be fetched.*HTTP {status}") as caught:
        fetched(tmp_path / "t", wanted)
    assert caught.value.wanted == wanted.url
    assert caught.value.where.startswith("127.0.0.1")
    assert f"curl -fLI --max-time 20 {wanted.url} " in caught.value.remedy
    assert "depot_incoming" in caught.value.remedy
    assert len(server.asked) == times


def test_the_first_failure_ends_all_and_what_came_stays(
    server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred files that are refused are one failure; one under way, whose server is silent, is not waited for."""
    monkeypatch.setenv(web.STALL, "600")
    server.holds_after = 200_000
    whole = file(server)
    left = tmp_path / "t" / f"a.whl.{whole.sha256[:16]}.part"
    server.gate = lambda: wait_for(lambda: left.is_file() and left.stat().st_size == 200_000)
    gone = [File(f"{server.address}/{number}", "0" * 64, f"gone-{number}") for number in range(200)]
    with pytest.raises(AscendError, match=r"gone-\d+ cannot be fetched.*HTTP 404"):
        fetched(tmp_path / "t", whole, *gone)
    assert not server.release.is_set()
    assert list((tmp_path / "t").iterdir()) == [left]
    assert len(server.asked) <= 2 * module.AT_ONCE


@pytest.mark.parametrize("answers", [False, True])
def test_a_black_hole_costs_one_wait_for_all_files(
    answers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that drops packets, and one that takes connections and never says a word."""
    monkeypatch.setattr(web, "CONNECT_S", 0.2)
    monkeypatch.setenv(web.STALL, "0.2")
    opened: list[str] = []
    really = Web.opened

    def counted(self: Web, url: str, begin: int = 0) -> object:
        opened.append(url)
        return really(self, url, begin)

    monkeypatch.setattr(Web, "opened", counted)
    with black_hole(answers) as address:
        files = [File(f"{address}/{number}", "0" * 64, f"file-{number}") for number in range(100)]
        words = "no data for 0.2 s" if answers else "no connection within 0.2 s"
        with pytest.raises(AscendError, match=words):
            fetched(tmp_path / "t", *files)
    assert len(opened) <= module.AT_ONCE * module.FRUITLESS + module.AT_ONCE
    assert list((tmp_path / "t").iterdir()) == []


def test_the_limits_are_of_seconds() -> None:
    """Two tries, each as long as a connection or a silent line may take."""
    assert (web.CONNECT_S, web.stall_s(), module.FRUITLESS) == (5.0, 15.0, 2)


def test_a_run_that_is_killed_goes_on_where_it_was(server: Files, tmp_path: Path) -> None:
    """kill -9, when two thirds have come."""
    server.holds_after = 200_000
    wanted = file(server)
    target = tmp_path / "t"
    killed = subprocess.Popen([sys.executable, "-c", PROGRAM, str(target), *map(str, wanted)], cwd=ROOT)
    left = target / f"a.whl.{wanted.sha256[:16]}.part"
    wait_for(lambda: left.is_file() and left.stat().st_size == 200_000)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    server.holds_after = 0
    server.asked.clear()
    assert fetched(target, wanted) == ["a.whl"]
    assert [ranged for _, ranged, _ in server.asked] == ["bytes=200000-"]
    assert (target / "a.whl").read_bytes() == CONTENT


def test_parts_of_files_that_nobody_wants_any_more_go(server: Files, tmp_path: Path) -> None:
    part(tmp_path / "t", b"x", File("", "f" * 64, "older.whl"))
    assert fetched(tmp_path / "t", file(server)) == ["a.whl"]


def test_a_full_disk_is_told_as_such_and_not_as_the_servers(server: Files, tmp_path: Path) -> None:
    limit = len(CONTENT) // 2
    argv = ["prlimit", f"--fsize={limit}", sys.executable, "-c", PROGRAM, str(tmp_path / "t"), *map(str, file(server))]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "OSError: [Errno 27] File too large"
    assert len(server.asked) == 1


# --- the way there --------------------------------------------------------------------------------------------------


def test_a_redirect_is_followed_with_the_range_and_without_the_account(server: Files, tmp_path: Path) -> None:
    with serving(Files({})) as first:
        first.leads = {"/a.whl": f"{server.address}/a.whl"}
        wanted = file(first)
        part(tmp_path / "t", CONTENT[:1000], wanted)
        accounts = accounts_of([first.address.replace("://", "://alice:geheim99@")])
        assert fetched(tmp_path / "t", wanted, accounts=accounts) == ["a.whl"]
        assert first.headers[0]["authorization"].startswith("Basic ")
    assert server.asked == [("/a.whl", "bytes=1000-", "")]
    assert "authorization" not in server.headers[0]


def test_netrc_has_accounts_too(server: Files, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login alice password geheim99\n")
    (tmp_path / ".netrc").chmod(0o600)
    fetched(tmp_path / "t", file(server))
    assert server.headers[0]["authorization"].startswith("Basic ")


def test_huaweis_store_is_asked_as_from_huaweis_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    store = "https://ascend-repo.obs.cn-east-2.myhuaweicloud.com/CANN/CANN%208.0.RC1/x.zip"
    assert Web()._headers(store, 7)["Referer"] == "https://www.hiascend.com/"
    assert Web()._headers(store, 7)["Range"] == "bytes=7-"
    assert "Referer" not in Web()._headers("https://files.example.org/x.whl", 0)
    assert "Referer" not in Web()._headers("https://myhuaweicloud.com.example.org/x", 0)


def test_the_header_reaches_the_server(server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "HUAWEIS", ("127.0.0.1",))
    fetched(tmp_path / "t", file(server))
    assert server.asked == [("/a.whl", "", "https://www.hiascend.com/")]


def test_a_mirror_stands_for_the_beginning_of_an_address(server: Files, tmp_path: Path) -> None:
    mirrors = {"https://example.org/": "http://127.0.0.1:9/", "https://example.org/store/": f"{server.address}/"}
    wanted = File("https://example.org/store/a.whl", hashlib.sha256(CONTENT).hexdigest(), "a.whl")
    download([wanted], tmp_path / "t", Web(mirrors), silent(), "files")
    assert (tmp_path / "t/a.whl").read_bytes() == CONTENT


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    return authority(tmp_path_factory.mktemp("authority"), "127.0.0.1")


@pytest.fixture
def secure(certificates: tuple[Path, Path, Path]) -> Iterator[tuple[Files, Path]]:
    """A server whose certificate is of an authority of its own."""
    trusted, certificate, key = certificates
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(Files({"/a.whl": CONTENT}), context) as files:
        yield files, trusted


def test_a_certificate_of_nobody_known_is_refused_with_the_variable(secure: tuple[Files, Path], tmp_path: Path) -> None:
    server, _ = secure
    with pytest.raises(AscendError, match=r"certificate verify failed.*export SSL_CERT_FILE="):
        fetched(tmp_path / "t", file(server))
    assert server.asked == []


@pytest.mark.parametrize("name", web.AUTHORITIES)
def test_an_authority_of_ones_own(
    secure: tuple[Files, Path], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, trusted = secure
    monkeypatch.setenv(name, str(trusted))
    assert fetched(tmp_path / "t", file(server)) == ["a.whl"]


def test_an_authority_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "none.pem"))
    with pytest.raises(AscendError, match="as PIP_CERT says"):
        Web().opened("http://127.0.0.1:9/")


def test_https_does_not_become_http(
    secure: tuple[Files, Path], tmp_path: Path, server: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, trusted = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    first.leads = {"/a.whl": f"{server.address}/a.whl"}
    with pytest.raises(AscendError, match="redirects from https to http"):
        fetched(tmp_path / "t", file(first))
    assert server.asked == []


@pytest.mark.parametrize("released", [True, False])
def test_waking_a_download_that_has_ended_meanwhile_hides_no_error(server: Files, released: bool) -> None:
    """Another one's failure wakes it: what is wrong with that one is to be told, and not this."""
    server.contents["/file"] = b"x"
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", f"{server.address}/file", preload_content=False)
        if released:
            answer.drain_conn()
            answer.release_conn()
        waked: Any = SimpleNamespace(_answer=answer)
        module._Download.abort(waked)
