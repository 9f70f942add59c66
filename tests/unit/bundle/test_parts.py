# SPDX-License-Identifier: Apache-2.0
"""The parts of a bundle: a depot goes into them and comes out of them, whatever happens between."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.bundle import layout, pack, unpack
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from tests.unit.bundle.made import part_of

PART = 60_000
# One of no bytes, one of several parts, one of exactly a block, one whose name is longer than a header takes.
CONTENT = {
    "cann/9.0.0/empty.run": b"",
    "cann/9.0.0/large.run": os.urandom(200_001),
    "locks/9.0.0-0123456789ab-aarch64.txt": b"a==1\n",
    f"wheels/9.0.0-0123456789ab-aarch64/{'long' * 45}.whl": os.urandom(512),
    "wheels/9.0.0-0123456789ab-aarch64/small-1-py3-none-any.whl": os.urandom(7000),
    "uv/uv-0.9.9-aarch64": os.urandom(20_000),
}
BUILT = "wheels/9.0.0-0123456789ab-aarch64/built.txt"


@pytest.fixture
def depot(tmp_path: Path) -> Path:
    folder = tmp_path / "depot"
    folder.mkdir()
    index = Index(folder)
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        index.enter(name)
    (folder / "uv/uv-0.9.9-aarch64").chmod(0o755)
    (folder / BUILT).write_text("small-1-py3-none-any.whl\n")
    index["uv"]["aarch64"] = {"version": "0.9.9", "file": "uv/uv-0.9.9-aarch64"}
    index.save()
    return folder


def packed(depot: Path, out: Path, part: int = PART) -> dict[str, Any]:
    """Write the parts of a bundle as scripts/bundle.py does; return its plan."""
    out.mkdir(exist_ok=True)
    planned = pack.plan(Index(depot), {}, part)
    sums = pack.begin(out, planned)
    reader = pack.Reader(depot, planned["files"])
    for name, pieces in planned["parts"].items():
        if not sums.known(name, layout.part_bytes(pieces)):
            sums.add(name, pack.write(out / name, part_of(reader, pieces)))
    sums.close()
    return planned


def taken(out: Path, depot: Path, *folders: Path) -> unpack.Taken:
    planned = json.loads((out / pack.PLAN).read_text())
    return unpack.take(planned, unpack.read_sums(out / pack.SUMS), depot, [*folders] or [out], lambda _: None)


def require_same(depot: Path, target: Path) -> None:
    names = [*CONTENT, BUILT]
    assert {name: (target / name).read_bytes() for name in names} == {
        name: (depot / name).read_bytes() for name in names
    }
    assert (target / "uv/uv-0.9.9-aarch64").stat().st_mode & 0o777 == 0o755
    left = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert left == {*names, "index.json", ".lock"}, "nothing unfinished is left"
    assert json.loads((target / "index.json").read_text())["uv"]["aarch64"]["version"] == "0.9.9"
    before, after = (json.loads((folder / "index.json").read_text())["files"] for folder in (depot, target))
    assert {name: entry["sha256"] for name, entry in before.items()} == {
        name: entry["sha256"] for name, entry in after.items()
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, "sha256", lambda path: pytest.fail(f"a look at the new depot reads {path} again"))
        index = Index(target)
        assert all(index.known(name) for name in after)


names = st.text("abc/", min_size=1, max_size=240).filter(lambda name: all(name.split("/")))


@settings(max_examples=60, deadline=None)
@given(sizes=st.dictionaries(names, st.integers(0, 150_000), min_size=1, max_size=8), most=st.integers(25_000, 200_000))
def test_every_byte_lies_in_one_part_and_no_part_is_larger_than_asked(sizes: dict[str, int], most: int) -> None:
    parts = layout.parts(sizes, most)
    pieces = [piece for part in parts for piece in part]
    for file, size in sizes.items():
        own = [piece for piece in pieces if piece.file == file]
        ends = [piece.offset + piece.size for piece in own]
        assert [piece.offset for piece in own] == [0, *ends[:-1]]
        assert ends[-1] == size
        assert [piece.whole for piece in own] == [len(own) == 1] * len(own)
    assert all(layout.part_bytes(part) <= most for part in parts)


def test_a_part_is_a_tar_archive_of_the_size_that_was_said(depot: Path, tmp_path: Path) -> None:
    planned = packed(depot, tmp_path / "out")
    assert len(planned["parts"]) >= 4
    for name, pieces in planned["parts"].items():
        path = tmp_path / "out" / name
        assert path.stat().st_size == layout.part_bytes(pieces) <= PART
        with tarfile.open(path) as archive:
            assert archive.getnames() == [piece.name for piece in pieces]


def test_pieces_put_together_by_hand_are_the_file(depot: Path, tmp_path: Path) -> None:
    packed(depot, tmp_path / "out")
    for part in (tmp_path / "out").glob("depot-*.tar"):
        with tarfile.open(part) as archive:
            archive.extractall(tmp_path / "hand", filter="data")
    pieces = sorted((tmp_path / "hand/cann/9.0.0").glob("large.run.piece-*"))
    assert b"".join(piece.read_bytes() for piece in pieces) == CONTENT["cann/9.0.0/large.run"]


def test_a_depot_comes_out_as_it_went_in(depot: Path, tmp_path: Path) -> None:
    packed(depot, tmp_path / "out")
    target = tmp_path / "target"
    assert taken(tmp_path / "out", target)[1:] == ([], [])
    require_same(depot, target)
    assert taken(tmp_path / "out", target, tmp_path).needed == 0, "what is there is not asked for again"


def test_the_same_depot_is_the_same_bytes(depot: Path, tmp_path: Path) -> None:
    packed(depot, tmp_path / "one")
    packed(depot, tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_parts_come_from_several_disks_in_any_order(depot: Path, tmp_path: Path) -> None:
    out, disk, target = tmp_path / "out", tmp_path / "disk", tmp_path / "target"
    planned = packed(depot, out)
    disk.mkdir()
    for name in list(planned["parts"])[::2]:
        shutil.move(out / name, disk / name)
    first = taken(out, target, disk)
    assert first.missing == list(planned["parts"])[1::2]
    assert not (target / "index.json").exists(), "an index names nothing that is not there"
    second = taken(out, target, out)
    assert (second.needed, second.missing) == (len(first.missing), [])
    require_same(depot, target)


@pytest.mark.parametrize("how", ["a bit", "cut off", "longer", "empty", "another's"])
def test_a_damaged_part_is_named_and_nothing_of_it_is_taken(depot: Path, tmp_path: Path, how: str) -> None:
    out, target = tmp_path / "out", tmp_path / "target"
    packed(depot, out)
    part = out / "depot-001.tar"
    good = part.read_bytes()
    bad: dict[str, bytes] = {
        "a bit": good[:700] + bytes([good[700] ^ 1]) + good[701:],
        "cut off": good[:40_000],
        "longer": good + b"\0",
        "empty": b"",
        "another's": (out / "depot-002.tar").read_bytes(),
    }
    part.write_bytes(bad[how])
    result = taken(out, target)
    (error,) = result.damaged
    assert error.problem == "depot-001.tar is damaged"
    assert str(part) in error.where
    assert "copy depot-001.tar again" in error.remedy
    with tarfile.open(fileobj=io.BytesIO(good)) as archive:
        names = [name.partition(".piece-")[0] for name in archive.getnames()]
    assert not [name for name in names if (target / name).exists()]
    part.write_bytes(good)
    assert taken(out, target) == unpack.Taken(1, [], []), "it alone is read again"
    require_same(depot, target)


def test_a_whole_copy_on_another_disk_serves_for_a_damaged_one(depot: Path, tmp_path: Path) -> None:
    out, disk = tmp_path / "out", tmp_path / "disk"
    packed(depot, out)
    shutil.copytree(out, disk)
    (out / "depot-002.tar").write_bytes(b"damaged")
    assert taken(out, tmp_path / "target", out, disk)[1:] == ([], [])
    require_same(depot, tmp_path / "target")


class Killed(BaseException):
    pass


def killed_at(number: int, function: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    """A function that is reached no more than ``number`` times; the list has how often it was."""
    count = [0]

    def reached(*arguments: Any, **options: Any) -> Any:
        count[0] += 1
        if count[0] > number:
            raise Killed
        return function(*arguments, **options)

    return reached, count


@pytest.mark.parametrize("point", ["fsync", "utime", "replace", "touch", "unlink"])
def test_unbundling_may_end_anywhere(depot: Path, tmp_path: Path, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time it ends one such call later than the time before, in the same depot, until it comes through."""
    out, target = tmp_path / "out", tmp_path / "target"
    packed(depot, out)
    owner = os if point in ("fsync", "utime") else Path
    for number in range(60):
        with monkeypatch.context() as patched:
            function, _ = killed_at(number, getattr(owner, point))
            patched.setattr(owner, point, function)
            try:
                taken(out, target)
            except Killed:
                continue
        break
    assert number, "the point was never reached"
    require_same(depot, target)


