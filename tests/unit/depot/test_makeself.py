# SPDX-License-Identifier: Apache-2.0
"""What a .run package is, is seen on the control node: a real one of makeself's, damaged ones, and what is none."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import makeself

ROOT = Path(__file__).resolve().parents[3]
NO_PACKAGE = "a file is not a CANN package"
DAMAGED = "a CANN package is damaged"
COMPRESSIONS: dict[str, Any] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "": bytes}
AARCH64 = "run_package/CANN-runtime-7.3.0.1.231-linux.aarch64.run"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The simulated toolkit (aarch64) and kernels (910b)."""
    folder = tmp_path_factory.mktemp("packages")
    argv = [sys.executable, str(ROOT / "sim/cann/build.py"), "--output", str(folder), "--arch", "x86_64"]
    subprocess.run(argv, check=True, capture_output=True)
    kinds = ("toolkit", "kernels")
    return {kind: next(folder.glob(f"Ascend-cann-{kind}*.run")) for kind in kinds}


def packed(names: list[str], compression: str = "gz") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    compressed: bytes = COMPRESSIONS[compression](content.getvalue())
    return compressed


def made(path: Path, *parts: bytes, sha: bool = True, md5: bool = False) -> Path:
    """A package with the header's variables alone."""
    zeros = {"SHA": "0" * 64, "MD5": "0" * 32}
    sums = {
        "SHA": " ".join(hashlib.sha256(part).hexdigest() if sha else zeros["SHA"] for part in parts),
        "MD5": " ".join(hashlib.md5(part).hexdigest() if md5 else zeros["MD5"] for part in parts),
    }
    sizes = " ".join(str(len(part)) for part in parts)
    lines = ["#!/bin/sh", f'MD5="{sums["MD5"]}"', f'SHA="{sums["SHA"]}"', f'filesizes="{sizes}"', 'skip="7"']
    header = "\n".join([*lines, 'skip="3"', "exit 0"]) + "\n"
    path.write_bytes(header.encode() + b"".join(parts))
    return path


def refused(path: Path, architecture: str = "aarch64", chip: str | None = None) -> AscendError:
    with pytest.raises(AscendError) as raised:
        makeself.inspect(path, architecture, chip)
    assert all(raised.value.as_dict().values()), raised.value.as_dict()
    assert raised.value.where == str(path)
    return raised.value


def test_the_packages_of_the_simulator(packages: dict[str, Path]) -> None:
    assert makeself.inspect(packages["toolkit"], "x86_64", None) == []
    assert makeself.inspect(packages["kernels"], "x86_64", "910b") == []
    error = refused(packages["toolkit"], "aarch64")
    assert (error.problem, error.found) == ("a CANN package is for another architecture", "x86_64")
    error = refused(packages["kernels"], "x86_64", "910_93")
    assert (error.problem, error.found) == ("a CANN package is for another chip", "910b")


@pytest.mark.parametrize("kind", ["toolkit", "kernels"])
def test_a_package_that_is_damaged_anywhere(packages: dict[str, Path], tmp_path: Path, kind: str) -> None:
    whole = packages[kind].read_bytes()
    path = tmp_path / "x.run"
    for cut in (len(whole) - 1, len(whole) // 2, 3000, 20):
        path.write_bytes(whole[:cut])
        assert refused(path, "x86_64").problem in (DAMAGED, NO_PACKAGE)
    path.write_bytes(whole + b"\0")
    assert "with extra data after its end" in refused(path, "x86_64").found
    for place in (len(whole) - 1, len(whole) - 2000):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        error = refused(path, "x86_64")
        assert (error.problem, error.found[:6]) == (DAMAGED, "sha256")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html>\n<html><title>Login</title>", "a page of a web site"),
        (b"\xef\xbb\xbf\r\n  <html>", "a page of a web site"),
        (b'{"error": "forbidden"}', "a web site's answer"),
        (b"PK\x03\x04\x14\0", "a zip archive: give it the name of the .zip"),
        (b"\x7fELF\x02", "a program"),
        (b"\0" * 4096, "a file of zeros"),
        (b"#!/bin/sh\necho hello\n", "a script that is not a package"),
        (b'#!/bin/sh\nskip="many"\nfilesizes=""\n', "a script that is not a package"),
        (b"\x89PNG\r\n", "something else"),
    ],
)
def test_what_is_no_package_is_told_as_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "Ascend-cann-toolkit.run"
    path.write_bytes(content)
    error = refused(path)
    assert error.problem == NO_PACKAGE
    assert error.found.startswith(words)


