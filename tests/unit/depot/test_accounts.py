# SPDX-License-Identifier: Apache-2.0
"""An account in an address reaches its server, and stands in no command line, which everybody on the machine reads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import fetch, source
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.indexes import Indexes
from tests.unit.depot.fileserver import Files, serving

ACCOUNT = "fleet:Pa%ss-3f:9d"
WRITTEN = "fleet:Pa%25ss-3f%3A9d"


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command lines of git and uv, and of what git starts."""
    file, programs = tmp_path / "lines", tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "uv"):
        script = f'#!/bin/sh\nprintf "%s " "$0" "$@" >>{file}\nexec {shutil.which(name)} "$@"\n'
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("GIT_TRACE", str(file))  # what git starts, with its arguments
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetch, "_uv", lambda: str(programs / "uv"))
    return file


def asked_as(server: Files) -> set[str]:
    """The accounts by which the server was asked."""
    import base64

    given = (headers.get("authorization", "").partition(" ")[2] for headers in server.headers)
    return {base64.b64decode(words).decode() for words in given if words}


def test_a_git_servers(lines: Path, tmp_path: Path) -> None:
    refs = "/lf.git/info/refs?service=git-upload-pack"
    # No git server: it ends as soon as it was asked.
    with serving(Files({refs: b"nothing of git's"}, account=ACCOUNT)) as server:
        url = f"{server.address.replace('//', f'//{WRITTEN}@')}/lf.git"
        (tmp_path / "depot").mkdir()
        with pytest.raises(AscendError, match="cannot clone the source"):
            source.fill(Index(tmp_path / "depot"), {"url": url, "version": "v0.9.1"}, {}, False)
    assert asked_as(server) == {ACCOUNT}
    assert len(server.headers) > 2, "git itself did not come"
    assert "remote-http" in lines.read_text()
    assert "3f" not in lines.read_text()


def test_the_extra_indexs(lines: Path) -> None:
    with serving(Files({}, account=ACCOUNT)) as server:
        index = f"{server.address.replace('//', f'//{WRITTEN}@')}/simple"
        with pytest.raises(AscendError, match="does not say where"):
            fetch._resolve(["torch==2.1.0+cpu --hash=sha256:00"], "x86_64", "3.10", index, Indexes(server.address))
    assert asked_as(server) == {ACCOUNT}
    assert "pip compile" in lines.read_text()
    assert "3f" not in lines.read_text()