def test_packing_goes_on_where_it_ended(depot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    clean = packed(depot, tmp_path / "clean")
    with monkeypatch.context() as patched:
        function, _ = killed_at(6, os.fsync)
        patched.setattr(os, "fsync", function)
        with pytest.raises(Killed):
            packed(depot, out)
    assert not (out / pack.SUMS).exists(), "a bundle that is not whole has no sums to check"
    stamps = {path.name: path.stat().st_mtime_ns for path in out.glob("depot-*.tar")}
    assert len(stamps) >= 3
    # One that was cut off meanwhile counts as not made.
    os.truncate(out / "depot-001.tar", 5000)
    del stamps["depot-001.tar"]
    packed(depot, out)
    assert {name: (out / name).stat().st_mtime_ns for name in stamps} == stamps, "those parts were not made twice"
    for name in [*clean["parts"], pack.PLAN, pack.SUMS]:
        assert (out / name).read_bytes() == (tmp_path / "clean" / name).read_bytes()


def test_another_plan_leaves_nothing_of_the_last_bundle(depot: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    packed(depot, out)
    (out / f"{pack.SUMS}.asc").write_text("a signature of before")
    planned = packed(depot, out, PART * 3)
    assert sorted(path.name for path in out.glob("depot-*")) == list(planned["parts"])
    assert not (out / f"{pack.SUMS}.asc").exists()


def test_a_damaged_file_of_the_depot_is_not_carried(depot: Path, tmp_path: Path) -> None:
    file = depot / "cann/9.0.0/large.run"
    stamp = file.stat().st_mtime_ns
    file.write_bytes(os.urandom(200_001))
    os.utime(file, ns=(stamp, stamp))
    with pytest.raises(AscendError, match=r"a file of the depot is damaged.*large\.run.*make depot-check"):
        packed(depot, tmp_path / "out")
    assert not (tmp_path / "out" / pack.SUMS).exists()


def test_a_depot_that_lacks_files_is_refused_at_once(depot: Path, tmp_path: Path) -> None:
    (depot / "uv/uv-0.9.9-aarch64").unlink()
    with pytest.raises(AscendError, match=r"is incomplete.*1 files are missing, uv/uv-0.9.9-aarch64.*make depot-check"):
        packed(depot, tmp_path / "out")


def test_room_is_asked_for_before_anything_is_written(
    depot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, target = tmp_path / "out", tmp_path / "target"
    planned = packed(depot, out)
    total = sum(path.stat().st_size for path in out.glob("depot-*.tar"))
    assert pack.require_room(planned, out, 1000) == total + 1000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(
        AscendError, match=rf"not enough room for the bundle.*wanted: {sum(map(len, CONTENT.values())) + 25} more bytes"
    ):
        taken(out, target)
    assert [path.name for path in target.iterdir()] == [".lock"]
    with pytest.raises(AscendError, match=rf"not enough room for the bundle.*wanted: {total + 10**9} bytes"):
        pack.require_room(planned, out, 10**9)


def test_a_depot_of_other_releases_keeps_them(depot: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    index = Index(target)
    (target / "own.run").write_bytes(b"own")
    index.enter("own.run")
    index["uv"]["x86_64"] = {"version": "0.9.9", "file": "own.run"}
    index.save()
    packed(depot, tmp_path / "out")
    taken(tmp_path / "out", target)
    merged = Index(target)
    assert merged.known("own.run")
    assert set(merged["uv"]) == {"aarch64", "x86_64"}
    assert merged.known("cann/9.0.0/large.run")
