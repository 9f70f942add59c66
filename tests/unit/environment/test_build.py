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
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result, run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import (
    build as environment,
    lock,
    read as python_tree,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.modules import python_env
from tests.standin import build as standin

UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or ""
PYTHON = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def depot_file(path: Path) -> DepotFile:
    return DepotFile(path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stand-in wheels and their lock."""
    folder = tmp_path_factory.mktemp("depot")
    standin.build(folder)
    return folder


@pytest.fixture
def wanted(depot: Path, tmp_path: Path) -> environment.Wanted:
    text = (depot / "lock-8.0.RC1.txt").read_text()
    return environment.Wanted(
        path=str(tmp_path / "env" / "8.0.RC1-x"),
        release="8.0.RC1",
        python=PYTHON,
        cann_home="/usr/local/Ascend/ascend-toolkit/8.0.RC1",
        lock=text,
        lock_digest=lock.digest(text),
        wheelhouse=(depot / "incoming").as_uri(),
        uv=depot_file(Path(UV)),
        source=None,
        cache_dir=str(tmp_path / "cache"),
        timeout_s=120,
    )


def site_packages(wanted: environment.Wanted) -> Path:
    series = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return Path(wanted.path) / "lib" / series / "site-packages"


def test_build_and_nothing_left(wanted: environment.Wanted) -> None:
    assert environment.problems(wanted) == ["it is absent"]
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
    assert environment.problems(replace(other, replace_python=True)) == [f"it runs another Python than {other.python}"]


def test_nothing_counts_before_it_is_on_the_disk(wanted: environment.Wanted) -> None:
    """After a power cut names are there, and contents are not: the record would say that they are."""

    def without_sync(argv: list[str], *arguments: Any, **more: Any) -> Result:
        if argv[0] != "sync":
            return run(argv, *arguments, **more)
        assert argv[-1] == wanted.path
        assert (site_packages(wanted) / "deepspeed").exists()
        assert not (Path(wanted.path) / python_tree.RECORD).exists()
        return Result(1, "sync: error syncing: Input/output error", False)

    with pytest.raises(AscendError, match="does not come to the disk"):
        environment.build(wanted, without_sync)
    assert not (Path(wanted.path) / python_tree.RECORD).exists()
    environment.build(wanted, run)
    assert environment.problems(wanted) == []


def test_an_environment_that_is_rebuilt_does_not_count_meanwhile(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    shutil.rmtree(site_packages(wanted) / "deepspeed")
    seen = []

    def looked_at(argv: list[str], *arguments: Any, **more: Any) -> Result:
        seen.append((Path(wanted.path) / python_tree.RECORD).exists())
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
    for part in ("deepspeed is missing", "llamafactory is 0.1", "extra 1.0 is extra", "torch"):
        assert part in words
    environment.build(wanted, run)
    assert environment.problems(wanted) == []
    assert (untouched.stat().st_ino, untouched.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_record_says_what_it_was_built_from(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    made = python_tree.recorded(wanted.path)
    assert made is not None
    assert (made.pins, made.editable, made.corrected) == (wanted.distributions(), (), {})
    found = python_tree.read_environment(wanted.path)
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
    record = site.parents[2] / python_tree.RECORD
    record.write_text(json.dumps({**json.loads(record.read_text()), "python": "3.1.4"}))


REPAIRED: dict[str, list[tuple[Callable[[Path], object], str]]] = {
    "in site-packages": [
        (lambda site: (site / "x.pth").write_text("/other\n"), "x.pth brings in /other"),
        (lambda site: (site / "x.egg-link").write_text("/other\n"), "x.egg-link brings in /other"),
        (lambda site: (site / "sitecustomize.py").touch(), "sitecustomize.py is run"),
        (lambda site: (site / "~orch").mkdir(), "~orch is left of an interrupted pip"),
        (lambda site: (site / "old.egg-info").write_text("Name: old\nVersion: 1\n"), "old 1 is extra"),
        (lambda site: (site / "older.egg-info").mkdir(), "older.egg-info has no readable PKG-INFO"),
        (lambda site: (site.parents[1] / "python3.9/site-packages").mkdir(parents=True), "lib/python3.9 is of another"),
        (lambda site: (site.parents[2] / ".cann_home").unlink(), "it belongs to None, not /usr/local"),
    ],
    "in distributions": [
        (lambda site: (site / "torch_npu" / "__init__.py").unlink(), "torch-npu: torch_npu/__init__.py is missing"),
        (lambda site: (site / "deepspeed" / "__init__.py").write_text("x"), "deepspeed/__init__.py"),
        (break_metadata, "torch is 9.9.9+standin, not 2.1.0+standin"),
        (make_editable, "torch is an editable checkout"),
    ],
    "in dist-infos": [
        (lambda site: os.truncate(next(site.glob("torch_npu-*.dist-info")) / "RECORD", 70), "torch-npu: RECORD"),
        (add_twin, "torch is there twice"),
    ],
    "in a name": [(break_name, "torch is missing")],
    "in the settings": [(alter_settings, "pyvenv.cfg takes in the system's site-packages")],
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
    assert environment.problems(other) == [f"it was built from lock {wanted.lock_digest}, not ffffffffffff"]
    environment.build(other, run)
    assert environment.problems(other) == []


def test_a_folder_in_place_of_the_link_is_not_touched(wanted: environment.Wanted) -> None:
    environment.build(wanted, run)
    link = Path(wanted.path).parent / "current"
    link.mkdir()
    with pytest.raises(AscendError, match="cannot be made"):
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
    with pytest.raises(AscendError, match="not finished"):
        environment.make_current(wanted.path, str(Path(wanted.path).parent / "current"))
    assert "it was not finished" in environment.problems(wanted)
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


@pytest.fixture
def source(wanted: environment.Wanted, tmp_path: Path) -> environment.Wanted:
    """The same environment with LLaMA-Factory from a checkout."""
    checkout = tmp_path / "LLaMA-Factory"
    (checkout / "src" / "llamafactory").mkdir(parents=True)
    (checkout / "src" / "llamafactory" / "__init__.py").write_text("")
    (checkout / "examples").mkdir()
    (checkout / "examples" / "lora.yaml").write_text("do_sample: false\n")
    (checkout / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "llamafactory"\nversion = "0.9.0"\n'
    )
    (checkout / "backend.py").write_text(BACKEND)
    return from_archive(wanted, tmp_path / "source.tar.gz", checkout)


def from_archive(wanted: environment.Wanted, archive: Path, checkout: Path) -> environment.Wanted:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(checkout, "LLaMA-Factory")
    return environment.Wanted(**{**wanted.__dict__, "source": depot_file(archive)})


def no_run(*argv: object, **options: object) -> Result:
    raise AssertionError(argv)


def test_an_editable_checkout(source: environment.Wanted, wanted: environment.Wanted) -> None:
    assert environment.build(source, run) == ""
    assert environment.problems(source, deep=True) == []
    found = python_tree.read_environment(wanted.path)
    assert found["editable"] == {"llamafactory": f"{wanted.path}/src/LLaMA-Factory"}
    assert found["sources"]["llamafactory"]["recorded"] is True
    made = python_tree.recorded(wanted.path)
    assert made is not None
    assert (made.pins["llamafactory"], made.editable) == ("0.9.0", ("llamafactory",))
    ask = "import llamafactory; print(llamafactory.__file__)"
    said = subprocess.run([f"{wanted.path}/bin/python", "-c", ask], capture_output=True, text=True, check=True)
    assert said.stdout.startswith(f"{wanted.path}/src/LLaMA-Factory/src/")
    assert environment.problems(source) == [], "byte code is no edit"
    example = Path(wanted.path) / "src" / "LLaMA-Factory" / "examples" / "lora.yaml"
    assert example.is_file()
    shutil.rmtree(Path(wanted.path) / "src")
    assert environment.problems(source) == [f"llamafactory: its source {wanted.path}/src/LLaMA-Factory is missing"]
    environment.build(source, run)
    assert (environment.problems(source), example.is_file()) == ([], True)
    assert "llamafactory is an editable checkout" in ", ".join(environment.problems(wanted))
    environment.build(wanted, run)
    assert environment.problems(wanted) == []


def test_an_edited_checkout_is_restored_without_uv(source: environment.Wanted) -> None:
    environment.build(source, run)
    checkout = Path(source.checkout)
    (checkout / "examples/lora.yaml").write_text("do_sample: true\n")
    (checkout / "src/llamafactory/mine.py").write_text("mine")
    (checkout / "saves").mkdir()
    (checkout / "saves/mine").write_text("mine")
    record = (Path(source.path) / python_tree.RECORD).stat()
    words = "files of the checkout were edited: examples/lora.yaml, src/llamafactory/mine.py"
    assert environment.problems(source) == [words]
    kept = Path(environment.build(source, no_run))
    assert environment.problems(source, deep=True) == []
    assert (checkout / "examples/lora.yaml").read_text() == "do_sample: false\n"
    assert (kept / "examples/lora.yaml").read_text() == "do_sample: true\n"
    assert (kept / "src/llamafactory/mine.py").read_text() == "mine"
    assert (checkout / "saves/mine").is_file()
    assert (Path(source.path) / python_tree.RECORD).stat().st_ino == record.st_ino, "it is never half-installed"
    (checkout / ".git").mkdir()
    (checkout / ".git/HEAD").write_text("a" * 40)
    assert environment.problems(source) == [f"the checkout is at commit {'a' * 40}, unpacked was none"]
    assert (Path(environment.build(source, no_run)) / ".git/HEAD").is_file()
    assert environment.problems(source) == []


def test_a_checkout_that_was_not_recorded_is_repaired_once(source: environment.Wanted) -> None:
    """As environments are that were built before; what was edited there is restored, too."""
    environment.build(source, run)
    (Path(source.path) / ".ascend-fleet-source-llamafactory.json").unlink()
    (Path(source.checkout) / "examples/lora.yaml").write_text("do_sample: true\n")
    assert environment.problems(source) == ["llamafactory: what was unpacked is not recorded"]
    kept = environment.build(source, run)
    assert (environment.problems(source, deep=True), environment.build(source, no_run)) == ([], "")
    assert (Path(kept) / "examples/lora.yaml").read_text() == "do_sample: true\n"


def test_another_archive_is_installed(source: environment.Wanted, tmp_path: Path) -> None:
    environment.build(source, run)
    checkout = tmp_path / "LLaMA-Factory"
    (checkout / "backend.py").write_text(BACKEND.replace("0.9.0", "0.9.1"))
    newer = from_archive(source, tmp_path / "newer.tar.gz", checkout)
    assert environment.problems(newer) == ["llamafactory was unpacked from another archive"]
    environment.build(newer, run)
    assert environment.problems(newer, deep=True) == []
    assert python_tree.read_environment(newer.path)["versions"]["llamafactory"] == "0.9.1"


def test_users_work_stays_when_the_environment_is_made_anew(source: environment.Wanted) -> None:
    environment.build(source, run)
    (Path(source.checkout) / "examples/lora.yaml").write_text("do_sample: true\n")
    (Path(source.checkout) / "saves").mkdir()
    (Path(source.checkout) / "saves/mine").write_text("mine")
    first = Path(environment.build(source, no_run))
    (Path(source.path) / "bin/python").unlink()
    (Path(source.path) / "stray").mkdir()
    environment.build(source, run)
    assert environment.problems(source, deep=True) == []
    assert (first / "examples/lora.yaml").is_file()
    assert (Path(source.checkout) / "saves/mine").is_file()
    assert not (Path(source.path) / "stray").exists()


def test_a_restoration_that_broke_off_is_finished(source: environment.Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.build(source, run)
    (Path(source.checkout) / "examples/lora.yaml").write_text("do_sample: true\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", no_link)
        with pytest.raises(KeyboardInterrupt):
            environment.build(source, no_run)
    assert environment.problems(source) == ["files of the checkout were edited: examples/lora.yaml"]
    kept = environment.build(source, no_run)
    assert (Path(kept) / "examples/lora.yaml").read_text() == "do_sample: true\n"
    assert environment.problems(source) == []


def no_link(*argv: object, **options: object) -> None:
    raise KeyboardInterrupt


def test_the_module_says_what_was_edited(source: environment.Wanted) -> None:
    environment.build(source, run)
    (Path(source.checkout) / "examples/lora.yaml").write_text("do_sample: true\n")
    words = "files of the checkout were edited: examples/lora.yaml"
    checked = python_env.ensure(options(source), check_mode=True)
    assert (checked["changed"], checked["differences"], checked["kept"]) == (True, [words], "")
    assert checked["diff"] == {"before": words + "\n", "after": ""}
    assert not (Path(source.path) / "edited").exists()
    done = python_env.ensure(options(source), check_mode=False)
    assert (done["changed"], done["differences"], done["diff"]) == (True, [words], checked["diff"])
    assert (Path(done["kept"]) / "examples/lora.yaml").is_file()
    for check_mode in (True, False):
        again = python_env.ensure(options(source), check_mode)
        assert (again["changed"], again["differences"], again["kept"]) == (False, [], "")


def options(wanted: environment.Wanted) -> dict[str, Any]:
    """What the role gives the module."""
    assert wanted.source is not None
    files = {"uv": wanted.uv, "source": wanted.source}
    parts = ("url", "sha256", "size_bytes")
    said = {f"{name}_{part}": getattr(file, part) for name, file in files.items() for part in parts}
    rest = {name: value for name, value in wanted.__dict__.items() if name not in (*files, "lock_digest")}
    state_dir = os.path.join(os.path.dirname(wanted.cache_dir), "state")
    asked = {"state": "present", "current": False, "deep": False, "depot_proxy": ""}
    return {**said, **rest, **asked, "state_dir": state_dir}


def test_what_cannot_be_removed_is_said(wanted: environment.Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(wanted.building).mkdir(parents=True)

    def busy(path: str) -> None:
        raise OSError(16, "Device or resource busy", path)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", busy)
        with pytest.raises(AscendError, match=r"cannot be removed.*busy.*building-8.0.RC1-x.*next: ls -la"):
            environment.build(wanted, no_run)
    Path(wanted.path).write_text("a file")
    environment.build(wanted, run)
    assert environment.problems(wanted) == []


# The least build backend with editable wheels (PEP 660), so that no network is needed.
BACKEND = """
import os, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "llamafactory-0.9.0-py3-none-any.whl"
    info = "llamafactory-0.9.0.dist-info/"
    files = {
        "llamafactory.pth": os.path.abspath("src") + "\\n",
        info + "METADATA": "Metadata-Version: 2.1\\nName: llamafactory\\nVersion: 0.9.0\\n",
        info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[info + "RECORD"] = "".join("%s,,\\n" % file for file in files) + info + "RECORD,,\\n"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return name

build_wheel = build_editable
"""
