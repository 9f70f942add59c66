# SPDX-License-Identifier: Apache-2.0
"""Distributions read from their files: names, versions, and what RECORD tells of their files."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import damage, distributions, record_file
from tests import environment_tree as tree

Damage = Callable[[Path], object]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The site-packages of an environment with two distributions."""
    place = tmp_path / "lib" / "python3.10" / "site-packages"
    tree.distribution(place, "Torch_NPU", "2.1.0.post3")
    tree.distribution(place, "fire", "0.7.0")
    return place


def read(site: Path, deep: bool = False) -> tuple[dict[str, str], list[str]]:
    """Versions and problems, nothing taken for wrong of what the wheels brought."""
    found, problems = distributions.read(str(site), sorted(os.listdir(site)), deep, {})
    return {one.name: one.version for one in found}, [problem.words for problem in problems]


def info(site: Path) -> Path:
    return site / "fire-0.7.0.dist-info"


def test_whole_ones(site: Path, tmp_path: Path) -> None:
    for deep in (False, True):
        assert read(site, deep) == ({"torch-npu": "2.1.0.post3", "fire": "0.7.0"}, [])
    assert damage.lost_files(str(tmp_path)) == {}
    assert damage.broken_infos(str(tmp_path)) == []
    assert damage.corrections(str(tmp_path)) == {}


METADATA = [
    (b"Name: Fire\nVersion: 0.7.0\n", ("fire", "0.7.0")),
    (b"name: fire\r\nversion: 0.7.0+cpu\r\n\r\n", ("fire", "0.7.0+cpu")),
    (b"\xef\xbb\xbfVersion: 1!2.0rc1\nName: a.b_c\n", ("a-b-c", "1!2.0rc1")),
    (b"Name: fire\nName: other\nVersion: 1\n", ("fire", "1")),
    (b"Name: fire\nSummary: " + b"x" * 9000 + b"\nVersion: 1\n", ("fire", "1")),
    (b"X: " + b"x" * (4096 - 3 - 11 - 13) + b"\nName: fire\nVersion: 12.345\n", ("fire", "12.345")),
    (b"Name: fire\n\nVersion: 1\n", ("", "")),
    (b"Name: fire\nVersion:\n", ("", "")),
    (b"Name: ../../etc\nVersion: 1\n", ("", "")),
    (b"Name: fire\nVersion: 1 \x00\n", ("", "")),
    (b"\xff\xfe\x00N\x00a", ("", "")),
    (b"", ("", "")),
]


@pytest.mark.parametrize(("text", "wanted"), METADATA)
def test_names_and_versions(text: bytes, wanted: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "METADATA").write_bytes(text)
    assert distributions.name_version(str(tmp_path / "METADATA")) == wanted


def test_a_version_is_never_cut_where_the_first_block_ends(tmp_path: Path) -> None:
    for length in range(4040, 4100):
        (tmp_path / "METADATA").write_bytes(b"X: " + b"x" * length + b"\nName: fire\nVersion: 12.345.678\n")
        assert distributions.name_version(str(tmp_path / "METADATA")) == ("fire", "12.345.678")


def replace_record(old: str, new: str) -> Damage:
    def damage(site: Path) -> None:
        record = info(site) / "RECORD"
        assert old in record.read_text()
        record.write_text(record.read_text().replace(old, new))

    return damage


def other_version(site: Path) -> None:
    old = (info(site) / "METADATA").read_text()
    (info(site) / "METADATA").write_text(old.replace("0.7.0", "0.7.0.1"))


def pipe(site: Path) -> None:
    (info(site) / "RECORD").unlink()
    os.mkfifo(info(site) / "RECORD")


