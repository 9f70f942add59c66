# SPDX-License-Identifier: Apache-2.0
"""Which package index is asked: uv's variables, pip's, pip's files, in this order. Real servers, uv and pip."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import (
    download,
    indexes as module,
    web,
    wheels as depot_wheels,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.indexes import (
    Indexes,
    environment,
    indexes,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.web import Sources
from tests.served import authority, free_port
from tests.standin import build as standin
from tests.unit.depot.fileserver import Files, black_hole, index_of, serving

OTHERS = ("GIT_SSL_CAINFO", "UV_FIND_LINKS", "http_proxy", "HTTP_PROXY")
OF_PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "PIP_DEFAULT_TIMEOUT")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's own settings."""
    for name in (*module.OF_UV, *OF_PIP, *web.AUTHORITIES, web.STALL, *OTHERS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setattr(download, "PAUSE_S", 0.0)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a lock of five small wheels, and the wheels."""
    standin.build(tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def server(own: Path) -> Iterator[Files]:
    with serving(Files(index_of(sorted((own / "incoming").iterdir())))) as files:
        yield files


def filled(own: Path, depot: Path, sources: Sources | None = None) -> list[str]:
    """Fill the wheels of the lock; return their names."""
    depot.mkdir(exist_ok=True)
    index, lock = Index(depot), own / "lock-8.0.RC1.txt"
    depot_wheels.fill(index, "8.0.RC1", "x86_64", lock, "3.10", sources or Sources(), silent(), False)
    index.save()
    return sorted(path.name for path in depot.rglob("*.whl"))


def names(own: Path) -> list[str]:
    return sorted(path.name for path in (own / "incoming").iterdir())


# --- the order ------------------------------------------------------------------------------------------------------


def configured(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (folder / "pip.conf").write_text(text)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(folder / "pip.conf"))


def test_nothing_is_set() -> None:
    assert indexes().default == ""
    assert "UV_DEFAULT_INDEX" not in environment(Indexes())


def test_pips_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wheels").mkdir()
    text = (
        "[global]\nindex-url = https://g.test/simple\nextra-index-url = https://a.test/simple\n    https://b.test/s\n"
    )
    configured(tmp_path, monkeypatch, f"{text}find-links = {tmp_path}/wheels {tmp_path}/not-there\n")
    assert indexes() == Indexes(
        "https://g.test/simple", ("https://a.test/simple", "https://b.test/s"), (f"{tmp_path}/wheels",)
    )
    told = environment(indexes())
    assert told["UV_DEFAULT_INDEX"] == "https://g.test/simple"
    assert told["UV_INDEX"] == "https://a.test/simple https://b.test/s"
    assert told["UV_FIND_LINKS"] == f"{tmp_path}/wheels"


def test_pips_variable_comes_before_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(
        tmp_path, monkeypatch, "[global]\nindex-url = https://g.test/s\n[download]\nindex-url = https://d.test/s\n"
    )
    assert indexes().default == "https://d.test/s"
    monkeypatch.setenv("PIP_INDEX_URL", "https://v.test/s")
    assert indexes().default == "https://v.test/s"


def test_a_python_without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """As uv makes environments."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setenv("PIP_INDEX_URL", "https://v.test/s")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a.test/s https://b.test/s")
    assert indexes() == Indexes("https://v.test/s", ("https://a.test/s", "https://b.test/s"))


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_uvs_variable_comes_before_pips_and_pip_is_told_of_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://v.test/s")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://e.test/s")
    monkeypatch.setenv(name, "https://u.test/s")
    monkeypatch.setenv("UV_INDEX", "internal=https://i.test/s?a=b")
    found = indexes()
    assert found == Indexes("https://u.test/s", ("https://i.test/s?a=b",), of_uv=True)
    told = environment(found)
    assert (told["PIP_INDEX_URL"], told["PIP_EXTRA_INDEX_URL"]) == ("https://u.test/s", "https://i.test/s?a=b")
    assert told["UV_INDEX"] == "internal=https://i.test/s?a=b"


def test_all_three_programs_trust_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment(Indexes())["UV_SYSTEM_CERTS"] == "true"
    (tmp_path / "own.pem").touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{tmp_path}/own.pem")
    told = environment(Indexes())
    assert {told[name] for name in ("SSL_CERT_FILE", "PIP_CERT", "GIT_SSL_CAINFO")} == {f"{tmp_path}/own.pem"}


# --- and real ones --------------------------------------------------------------------------------------------------


WHOLE = pytest.mark.whole


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("PIP_INDEX_URL", marks=WHOLE),
        "UV_INDEX_URL",
        pytest.param("UV_DEFAULT_INDEX", marks=WHOLE),
        "pip.conf",
    ],
)
def test_the_wheels_come_from_the_index_that_is_named(
    own: Path, server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    address = f"{server.address}/simple"
    if name == "pip.conf":
        configured(tmp_path, monkeypatch, f"[global]\nindex-url = {address}\n")
    else:
        monkeypatch.setenv(name, address)
    assert filled(own, tmp_path / "depot") == names(own)
    asked = len(server.asked)
    assert filled(own, tmp_path / "depot") == names(own)
    assert len(server.asked) == asked, "what is there is not asked for"


def test_an_index_with_a_password_gives_its_files_for_the_same(
    own: Path, server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.account = "alice:geheim/99"
    monkeypatch.setenv("PIP_INDEX_URL", server.address.replace("://", "://alice:geheim%2F99@") + "/simple")
    assert filled(own, tmp_path / "depot") == names(own)
    monkeypatch.setenv("PIP_INDEX_URL", server.address.replace("://", "://alice:wrong99geheim@") + "/simple")
    with pytest.raises(AscendError, match="does not say where the lock's files are") as caught:
        filled(own, tmp_path / "other")
    assert "wrong99geheim" not in str(caught.value)


def test_an_index_with_a_certificate_of_ones_own(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted, certificate, key = authority(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(Files(index_of(sorted((own / "incoming").iterdir()))), context) as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple")
        with pytest.raises(AscendError, match=r"(?i)certificate.*export SSL_CERT_FILE="):
            filled(own, tmp_path / "depot")
        monkeypatch.setenv("PIP_CERT", str(trusted))
        assert filled(own, tmp_path / "depot") == names(own)


def with_cpu_build(own: Path) -> str:
    """Make the lock's torch a +cpu build; return its wheel's name."""
    lock, (torch,) = own / "lock-8.0.RC1.txt", (own / "incoming").glob("torch-*.whl")
    lock.write_text(lock.read_text().replace("torch==2.1.0+standin", "torch==2.1.0+cpu"))
    wheel = torch.rename(torch.with_name(torch.name.replace("+standin", "+cpu")))
    return wheel.name


def test_a_cpu_build_comes_from_its_own_index(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = with_cpu_build(own)
    wheels = sorted((own / "incoming").iterdir())
    others = [wheel for wheel in wheels if wheel.name != torch]
    with serving(Files(index_of(others))) as pypi, serving(Files(index_of([own / "incoming" / torch]))) as pytorch:
        monkeypatch.setenv("PIP_INDEX_URL", f"{pypi.address}/simple")
        with pytest.raises(AscendError, match=r"torch==2\.1\.0\+cpu"):
            filled(own, tmp_path / "depot")
        sources = Sources(extra_index=f"{pytorch.address}/simple")
        assert filled(own, tmp_path / "depot", sources) == names(own)


def test_a_cpu_build_of_the_operators_asks_no_index_for_it(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = with_cpu_build(own)
    wheels = sorted((own / "incoming").iterdir())
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    os.link(own / "incoming" / torch, incoming / torch)
    nobody = f"http://127.0.0.1:{free_port()}/whl/cpu"
    with serving(Files(index_of([wheel for wheel in wheels if wheel.name != torch]))) as pypi:
        monkeypatch.setenv("PIP_INDEX_URL", f"{pypi.address}/simple")
        assert filled(own, tmp_path / "depot", Sources(incoming, nobody)) == names(own)
        with pytest.raises(AscendError, match="set depot_extra_index to a mirror of") as caught:
            filled(own, tmp_path / "other", Sources(None, nobody))
    assert caught.value.where.startswith(nobody)


@pytest.mark.parametrize("answers", [False, pytest.param(True, marks=WHOLE)])
def test_an_index_of_which_nothing_comes_back_is_one_wait(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """The real uv, with limits of tenths of seconds in place of seconds."""
    monkeypatch.setattr(module, "CONNECT_S", 1.0)
    monkeypatch.setenv(web.STALL, "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with black_hole(answers) as address:
        monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
        with pytest.raises(AscendError, match="does not say where the lock's files are") as caught:
            filled(own, tmp_path / "depot")
    assert caught.value.wanted == "5 files: deepspeed, llamafactory, setuptools, torch-npu, torch"
    assert caught.value.where.startswith(f"{address}/simple/")
    assert caught.value.remedy.startswith(f"curl -fLI --max-time 20 {address}/simple/")


def test_an_index_that_breaks_off_in_the_middle_is_gone_on_with(
    own: Path, server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple")
    (torch,) = (path for path in server.contents if path.startswith("/files/torch-2"))
    server.breaks_at = {torch: [100, 400]}
    assert filled(own, tmp_path / "depot") == names(own)
    assert [ranged for path, ranged, _ in server.asked if path == torch] == ["", "bytes=100-", "bytes=500-"]
