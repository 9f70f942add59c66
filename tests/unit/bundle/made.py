# SPDX-License-Identifier: Apache-2.0
"""A small bundle: the real project and script, this machine's interpreter, a stand-in of Ansible and of a depot."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.bundle import control, layout, pack, project
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from tests.standin.build import record_line

ROOT = Path(__file__).resolve().parents[3]
MACHINE = platform.machine()
PART = 60_000
SIZES = {"cann/9.0.0/large.run": 150_000, "uv/uv-0.9.9-aarch64": 20_000}
# What ansible-playbook is asked for at the end, and no more: the real one takes seconds.
PLAYBOOK = """\
import pathlib, sys
def main():
    if "--version" in sys.argv:
        print("ansible-playbook [core 9.9.9]")
    elif not pathlib.Path(sys.argv[2]).is_file() or not pathlib.Path(sys.argv[4]).is_dir():
        sys.exit("no such playbook, or inventory")
"""


def made(out: Path, work: Path) -> None:
    """Write a bundle into ``out``, as scripts/bundle.py does; ``work`` is a folder for what it is made of."""
    out.mkdir(parents=True)
    wheels = work / "wheels"
    wheels.mkdir(parents=True)
    _wheel(wheels)
    described = {MACHINE: {"python": platform.python_version(), "glibc": "2.17", "ansible_core": "9.9.9"}}
    planned = pack.plan(Index(depot(work / "depot")), described, PART)
    contents: dict[str, pack.Content] = {
        f"python-{MACHINE}.tar.gz": lambda sink: _interpreter(sink),
        f"wheels-{MACHINE}.tar": lambda sink: control.tar_of(wheels, sink),
        "project.tar.gz": lambda sink: project.write(ROOT, [], sink),
        "unbundle": lambda sink: sink.write((ROOT / "scripts" / "unbundle").read_bytes()),
    }
    sums = pack.begin(out, planned)
    for name, content in contents.items():
        sums.add(name, pack.write(out / name, content))
    sums.add(pack.PLAN, files.sha256(out / pack.PLAN))
    reader = pack.Reader(work / "depot", planned["files"])
    for name, pieces in planned["parts"].items():
        sums.add(name, pack.write(out / name, part_of(reader, pieces)))
    sums.close()


def part_of(reader: pack.Reader, pieces: list[layout.Piece]) -> pack.Content:
    return lambda sink: reader.part(pieces, sink)


def depot(folder: Path) -> Path:
    folder.mkdir()
    index = Index(folder)
    for name, size in SIZES.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(os.urandom(size))
        index.enter(name)
    index.save()
    return folder


def _interpreter(sink: Any) -> None:
    """An archive with python/bin/python3, which leads to the interpreter here."""
    with tarfile.open(fileobj=sink, mode="w|gz") as archive:
        entry = tarfile.TarInfo("python/bin/python3")
        entry.type, entry.linkname = tarfile.SYMTYPE, os.path.realpath(sys.executable)
        archive.addfile(entry)


def _wheel(folder: Path) -> None:
    """A stand-in of ansible-core, and the lock that names it."""
    info = "ansible_core-9.9.9.dist-info"
    content = {
        "standin_playbook.py": PLAYBOOK,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: ansible-core\nVersion: 9.9.9\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nansible-playbook = standin_playbook:main\n",
    }
    content[f"{info}/RECORD"] = "".join(record_line(*entry) for entry in content.items()) + f"{info}/RECORD,,\n"
    wheel = folder / "ansible_core-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / control.REQUIREMENTS).write_text(f"ansible-core==9.9.9 --hash=sha256:{digest}\n")