# Damage, the words of the fast form, those of the deep form (None: the same).
DAMAGE: list[tuple[Damage, list[str], list[str] | None]] = [
    (lambda site: (info(site) / "RECORD").unlink(), ["fire: RECORD is missing"], None),
    (lambda site: (info(site) / "RECORD").write_bytes(b""), ["fire: RECORD is missing"], None),
    (lambda site: os.truncate(info(site) / "RECORD", 300), ["fire: RECORD is truncated"], None),
    (
        lambda site: (info(site) / "RECORD").write_bytes(b"\0\xff\n" * 9),
        ["fire: RECORD does not list its own METADATA"],
        None,
    ),
    (pipe, ["fire: RECORD is missing"], None),
    (
        replace_record("fire-0.7.0.dist-info", "fire-0.6.0.dist-info"),
        ["fire: RECORD belongs to fire-0.6.0.dist-info"],
        None,
    ),
    (lambda site: (info(site) / "METADATA").unlink(), ["fire-0.7.0.dist-info has no readable METADATA"], None),
    (
        lambda site: (info(site) / "METADATA").write_bytes(b"\xff\xfe"),
        ["fire-0.7.0.dist-info has no readable METADATA"],
        None,
    ),
    (other_version, ["fire: 1 file altered: fire-0.7.0.dist-info/METADATA"], None),
    (
        lambda site: shutil.rmtree(site / "fire"),
        ["fire: fire is missing"],
        ["fire: 3 files missing: fire/__init__.py, fire/core.py, fire/deep/er/file.py"],
    ),
    (
        lambda site: (site / "fire/core.py").unlink(),
        ["fire: fire/core.py is missing"],
        ["fire: 1 file missing: fire/core.py"],
    ),
    (
        lambda site: shutil.rmtree(site / "fire/deep"),
        ["fire: fire/deep is missing"],
        ["fire: 1 file missing: fire/deep/er/file.py"],
    ),
    (
        lambda site: (site.parents[2] / "bin/fire-tool").unlink(),
        ["fire: ../../../bin/fire-tool is missing"],
        ["fire: 1 file missing: ../../../bin/fire-tool"],
    ),
    (lambda site: (site / "fire/__init__.py").write_text("x"), ["fire: 1 file altered: fire/__init__.py"], None),
    (lambda site: (site / "fire/core.py").write_text("FIRE"), [], ["fire: 1 file altered: fire/core.py"]),
    (
        lambda site: (site / "fire/deep/er/file.py").write_text("9.9.9"),
        [],
        ["fire: 1 file altered: fire/deep/er/file.py"],
    ),
    (
        replace_record("fire/core.py,sha256=", "fire/core.py,sha256"),
        [],
        ["fire: RECORD has 1 unreadable line"],
    ),
    (lambda site: shutil.rmtree(site / "fire/__pycache__", ignore_errors=True), [], None),
    (lambda site: (site / "~ire").mkdir(), ["an interrupted pip left ~ire behind"], None),
    (
        lambda site: (site / "~ire-0.7.0.dist-info").mkdir(),
        ["an interrupted pip left ~ire-0.7.0.dist-info behind"],
        None,
    ),
    (
        lambda site: info(site).rename(site / "hire-0.7.0.dist-info"),
        ["fire: its METADATA is in hire-0.7.0.dist-info", "fire: RECORD belongs to fire-0.7.0.dist-info"],
        None,
    ),
]


@pytest.mark.parametrize(("damage", "fast", "deep"), DAMAGE)
def test_damage(site: Path, damage: Damage, fast: list[str], deep: list[str] | None) -> None:
    damage(site)
    assert read(site, False)[1] == fast
    assert read(site, True)[1] == (fast if deep is None else deep)


def test_one_is_never_taken_for_the_other_when_it_is_there_twice(site: Path) -> None:
    tree.distribution(site, "fire", "0.6.0")
    versions, problems = read(site)
    assert versions["fire"] == "0.7.0"
    assert "fire is installed twice: 0.6.0 and 0.7.0" in problems


def test_many_files_are_counted(site: Path) -> None:
    many = {f"big/part{number}/x.py": b"1" for number in range(50)}
    tree.distribution(site, "big", "1", many)
    for number in range(50):
        (site / f"big/part{number}/x.py").write_text("2")
    assert read(site)[1] == []
    assert read(site, True)[1] == ["big: 50 files altered: big/part0/x.py, big/part1/x.py, big/part10/x.py and 47 more"]
    shutil.rmtree(site / "big")
    (site / "big").mkdir()
    assert read(site)[1] == ["big: big/__init__.py is missing and 52 more"]


def test_every_script_is_measured(site: Path, tmp_path: Path) -> None:
    tree.distribution(site, "many", "1", {f"../../../bin/s{number}": b"#!" for number in range(12)})
    record = site / "many-1.dist-info/RECORD"
    lines = record.read_text().splitlines(keepends=True)
    for text in (lines, lines[::-1], [*lines[6:], *lines[:6]]):
        record.write_text("".join(text))
        assert read(site)[1] == []
        (tmp_path / "bin/s6").write_text("longer")
        assert read(site)[1] == ["many: 1 file altered: ../../../bin/s6"]
        (tmp_path / "bin/s6").unlink()
        assert read(site)[1] == ["many: ../../../bin/s6 is missing"]
        (tmp_path / "bin/s6").write_text("#!")


