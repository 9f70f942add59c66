# SPDX-License-Identifier: Apache-2.0
"""Files of a node are read without raising, whatever lies in their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files


def test_pairs() -> None:
    text = "# Version=1\nVersion = 24.1.rc1 \r\nname=\"x=y\"\nother='z'\n\nno pair\nempty=\n"
    assert files.pairs(text) == {"Version": "24.1.rc1", "name": "x=y", "other": "z", "empty": ""}
    assert files.pairs(None) == {}


def test_odd_things_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    (tmp_path / "loop").symlink_to("loop")
    for name in ("folder", "pipe", "loop", "none"):
        assert files.text(str(tmp_path / name)) is None
        assert files.mapping(str(tmp_path / name)) == {}
    (tmp_path / "bytes").write_bytes(b"a\xff\n")
    assert files.text(str(tmp_path / "bytes")) == "a\ufffd\n"


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, '"x"'])
def test_json_that_is_no_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    assert files.mapping(str(tmp_path / "file")) == {}


def test_names_and_links(tmp_path: Path) -> None:
    (tmp_path / "b").symlink_to("nowhere")
    (tmp_path / "a").touch()
    assert files.names(str(tmp_path)) == ["a", "b"]
    assert files.names(str(tmp_path / "a")) == []
    assert (files.link(str(tmp_path / "b")), files.link(str(tmp_path / "a"))) == ("nowhere", None)


@pytest.mark.parametrize(
    ("path", "folder", "within"),
    [
        ("/opt/a", "/opt/a", True),
        ("/opt/a/b", "/opt/a", True),
        ("/opt/a/b", "/opt/a/", True),
        ("/opt", "/", True),
        ("/", "/", True),
        ("/opt/ab", "/opt/a", False),
        ("/opt", "/opt/a", False),
    ],
)
def test_what_lies_in_a_folder(path: str, folder: str, within: bool) -> None:
    assert files.is_in(path, folder) is within
