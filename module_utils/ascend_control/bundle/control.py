# SPDX-License-Identifier: Apache-2.0
"""What a control node needs besides the project: a CPython >= 3.10 of the depot, and wheels to run Ansible with it."""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from packaging.version import Version

from ...ascend.environment import lock as locks
from ...ascend.errors import AscendError
from ..depot import addresses
from ..depot.index import Index

LEAST = (3, 10)
# The oldest C library of the systems that are supported (docs/operations.md); python-build-standalone asks for 2.17.
NEWEST_GLIBC = Version("2.28")
REQUIREMENTS = "requirements.txt"
_GLIBC = re.compile(rb"GLIBC_(\d+\.\d+)")
_NAME = re.compile(r"cpython-((\d+\.\d+)\.\d+)")


class Interpreter(NamedTuple):
    """An archive with one top folder python/; ``glibc`` is the C library that its programs need ("2.17")."""

    archive: Path
    version: str
    series: str
    glibc: str


def interpreter(index: Index, architecture: str, own: list[Path]) -> Interpreter:
    """Return the CPython for a control node of ``architecture``: one of the operator's own, else the depot's newest.

    Raises AscendError if there is none from 3.10 on.
    """
    entries = index["pythons"].get(architecture, {}).values()
    given = [path for path in own if architecture in path.name]
    found = given or [index.folder / entry["file"] for entry in entries if isinstance(entry, dict)]
    usable = {Version(match[1]): path for path in found if (match := _NAME.match(path.name)) and _is_usable(match[2])}
    if not usable:
        raise AscendError(
            f"no CPython for a control node of {architecture}",
            wanted=f"an archive cpython-3.N.M-...{architecture}...tar.gz, from {'.'.join(map(str, LEAST))} on",
            found=", ".join(path.name for path in found or own) or f"none for {architecture}",
            where=str(index.folder),
            remedy=f"get an install_only archive of python-build-standalone for {architecture}, and name it:"
            " make bundle CONTROL_PYTHON=/path/to/cpython-3.N.M-....tar.gz",
        )
    version = max(usable)
    archive = usable[version]
    return Interpreter(archive, str(version), ".".join(map(str, version.release[:2])), _glibc(archive))


def _is_usable(series: str) -> bool:
    return Version(series).release >= LEAST


def warning(python: Interpreter) -> str:
    """Say what an archive needs that not every supported system has; empty if nothing."""
    if Version(python.glibc) <= NEWEST_GLIBC:
        return ""
    return (
        f"{python.archive.name} needs glibc {python.glibc}, and libraries as on the machine where it was made. Compare:"
        " ldd --version on the other side (Debian 11 has 2.31, openEuler 22.03 2.34). An install_only archive of"
        " python-build-standalone runs on all: make bundle CONTROL_PYTHON=/path/to/it"
    )


def _glibc(archive: Path) -> str:
    """Return the newest version of glibc's symbols that the interpreter and its modules need. Raises AscendError."""
    asked = {b"2.17"}
    programs = 0
    try:
        with tarfile.open(archive, mode="r|*") as tar:
            for entry in tar:
                if entry.isfile() and re.fullmatch(r"python/(bin/python3[.\d]*|.*\.so[.\d]*)", entry.name):
                    programs += entry.name.startswith("python/bin/")
                    stream = tar.extractfile(entry)
                    asked.update(_GLIBC.findall(stream.read()) if stream else ())
    except (tarfile.TarError, EOFError, OSError) as error:
        raise AscendError("cannot read a CPython archive", found=str(error), where=str(archive)) from error
    if not programs:
        raise AscendError("an archive is not a relocatable CPython", wanted="python/bin/python3", where=str(archive))
    return str(max(Version(version.decode()) for version in asked))


def wheels(
    project: Path, architecture: str, series: str, core: str, incoming: Path | None, folder: Path
) -> dict[str, str]:
    """Download what the project needs at run time into ``folder``, with ``requirements.txt``; return name -> version.

    ``core`` narrows the version of ansible-core ("~=2.17.0"), for nodes with an old Python. Raises AscendError, also
    for a distribution without a wheel, because nothing is compiled on the other side.
    """
    text = _resolved(project, architecture, series, core)
    addresses.fetched(locks.entries(text), folder, architecture, series, incoming)
    sources = sorted(path.name for path in folder.iterdir() if path.suffix != ".whl")
    if sources:
        raise AscendError(
            "a distribution for the control node has no wheel",
            wanted=f"a wheel for CPython {series} on {architecture}, glibc {NEWEST_GLIBC}",
            found=", ".join(sources),
            remedy="choose another CPython: make bundle CONTROL_PYTHON=/path/to/cpython-3.N.M-....tar.gz",
        )
    (folder / REQUIREMENTS).write_text(text, encoding="utf-8")
    return dict(locks.parse(text))


def _resolved(project: Path, architecture: str, series: str, core: str) -> str:
    """Return pyproject's run-time dependencies, pinned and hashed; the arguments say for which system."""
    with tempfile.TemporaryDirectory() as place:
        narrowed = Path(place) / "constraints.txt"
        narrowed.write_text(f"ansible-core{core}\n", encoding="utf-8")
        asked = [str(project / "pyproject.toml"), "--constraint", str(narrowed)]
        return addresses.pinned(asked, architecture, series)


def tar_of(folder: Path, sink: Any) -> None:
    """Write the archive of a folder of wheels: the same wheels are the same bytes."""
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(folder.iterdir()):
            entry = tarfile.TarInfo(path.name)
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open("rb") as stream:
                archive.addfile(entry, stream)


def copy_of(path: Path, sink: Any) -> None:
    with path.open("rb") as stream:
        shutil.copyfileobj(stream, sink, 1 << 20)


def described(python: Interpreter, versions: Mapping[str, str]) -> dict[str, str]:
    """Return what bundle.json says of a control node."""
    return {"python": python.version, "glibc": python.glibc, "ansible_core": versions["ansible-core"]}