def test_longer_sums_and_unknown_ones(site: Path) -> None:
    rows = ""
    for kind, data in (("sha512", b"a"), ("sha384", b"b"), ("md5", b"c"), ("nonsense", b"d")):
        (site / f"fire/{kind}").write_bytes(data)
        digest = hashlib.new(kind, data).digest() if kind != "nonsense" else b"?"
        rows += f"fire/{kind},{kind}={base64.urlsafe_b64encode(digest).decode().rstrip('=')},1\n"
    with (info(site) / "RECORD").open("a") as record:
        record.write(rows)
    assert read(site, True)[1] == []
    for kind in ("sha512", "sha384", "md5", "nonsense"):
        (site / f"fire/{kind}").write_bytes(b"x")
    assert read(site, True)[1] == ["fire: 2 files altered: fire/sha512, fire/sha384"]


FORMS: dict[str, Callable[[bytes], str]] = {
    "padded": lambda digest: base64.urlsafe_b64encode(digest).decode(),
    "other alphabet": lambda digest: base64.b64encode(digest).decode(),
    "hexadecimal": lambda digest: digest.hex(),  # ffmpy 0.6.1
    "capitals": lambda digest: digest.hex().upper(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["sha256", "sha384", "sha512"])
def test_sums_in_other_forms_are_understood(site: Path, kind: str, form: str) -> None:
    contents = [str(number).encode() for number in range(40)]  # among them both letters in which the alphabets differ
    written = [FORMS[form](hashlib.new(kind, data).digest()) for data in contents]
    rows = [f"fire/f{number:02},{kind}={digest},\n" for number, digest in enumerate(written)]
    with (info(site) / "RECORD").open("a") as record:
        record.write("".join(rows))
    for number, data in enumerate(contents):
        (site / f"fire/f{number:02}").write_bytes(data)
    assert read(site, True)[1] == []
    (site / "fire/f07").write_bytes(b"x")
    assert read(site, True)[1] == ["fire: 1 file altered: fire/f07"]


ROWS = [
    ("a.py,sha256=x,1", ("a.py", "sha256=x", "1")),
    ("a.py,,\r", ("a.py", "", "")),
    ('"a,b ""c"".py",sha256=x,1', ('a,b "c".py', "sha256=x", "1")),
    ("a,b.py,,", ("a,b.py", "", "")),
    ("a.py", None),
    ("a.py,sha256=x", None),
    ("a.py,sha256=x,1.5", None),
    ("a.py,sha256=x," + "9" * 30, None),
    ("a.py,sha256=x,\u00b2", None),
    ("a.py,x,1", None),
    (",,", None),
    ('"a.py,,', None),
    ('"a"b,,', ("ab", "", "")),
]


@pytest.mark.parametrize(("line", "wanted"), ROWS)
def test_rows(line: str, wanted: tuple[str, str, str] | None) -> None:
    assert record_file.row(line) == wanted


def test_names_with_commas_and_odd_bytes(site: Path) -> None:
    name = os.fsdecode(b"od\xffd,\xe2\x80\xa8name.py")
    (site / name).write_bytes(b"1")
    with (info(site) / "RECORD").open("ab") as record:
        record.write(b'"od\xffd,\xe2\x80\xa8name.py",,1\n')
    assert read(site, True)[1] == []
    (site / name).unlink()
    assert read(site)[1] == [r"fire: od\xdcffd,\x2028name.py is missing"]
    assert read(site, True)[1] == [r"fire: 1 file missing: od\xdcffd,\x2028name.py"]


def test_lost_and_altered_files(site: Path, tmp_path: Path) -> None:
    (site / "fire/__init__.py").write_text("x = 100\n")
    (tmp_path / "bin/fire-tool").unlink()
    (site / "fire/core.py").write_text("FIRE")
    lost = ["../../../bin/fire-tool", "fire/__init__.py"]
    assert damage.lost_files(str(tmp_path)) == {"fire": lost}
    assert damage.lost_files(str(tmp_path), {}, record_file.ALL_SUMS) == {"fire": [*lost, "fire/core.py"]}


def test_broken_infos(site: Path, tmp_path: Path) -> None:
    new = info(site).rename(site / "fire-0.6.0.dist-info")
    assert damage.broken_infos(str(tmp_path)) == [str(new)]
    (site / "torch_npu-2.1.0.post3.dist-info/METADATA").unlink()
    assert len(damage.broken_infos(str(tmp_path))) == 2


def test_a_wheel_that_is_not_as_its_own_record(site: Path, tmp_path: Path) -> None:
    """As torch-npu 2.1.0.post3 is: METADATA edited after it was summed, and an egg-info of its own."""
    egg = {"torch_npu.egg-info/PKG-INFO": b"Name: torch_npu\nVersion: 2.1.0.post3\n"}
    npu = tree.distribution(site, "torch_npu", "2.1.0.post3", egg)
    record = (npu / "RECORD").read_text()
    (npu / "METADATA").write_text((npu / "METADATA").read_text() + "Requires-Dist: torch\n")
    (npu / "RECORD").write_text(record + "torch_npu/never.py,sha256=x,1\n")
    names = sorted(os.listdir(site))
    corrected = damage.corrections(str(tmp_path))
    assert sorted(corrected) == ["torch_npu-2.1.0.post3.dist-info/METADATA", "torch_npu/never.py"]
    for deep in (False, True):
        found, problems = distributions.read(str(site), names, deep, corrected)
        assert ([one.name for one in found], problems) == (["fire", "torch-npu"], [])
        words = [problem.words for problem in distributions.read(str(site), names, deep, None)[1]]
        assert len(words) == 1, "METADATA is not measured where nobody noted it"
        assert "never.py" in words[0]
    assert damage.lost_files(str(tmp_path), corrected) == {}
    (npu / "METADATA").write_text((npu / "METADATA").read_text().replace("torch\n", "tarch\n"))
    _, problems = distributions.read(str(site), names, True, corrected)
    assert [problem.words for problem in problems] == [f"torch-npu: 1 file altered: {npu.name}/METADATA"]


def test_eggs(site: Path) -> None:
    (site / "Old_One-1.0-py3.10.egg-info").write_text("Metadata-Version: 1.0\nName: Old-One\nVersion: 1.0\n")
    (site / "conda_one.egg-info").mkdir()
    (site / "conda_one.egg-info/PKG-INFO").write_text("Name: conda-one\nVersion: 2\n")
    (site / "zipped-3-py3.10.egg/EGG-INFO").mkdir(parents=True)
    (site / "zipped-3-py3.10.egg/EGG-INFO/PKG-INFO").write_text("Name: zipped\nVersion: 3\n")
    (site / "bad.egg-info").mkdir()
    (site / "fire.egg-info").write_text("Name: fire\nVersion: 0.7.0\n")
    versions, problems = read(site)
    assert versions == {"torch-npu": "2.1.0.post3", "fire": "0.7.0", "old-one": "1.0", "conda-one": "2", "zipped": "3"}
    assert problems == ["bad.egg-info has no readable PKG-INFO", "fire is installed twice: 0.7.0 and 0.7.0"]


def test_oddities_never_raise(site: Path) -> None:
    (site / "file-1.dist-info").write_text("not a folder")
    (site / "loop-1.dist-info").symlink_to("loop-1.dist-info")
    (site / "pipe-1.dist-info").mkdir()
    os.mkfifo(site / "pipe-1.dist-info/METADATA")
    folder = tree.distribution(site, "folder", "1")
    (site / "folder/core.py").unlink()
    (site / "folder/core.py").mkdir()
    (folder / "RECORD").write_bytes((folder / "RECORD").read_bytes() + b",,\n../\n\n/absolute/none,,\nfolder/\0.py,,\n")
    for deep in (False, True):
        words = "\n".join(read(site, deep)[1])
        for name in ("file", "loop", "pipe"):
            assert f"{name}-1.dist-info has no readable METADATA" in words
    assert "folder/core.py" in words
    assert r"folder/\x00.py" in words
    assert "RECORD has 2 unreadable lines" in words


def test_lib64_counts_once(tmp_path: Path, site: Path) -> None:
    (tmp_path / "lib64").symlink_to("lib")
    assert distributions.sites(str(tmp_path)) == [str(site)]
    (tmp_path / "lib64").unlink()
    other = tmp_path / "lib64/python3.10/site-packages"
    other.mkdir(parents=True)
    assert distributions.sites(str(tmp_path)) == [str(site), str(other)]
