# SPDX-License-Identifier: Apache-2.0
"""Environments exactly as their lock: the real uv, small real wheels."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import (
    build as environment,
    lock,
    read as environment_read,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError

pytestmark = pytest.mark.slow


def site_packages(wanted: environment.Wanted) -> Path:
    series = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return Path(wanted.path) / "lib" / series / "site-packages"


def test_build_and_nothing_left(wanted: environment.Wanted) -> None:
    assert environment.problems(wanted) == ["the environment is absent"]
    environment.build(wanted, run)
    assert environment.problems(wanted) == []
    said = subprocess.run(
        [f"{wanted.path}/bin/llamafactory-cli", "version"], capture_output=True, text=True, check=False
    )
    assert "0.9.1" in said.stdout
    assert list(site_packages(wanted).glob("**/__pycache__/*.pyc")), "bytecode is compiled"
    assert [path.name for path in Path(wanted.path).parent.iterdir()] == ["8.0.RC1-x"]


def test_another_python_is_a_difference_only_when_it_is_to_be_replaced(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    other = replace(wanted, python="/opt/ascend/python/3.10.99/bin/python3")
    assert environment.problems(other) == []
    assert environment.problems(replace(wanted, replace_python=True)) == []
    assert environment.problems(replace(other, replace_python=True)) == [
        f"the environment's Python is not {other.python}"
    ]


def test_nothing_counts_before_it_is_on_the_disk(wanted: environment.Wanted) -> None:
    """After a power cut names are there, and contents are not: the record would say that they are."""

    def without_sync(argv: list[str], *arguments: Any, **more: Any) -> Result:
        if argv[0] != "sync":
            return run(argv, *arguments, **more)
        assert argv[-1] == wanted.path
        assert (site_packages(wanted) / "deepspeed").exists()
        assert not (Path(wanted.path) / environment_read.RECEIPT).exists()
        return Result(1, "sync: error syncing: Input/output error", False)

    with pytest.raises(AscendError, match="sync failed"):
        environment.build(wanted, without_sync)
    assert not (Path(wanted.path) / environment_read.RECEIPT).exists()
    environment.build(wanted, run)
    assert environment.problems(wanted) == []


def test_an_environment_that_is_rebuilt_does_not_count_meanwhile(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    shutil.rmtree(site_packages(wanted) / "deepspeed")
    seen = []

    def looked_at(argv: list[str], *arguments: Any, **more: Any) -> Result:
        seen.append((Path(wanted.path) / environment_read.RECEIPT).exists())
        return run(argv, *arguments, **more)

    environment.build(wanted, looked_at)
    assert seen
    assert not any(seen)


def test_damage_is_repaired_and_nothing_else_touched(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    site = site_packages(wanted)
    shutil.rmtree(site / "deepspeed")
    shutil.rmtree(next(site.glob("deepspeed-*.dist-info")))
    (next(site.glob("torch-*.dist-info")) / "RECORD").unlink()
    info = next(site.glob("llamafactory-*.dist-info"))
    other = info.rename(site / "llamafactory-0.1.dist-info") / "METADATA"
    other.write_text(other.read_text().replace("Version: 0.9.1+standin", "Version: 0.1"))
    extra = site / "extra-1.0.dist-info"
    extra.mkdir()
    (extra / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    (extra / "INSTALLER").write_text("somebody\n")  # not in RECORD: uv leaves it behind
    (extra / "RECORD").write_text("extra-1.0.dist-info/METADATA,,\nextra-1.0.dist-info/RECORD,,\n")
    untouched = site / "torch_npu" / "__init__.py"
    before = untouched.stat()
    words = " ".join(environment.problems(wanted))
    for part in ("deepspeed is missing", "llamafactory is 0.1", "extra 1.0 was added", "torch"):
        assert part in words
    environment.build(wanted, run)
    assert environment.problems(wanted) == []
    assert (untouched.stat().st_ino, untouched.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_record_says_what_it_was_built_from(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    made = environment_read.read_receipt(wanted.path)
    assert made is not None
    assert (made.pins, made.editable, made.corrected) == (wanted.distributions(), (), {})
    found = environment_read.read_environment(wanted.path)
    assert (found["state"], found["python"], found["lock_digest"]) == ("complete", made.python, wanted.lock_digest)
    ask = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    said = subprocess.run([f"{wanted.path}/bin/python", "-c", ask], capture_output=True, text=True, check=True)
    assert found["python"] == said.stdout.strip()


def break_metadata(site: Path) -> None:
    metadata = next(site.glob("torch-*.dist-info")) / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 2.1.0", "Version: 9.9.9"))
    record = metadata.with_name("RECORD")  # no sum of it either
    record.write_text(re.sub("METADATA,.*", "METADATA,,", record.read_text()))


def break_name(site: Path) -> None:
    metadata = next(site.glob("torch-*.dist-info")) / "METADATA"
    metadata.write_text(metadata.read_text().replace("Name: torch", "Name: tarch"))


def add_twin(site: Path) -> None:
    twin = shutil.copytree(next(site.glob("torch-*.dist-info")), site / "torch-1.0.dist-info")
    for name in ("METADATA", "RECORD"):
        text = (twin / name).read_text().replace("2.1.0+standin", "1.0")
        (twin / name).write_text(text)


def make_editable(site: Path) -> None:
    direct = json.dumps({"url": f"file://{site}", "dir_info": {"editable": True}})
    (next(site.glob("torch-*.dist-info")) / "direct_url.json").write_text(direct)


def alter_settings(site: Path) -> None:
    config = site.parents[2] / "pyvenv.cfg"
    config.write_text(config.read_text().replace("= false", "= true"))


def other_python(site: Path) -> None:
    record = site.parents[2] / environment_read.RECEIPT
    record.write_text(json.dumps({**json.loads(record.read_text()), "python": "3.1.4"}))


REPAIRED: dict[str, list[tuple[Callable[[Path], object], str]]] = {
    "in site-packages": [
        (lambda site: (site / "x.pth").write_text("/other\n"), "x.pth adds /other to sys.path"),
        (lambda site: (site / "x.egg-link").write_text("/other\n"), "x.egg-link points to /other"),
        (lambda site: (site / "sitecustomize.py").touch(), "runs sitecustomize.py"),
        (lambda site: (site / "~orch").mkdir(), "an interrupted pip left ~orch behind"),
        (lambda site: (site / "old.egg-info").write_text("Name: old\nVersion: 1\n"), "old 1 was added"),
        (lambda site: (site / "older.egg-info").mkdir(), "older.egg-info has no readable PKG-INFO"),
        (lambda site: (site.parents[1] / "python3.9/site-packages").mkdir(parents=True), "lib/python3.9 belongs to"),
        (
            lambda site: (site.parents[2] / ".cann_home").unlink(),
            "the environment was built for no CANN, not /usr/local",
        ),
    ],
    "in distributions": [
        (lambda site: (site / "torch_npu" / "__init__.py").unlink(), "torch-npu: torch_npu/__init__.py is missing"),
        (lambda site: (site / "deepspeed" / "__init__.py").write_text("x"), "deepspeed/__init__.py"),
        (break_metadata, "torch is 9.9.9+standin, not 2.1.0+standin"),
        (make_editable, "torch is an editable checkout"),
    ],
    "in dist-infos": [
        (lambda site: os.truncate(next(site.glob("torch_npu-*.dist-info")) / "RECORD", 70), "torch-npu: RECORD"),
        (add_twin, "torch is installed twice"),
    ],
    "in a name": [(break_name, "torch is missing")],
    "in the settings": [(alter_settings, "pyvenv.cfg includes the system's site-packages")],
    "in no settings": [(lambda site: (site.parents[2] / "pyvenv.cfg").unlink(), "pyvenv.cfg is missing")],
    "in the link": [(lambda site: (site.parents[2] / "bin" / "python").unlink(), "bin/python is missing")],
    "in the record": [(other_python, "not 3.1.4")],
}


@pytest.mark.parametrize("kind", REPAIRED)
def test_every_problem_is_cured_by_a_repair(wanted: environment.Wanted, kind: str) -> None:
    environment.build(wanted, run)
    for damage, _ in REPAIRED[kind]:
        damage(site_packages(wanted))
    found = ", ".join(environment.problems(wanted))
    for _, words in REPAIRED[kind]:
        assert words in found
    environment.build(wanted, run)
    assert environment.problems(wanted, deep=True) == []


def test_an_altered_byte_is_seen_and_repaired_by_sums_alone(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    file = next(path for path in sorted((site_packages(wanted) / "torch").rglob("*.py")) if path.stat().st_size)
    good, before = file.read_bytes(), file.stat()
    file.write_bytes(b"#" * len(good))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert environment.problems(wanted) == []
    assert environment.problems(wanted, deep=True) == [f"torch: 1 file altered: {file.relative_to(file.parents[1])}"]
    environment.build(wanted, run, deep=True)
    assert (file.read_bytes(), environment.problems(wanted, deep=True)) == (good, [])


def test_a_wheel_that_is_not_as_its_own_record(wanted: environment.Wanted, tmp_path: Path) -> None:
    """As torch-npu 2.1.0.post3 is, whose METADATA was edited after it was summed."""
    wheelhouse = shutil.copytree(Path(wanted.wheelhouse.removeprefix("file://")), tmp_path / "incoming")
    wheel = next(wheelhouse.glob("torch_npu-*.whl"))
    old = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    (metadata,) = (name for name in content if name.endswith("/METADATA"))
    content[metadata] += b"License: x\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    text = wanted.lock.replace(old, hashlib.sha256(wheel.read_bytes()).hexdigest())
    odd = environment.Wanted(
        **{**wanted.__dict__, "lock": text, "wheelhouse": wheelhouse.as_uri(), "lock_digest": lock.digest(text)}
    )
    environment.build(odd, run)
    assert environment.problems(odd, deep=True) == []
    untouched = site_packages(odd) / "torch_npu" / "__init__.py"
    before = untouched.stat()
    shutil.rmtree(site_packages(odd) / "deepspeed")
    environment.build(odd, run)
    assert environment.problems(odd, deep=True) == []
    assert untouched.stat().st_ino == before.st_ino, "what is as its wheel is not installed again"


def test_another_lock_in_the_record_is_said(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    other = environment.Wanted(**{**wanted.__dict__, "lock_digest": "f" * 12})
    assert environment.problems(other) == [
        f"the environment was built from lock {wanted.lock_digest}, not ffffffffffff"
    ]
    environment.build(other, run)
    assert environment.problems(other) == []


def test_a_folder_in_place_of_the_link_is_not_touched(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    link = Path(wanted.path).parent / "current"
    link.mkdir()
    with pytest.raises(AscendError, match="cannot create the link"):
        environment.make_current(wanted.path, str(link))
    assert link.is_dir()


def test_a_lost_file_within_a_distribution_is_restored(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    lost = site_packages(wanted) / "torch_npu" / "npu.py"
    lost.unlink()
    environment.build(wanted, run)
    assert lost.is_file()


def test_an_interrupted_build_does_not_count_and_is_finished(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    (Path(wanted.path) / ".ascend-fleet.json").unlink()
    with pytest.raises(AscendError, match="an unfinished environment"):
        environment.make_current(wanted.path, str(Path(wanted.path).parent / "current"))
    assert "the environment is not finished" in environment.problems(wanted)
    environment.build(wanted, run)
    assert environment.problems(wanted) == []


def test_a_wheel_with_another_hash_is_refused(wanted: environment.Wanted) -> None:
    text = "\n".join(
        line.replace("sha256:", "sha256:" + "0" * 8)[: len(line)] if "sha256" in line else line
        for line in wanted.lock.splitlines()
    )
    wrong = environment.Wanted(**{**wanted.__dict__, "lock": text})
    with pytest.raises(AscendError, match=r"uv ended with code.*[Hh]ash"):
        environment.build(wrong, run)
    assert environment.problems(wanted) != []


def test_current_is_led_atomically(wanted: environment.Wanted) -> None:
    link = Path(wanted.path).parent / "current"
    environment.build(wanted, run)
    assert environment.read_current(str(link)) is None
    link.symlink_to("elsewhere")
    environment.make_current(wanted.path, str(link))
    assert environment.read_current(str(link)) == wanted.path
    assert not link.with_name("current.part").is_symlink()


def no_run(*argv: object, **options: object) -> Result:
    raise AssertionError(argv)


def test_what_cannot_be_removed_is_said(wanted: environment.Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(wanted.building).mkdir(parents=True)

    def busy(path: str) -> None:
        raise OSError(16, "Device or resource busy", path)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", busy)
        with pytest.raises(AscendError, match=r"cannot remove.*busy.*building-8.0.RC1-x.*next: ls -la"):
            environment.build(wanted, no_run)
    Path(wanted.path).write_text("a file")
    environment.build(wanted, run)
    assert environment.problems(wanted) == []


def test_an_account_of_the_depot_stands_in_no_command_line(wanted: environment.Wanted, tmp_path: Path) -> None:
    """Every user of a node reads those; uv's environment is root's. A folder's name may have what parts addresses."""
    folder = shutil.copytree(wanted.wheelhouse.removeprefix("file://"), tmp_path / "a,b")
    seen: list[str] = []

    def watched(argv: list[str], *arguments: Any, **more: Any) -> Result:
        seen.extend(argv)
        return run(argv, *arguments, **more)

    environment.build(replace(wanted, wheelhouse=f"file://{folder}"), watched)
    assert environment.problems(wanted) == []
    with pytest.raises(AscendError, match="uv ended with code") as refused:
        environment.build(
            replace(wanted, path=f"{wanted.path}-2", wheelhouse="http://a:geheim99@127.0.0.1:9/x"), watched
        )
    assert "127.0.0.1:9" in refused.value.found + refused.value.wanted
    assert "geheim99" not in " ".join(seen) + str(refused.value)