@pytest.mark.parametrize("compression", sorted(COMPRESSIONS))
def test_the_payload_may_have_any_usual_compression(tmp_path: Path, compression: str) -> None:
    path = made(tmp_path / "x.run", packed([AARCH64], compression))
    assert makeself.inspect(path, "aarch64", None) == []
    assert refused(path, "x86_64").found == "aarch64"


@pytest.mark.parametrize(
    ("names", "chip", "found"),
    [
        (["Ascend910B-opp_kernel-7.3.0.1.231.run"], "910b", ""),
        (["Ascend310B-opp_kernel-7.3.0.1.231.run"], "910b", "310b"),
        (["Ascend910-opp_kernel-7.3.0.1.231.run"], "910b", "910"),
        (["Ascend910B-opp_kernel-7.3.0.1.231.run"], "910_93", "910b"),
        (["a/kernel/ascend910_93/add.o", "a/kernel/config/ascend910_93/x.json"], "910b", "910_93"),
        (["a/kernel/ascend310p/add.o", "a/kernel/ascend910b/add.o"], "910b", ""),
        (["./cann-910b-ops-math_9.0.0_linux-aarch64.run", "./cann-hixl_9.0.0_linux-aarch64.run"], "910b", ""),
        (["./cann-A3-ops-legacy_9.0.0_linux-aarch64.run", "./cann-hixl_9.0.0_linux-aarch64.run"], "910b", "a3"),
        (["run_package/cann-310p-ops-legacy_9.0.0_linux-aarch64.run"], "910b", "310p"),
        (["a/ascend910c.txt"], "910b", "?"),
        (["a/kernel/ascend310p/add.o"], None, ""),
    ],
)
def test_kernels_of_another_chip(tmp_path: Path, names: list[str], chip: str | None, found: str) -> None:
    path = made(tmp_path / "x.run", packed(names))
    if found and found != "?":
        assert refused(path, "aarch64", chip).found == found
    else:
        told = makeself.inspect(path, "aarch64", chip)
        assert ["x.run does not say which architecture it is for"] * (found == "?") == told


def test_names_of_the_other_architecture_beside_the_wanted_one_are_no_fault(tmp_path: Path) -> None:
    names = ["x/x86_64-linux/bin/tool", "devlib/linux/x86_64/libx.so", AARCH64]
    assert makeself.inspect(made(tmp_path / "x.run", packed(names)), "aarch64", None) == []


def test_several_parts_are_held_to_a_sum_each(tmp_path: Path) -> None:
    parts = packed(["a", "b"]), packed([AARCH64])
    path = made(tmp_path / "x.run", *parts)
    assert makeself.inspect(path, "aarch64", None) == []
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert refused(path).problem == DAMAGED


def test_older_sums_and_none(tmp_path: Path) -> None:
    path = made(tmp_path / "x.run", packed([AARCH64]), sha=False, md5=True)
    assert makeself.inspect(path, "aarch64", None) == []
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert refused(path).found.startswith("md5 ")
    path = made(tmp_path / "y.run", packed([AARCH64]), sha=False)
    assert makeself.inspect(path, "aarch64", None) == ["y.run contains no checksum"]


def test_what_cannot_be_listed_is_said_and_not_refused(tmp_path: Path) -> None:
    (told,) = makeself.inspect(made(tmp_path / "x.run", b"\x28\xb5\x2f\xfd zstd"), "aarch64", None)
    assert told.startswith("cannot list the content of x.run: ")


def test_a_long_payload_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "x.run", packed([f"f{number}" for number in range(50)] + [AARCH64]))
    assert makeself.inspect(path, "aarch64", None) == []
    monkeypatch.setattr(makeself, "MOST_LISTED", 512 * 10)
    assert makeself.inspect(path, "aarch64", None) == ["x.run does not say which architecture it is for"]


def test_the_simulator_s_header_has_what_is_read(packages: dict[str, Path]) -> None:
    """The header's own arithmetic: it counts its lines with head and wc."""
    path = packages["toolkit"]
    skip = re.search(rb'^skip="(\d+)"', path.read_bytes(), re.MULTILINE)
    assert skip
    argv = ["sh", "-c", 'head -n "$1" "$2" | wc -c', "sh", skip[1].decode(), str(path)]
    offset = int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    with path.open("rb") as stream:
        assert makeself._header(path, stream).offset == offset
