# SPDX-License-Identifier: Apache-2.0
"""The files in which CANN and the driver say what they are: real ones where they are at hand, odd and damaged ones."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import files as cann_files
from tests import samples

EXPECTED = samples.expected("version_files")
PARSERS = {name: getattr(cann_files, name) for name in sorted({case["reader"] for case in EXPECTED.values()})}
VERSION_INFO = """\
Version=7.2.0.1.100
version_dir=8.0.RC1
timestamp=20240401_000000000
runtime_acl_version=1.0
required_driver_tsfw_version=1.0
required_package_opp_kernel_version=">=7.1, <=7.2"
"""
CFG = """\
# version: 1.0
runtime_running_version=[7.2.0.1.100:8.0.RC1]
runtime_installed_version=[7.6.0.1.220:8.0.0][7.2.0.1.100:8.0.RC1]
opp_running_version=[7.2.0.1.100:8.0.RC1], [7.6.0.1.220:8.0.0]
"""


def plain(value: Any) -> Any:
    """Tuples as YAML writes them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_real_file(name: str) -> None:
    case = EXPECTED[name]
    text, problem = cann_files.read(str(samples.path("version-files/" + name)))
    assert problem == ""
    found = plain(dataclasses.asdict(PARSERS[case["reader"]](text)))
    assert {key: value for key, value in found.items() if value not in (None, {}, [])} == case["fields"]


def test_expected_values_have_their_files() -> None:
    samples.require_names("version-files", EXPECTED)


def test_a_version_info_in_any_clothes() -> None:
    good = cann_files.parse_version_info(VERSION_INFO)
    assert (good.version, good.version_dir, good.problems) == ("7.2.0.1.100", "8.0.RC1", ())
    for text in (
        VERSION_INFO.replace("\n", "\r\n"),
        "\ufeff" + VERSION_INFO,
        "\n# a comment\n\n" + VERSION_INFO.rstrip("\n"),
        "\n".join("        " + line.replace("=", " = ", 1) for line in VERSION_INFO.splitlines()),
        VERSION_INFO + "Version=7.2.0.1.100\n",
    ):
        assert cann_files.parse_version_info(text) == good


def test_version_cfg_with_several_versions() -> None:
    cfg = cann_files.parse_version_cfg(CFG)
    one, other = ("7.2.0.1.100", "8.0.RC1"), ("7.6.0.1.220", "8.0.0")
    assert cfg.versions == {"runtime": (one,), "opp": (one, other)}
    assert cfg.problems == ()


def test_what_of_a_version_cfg_cannot_be_read() -> None:
    cfg = cann_files.parse_version_cfg(
        "runtime_running_version=[7.2:8.0.RC1]\nhccl_running_version=[7.2:8.0.R\nopp_running_version=[8.0.RC1]\n"
        "colour=red\ntoolkit_running_version=[a:b:c][7.2:8.0.RC1]x\n"
    )
    one = (("7.2", "8.0.RC1"),)
    assert cfg.versions == {"runtime": one, "hccl": (), "opp": (), "toolkit": one}
    assert cfg.problems == (
        "line 2: a bracket is missing: [7.2:8.0.R",
        "line 3: not a pair [number:version]: [8.0.RC1]",
        "line 4: not the version of a component: colour",
        "line 5: a bracket is missing: x",
        "line 5: not a pair [number:version]: [a:b:c]",
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("words alone", "not a key=value pair: words alone"),
        ("=8.0.RC1", "not a key=value pair: =8.0.RC1"),
        ("two words=1", "not a key=value pair: two words=1"),
        ('x_version="7.2', 'an unclosed quotation: x_version="7.2'),
        ("x\0\0=1", "bytes that are not text"),
        ("x=\ufffd", "bytes that are not text"),
        ("Innerversion=", "not a version: nothing"),
        ("package_version=none", "not a version: none"),
        ("compatible_version=[A],[B", "a bracket is missing: [B"),
        ("compatible_version=A", "a bracket is missing: A"),
        ("compatible_version=[[A]", "not a list in brackets: [[A]"),
        ("compatible_version_fw=A]", "not a list in brackets: A]"),
        ("timestamp=20250101_000000000", "timestamp is given twice: 20240401_000000000 and 20250101_000000000"),
    ],
)
def test_a_line_that_cannot_be_read(line: str, why: str) -> None:
    info = cann_files.parse_version_info(VERSION_INFO + line + "\n")
    assert info.problems == ("line 7: " + why,)
    assert (info.version, info.version_dir) == ("7.2.0.1.100", "8.0.RC1")


def test_nothing_is_guessed() -> None:
    twice = cann_files.parse_product_info("version=8.0.RC1\nversion=8.0.RC2\nversion=8.0.RC2\narch=aarch64\n")
    assert (twice.version, twice.arch) == (None, "aarch64")
    assert len(twice.problems) == 2
    torn = cann_files.parse_product_info("compatible_version=[A,B],[C],[D")
    assert torn.problems == ("line 1: a bracket is missing: [D",)
    assert cann_files.parse_product_info("compatible_version=[],[ ]").problems == ()
    paths = cann_files.parse_install_info("Opp_Install_Path_Param=/x\nOPP_INSTALL_PATH=/y")
    assert paths.packages == {"opp": {"path": "/x"}}
    assert paths.problems == ("line 2: a different path than before: /y",)


def test_records_of_installations() -> None:
    conf = cann_files.parse_install_info(
        "Install_Mode=install\nInstall_For_All=yes\nInstall_UserName=root\nInstall_Path=/usr/local/Ascend\nWhitelist=no\n"
    )
    assert conf.packages == {"": {"mode": "install", "for_all": "yes", "path": "/usr/local/Ascend"}}
    assert conf.problems == ()
    record = cann_files.parse_install_info("Toolkit_InstallPath=/data/Ascend\nNnae_InstallPath=/opt/Ascend\n")
    assert record.packages == {"toolkit": {"path": "/data/Ascend"}, "nnae": {"path": "/opt/Ascend"}}


def test_many_problems_are_counted() -> None:
    info = cann_files.parse_version_info("junk\n" * 1000)
    assert info.problems[-1] == "980 more lines"
    assert len(info.problems) == 21


@pytest.mark.parametrize("text", ["", "\n", "  \n\t\n"])
def test_an_empty_file(text: str) -> None:
    for parse in PARSERS.values():
        assert parse(text).problems == ("line 1: the file is empty",)


@given(st.text(alphabet=st.sampled_from("=[]:,.\"' \n\r\0#Vversion_running1")), st.sampled_from(sorted(PARSERS)))
def test_no_text_raises(text: str, parser: str) -> None:
    PARSERS[parser](text)


def test_reading(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xef\xbb\xbfversion=8.0.RC1\xff\n")
    (tmp_path / "empty").write_text(" \n")
    os.mkfifo(tmp_path / "pipe")
    assert cann_files.read(str(tmp_path / "file")) == ("version=8.0.RC1\ufffd\n", "")
    assert cann_files.read(str(tmp_path / "empty")) == (" \n", "empty")
    for name in ("pipe", "."):
        assert cann_files.read(str(tmp_path / name)) == ("", "not a regular file")
    for name in ("none", "file/below"):
        assert cann_files.read(str(tmp_path / name)) == ("", "missing")


def test_reading_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")

    def refuse(*_args: Any, **_more: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert cann_files.read(str(tmp_path / "file")) == ("", "cannot be read: Permission denied")
