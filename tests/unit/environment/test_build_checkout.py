# SPDX-License-Identifier: Apache-2.0
"""Environments with LLaMA-Factory installed editable, from its archive: its checkout is unpacked, restored and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import (
    build as environment,
    read as environment_read,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.modules import python_env
from tests.unit.environment.conftest import depot_file
from tests.unit.environment.test_build import no_run

NODE = Node(run, shutil.which)


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


def test_an_editable_checkout(source: environment.Wanted, wanted: environment.Wanted) -> None:
    assert environment.build(source, run) == ""
    assert environment.problems(source, deep=True) == []
    found = environment_read.read_environment(wanted.path)
    assert found["editable"] == {"llamafactory": f"{wanted.path}/src/LLaMA-Factory"}
    assert found["sources"]["llamafactory"]["recorded"] is True
    made = environment_read.read_receipt(wanted.path)
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
    record = (Path(source.path) / environment_read.RECEIPT).stat()
    words = "files of the checkout were edited: examples/lora.yaml, src/llamafactory/mine.py"
    assert environment.problems(source) == [words]
    kept = Path(environment.build(source, no_run))
    assert environment.problems(source, deep=True) == []
    assert (checkout / "examples/lora.yaml").read_text() == "do_sample: false\n"
    assert (kept / "examples/lora.yaml").read_text() == "do_sample: true\n"
    assert (kept / "src/llamafactory/mine.py").read_text() == "mine"
    assert (checkout / "saves/mine").is_file()
    assert (Path(source.path) / environment_read.RECEIPT).stat().st_ino == record.st_ino, "it is never half-installed"
    (checkout / ".git").mkdir()
    (checkout / ".git/HEAD").write_text("a" * 40)
    assert environment.problems(source) == [f"the checkout is at commit {'a' * 40}, not none, which was unpacked"]
    assert (Path(environment.build(source, no_run)) / ".git/HEAD").is_file()
    assert environment.problems(source) == []


def test_a_checkout_that_was_not_recorded_is_repaired_once(source: environment.Wanted) -> None:
    """As environments are that were built before; what was edited there is restored, too."""
    environment.build(source, run)
    (Path(source.path) / ".ascend-fleet-source-llamafactory.json").unlink()
    (Path(source.checkout) / "examples/lora.yaml").write_text("do_sample: true\n")
    assert environment.problems(source) == ["llamafactory: its checkout has no manifest"]
    kept = environment.build(source, run)
    assert (environment.problems(source, deep=True), environment.build(source, no_run)) == ([], "")
    assert (Path(kept) / "examples/lora.yaml").read_text() == "do_sample: true\n"


def test_another_archive_is_installed(source: environment.Wanted, tmp_path: Path) -> None:
    environment.build(source, run)
    checkout = tmp_path / "LLaMA-Factory"
    (checkout / "backend.py").write_text(BACKEND.replace("0.9.0", "0.9.1"))
    newer = from_archive(source, tmp_path / "newer.tar.gz", checkout)
    assert environment.problems(newer) == ["llamafactory was unpacked from a different archive"]
    environment.build(newer, run)
    assert environment.problems(newer, deep=True) == []
    assert environment_read.read_environment(newer.path)["versions"]["llamafactory"] == "0.9.1"


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
    checked = python_env.ensure(options(source), True, NODE)
    assert (checked["changed"], checked["differences"], checked["kept"]) == (True, [words], "")
    assert checked["diff"] == {"before": words + "\n", "after": ""}
    assert not (Path(source.path) / "edited").exists()
    done = python_env.ensure(options(source), False, NODE)
    assert (done["changed"], done["differences"], done["diff"]) == (True, [words], checked["diff"])
    assert (Path(done["kept"]) / "examples/lora.yaml").is_file()
    for check_mode in (True, False):
        again = python_env.ensure(options(source), check_mode, NODE)
        assert (again["changed"], again["differences"], again["kept"]) == (False, [], "")


def options(wanted: environment.Wanted) -> dict[str, Any]:
    """What the role gives the module."""
    assert wanted.source is not None
    files = {"uv": wanted.uv, "source": wanted.source}
    parts = ("url", "sha256", "size_bytes")
    said = {f"{name}_{part}": getattr(file, part) for name, file in files.items() for part in parts}
    rest = {name: value for name, value in wanted.__dict__.items() if name not in files}
    state_dir = os.path.join(os.path.dirname(wanted.cache_dir), "state")
    asked = {"state": "present", "current": False, "deep": False, "depot_proxy": "", "examples": None}
    return {**said, **rest, **asked, "state_dir": state_dir}


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
