# SPDX-License-Identifier: Apache-2.0
"""A relocatable CPython for the depot: the operator's archive, the release's, or one made from an interpreter here."""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from packaging.version import Version

from ...ascend import rights
from ...ascend.errors import AscendError
from ..release.read import accepts_python
from .download import File, download
from .index import Index, place, python_of
from .progress import Progress
from .web import Sources, Web

STANDALONE = "https://github.com/astral-sh/python-build-standalone/releases/download"
# Left out: what only CPython's own developers and desktop programs need.
LEFT_OUT = re.compile(
    r"__pycache__|test|tests|idlelib|turtledemo|tkinter|_tkinter\..*\.so|.*\.a|config-3.*|site-packages"
)
# pip as a module, from whatever place the archive was unpacked to: CANN's installer calls pip3.
PIP = '#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/python3" -m pip "$@"\n'


class Asked(NamedTuple):
    """One CPython: ``python`` is release.yml's (series, accepted, depot, archives), ``exact`` the wanted version.

    ``own`` is an interpreter that the operator names, or empty; ``make``: whether one of this machine is allowed.
    """

    python: dict[str, Any]
    architecture: str
    own: str = ""
    make: bool = False
    exact: str = ""

    @property
    def series(self) -> str:
        return str(self.python["series"])

    @property
    def pinned(self) -> dict[str, str]:
        """The address and the sum of the archive that the release pins for the architecture; empty for none."""
        archive = self.python.get("archives", {}).get(self.architecture, {})
        return archive if self.takes(str(self.python.get("depot", ""))) else {}

    def takes(self, version: str) -> bool:
        return version == self.exact if self.exact else accepts_python(self.python, version)


def fill(index: Index, asked: Asked, sources: Sources, progress: Progress, check: bool) -> tuple[list[str], list[str]]:
    """Add one CPython of the release's series for an architecture to the depot; return (what was added, warnings).

    An accepted one in the depot stays. The operator's own comes first, as it is; then the archive that the release
    pins; last, if allowed, one made from an interpreter of this machine. Raises AscendError if there is none.
    """
    series, architecture = asked.series, asked.architecture
    entry = python_of(index["pythons"], architecture, series)
    if entry and accepts_python(asked.python, entry["version"]) and index.known(entry["file"]):
        return [], []
    if check:
        return [f"CPython {series} for {architecture}"], []
    (index.folder / "python").mkdir(parents=True, exist_ok=True)
    tried: list[str] = []
    found = _from_incoming(index, asked, sources.incoming, tried) or _from_operator(index, asked, tried)
    if not found and asked.pinned:
        found = _from_release(index, asked, sources, progress, tried)
    if not found and asked.make:
        exact = asked._replace(exact=str(asked.python.get("depot", "")))
        found = _from_here(index, exact, tried) or _from_here(index, asked, tried)
    if not found:
        raise _none(asked, tried)
    version, relative = found
    sha256 = index.enter(relative)
    _enter(index, architecture, series, {"version": version, "file": relative})
    return [relative], [] if sha256 == asked.pinned.get("sha256") else [_not_pinned(relative, sha256, tried)]


def _not_pinned(relative: str, sha256: str, tried: list[str]) -> str:
    why = f" ({'; '.join(dict.fromkeys(tried))})" if tried else ""
    return f"{relative} is not pinned: it is not the archive that the release names, its sha256 is {sha256}{why}"


def _none(asked: Asked, tried: list[str]) -> AscendError:
    named = str(asked.python.get("depot") or asked.series + ".N")
    limits = f" ({asked.python['accepted']})" if asked.python.get("accepted") else ""
    own = Path(unquote(urlsplit(asked.pinned.get("url", "")).path)).name
    remedy = f"put {own or 'an install_only archive of python-build-standalone'} into depot_incoming"
    return AscendError(
        f"cannot obtain CPython {asked.series} for {asked.architecture}",
        wanted=f"an archive with one folder python/, named cpython-{named}-linux-{asked.architecture}.tar.gz{limits}",
        found="; ".join(dict.fromkeys(tried)),
        where=asked.pinned.get("url", "python.archives of release.yml, which has none"),
        remedy=f"{remedy}; or name an interpreter of this architecture: depot_python",
    )


def _enter(index: Index, architecture: str, series: str, entry: dict[str, str]) -> None:
    """Add one Python beside those of other series; entries of the old form, without a series, are removed."""
    others = index["pythons"].get(architecture, {})
    kept = {other: python for other, python in others.items() if isinstance(python, dict)}
    index["pythons"][architecture] = {**kept, series: entry}


Found = tuple[str, str] | None


def _from_incoming(index: Index, asked: Asked, incoming: Path | None, tried: list[str]) -> Found:
    if not incoming:
        tried.append("depot_incoming is not set")
        return None
    archives = {}
    for path in incoming.glob(f"cpython-{asked.series}.*.tar.gz"):
        match = re.match(rf"cpython-({re.escape(asked.series)}\.\d+)", path.name)
        if match and asked.architecture in path.name:
            archives[match.group(1)] = path
    taken = [version for version in archives if asked.takes(version)]
    if not taken:
        others = f" (not accepted: {', '.join(sorted(archives))})" if archives else ""
        tried.append(f"no archive in {incoming}{others}")
        return None
    # The pinned version, else the newest.
    version = max(taken, key=lambda each: (each == asked.python.get("depot"), Version(each)))
    relative = f"python/{archives[version].name}"
    place(archives[version], index.folder / relative)
    return version, relative


def _from_operator(index: Index, asked: Asked, tried: list[str]) -> Found:
    return _archive_of(index, Path(asked.own), asked, tried) if asked.own else None


def _from_release(index: Index, asked: Asked, sources: Sources, progress: Progress, tried: list[str]) -> Found:
    version, archive = str(asked.python["depot"]), asked.pinned
    name = f"cpython-{version}-linux-{asked.architecture}.tar.gz"
    published = Path(unquote(urlsplit(archive["url"]).path)).name
    file = File(archive["url"], archive["sha256"], name, instead=f"put {published} into depot_incoming")
    web = Web({**_mirror_of_uv(), **sources.addresses})
    try:
        download([file], index.folder / "python", web, progress, f"CPython {version} for {asked.architecture}")
    except AscendError as error:
        if not asked.make:
            raise
        tried.append(f"{web.place(archive['url'])}: {error.found}")
        return None
    return version, f"python/{name}"


def _mirror_of_uv() -> dict[str, str]:
    """Where uv is configured to take the same archives from."""
    mirror = os.environ.get("UV_PYTHON_INSTALL_MIRROR", "").rstrip("/")
    return {STANDALONE: mirror} if mirror else {}


def _from_here(index: Index, asked: Asked, tried: list[str]) -> Found:
    for program in _interpreters(asked.series):
        found = _archive_of(index, program, asked, tried)
        if found:
            return found
    tried.append(f"no python{asked.series} on PATH, nor in pyenv")
    return None


def _interpreters(series: str) -> Iterator[Path]:
    homes = [os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"]
    for versions in dict.fromkeys(Path(home) / "versions" for home in homes if home):
        # Another user's folder may be named by a variable that sudo or su kept.
        if os.access(versions, os.R_OK | os.X_OK):
            yield from sorted(versions.glob(f"{series}.*/bin/python{series}"), reverse=True)
    found = shutil.which(f"python{series}")
    if found:
        yield Path(found)


def _archive_of(index: Index, program: Path, asked: Asked, tried: list[str]) -> Found:
    """Make the archive from the installation that an interpreter belongs to; None if it is unsuitable."""
    ask = "import platform, sys, sysconfig; print(platform.python_version(), sys.base_prefix, platform.machine())"
    done = subprocess.run([str(program), "-I", "-c", ask], capture_output=True, text=True, check=False)
    if done.returncode:
        tried.append(f"{program}: {done.stderr.strip()[-80:]}")
        return None
    version, prefix, machine = done.stdout.split()
    if not version.startswith(asked.series + ".") or machine != asked.architecture or machine != platform.machine():
        tried.append(f"{program} is {version} for {machine}")
        return None
    if not asked.takes(version):
        tried.append(f"{program} is {version}")
        return None
    if Path(prefix) == Path("/usr"):
        tried.append(f"{program} is the distribution's own and cannot be moved")
        return None
    return _pack(index, Path(prefix), version, asked.architecture)


def _pack(index: Index, home: Path, version: str, architecture: str) -> Found:
    """Pack an installation as python/, made relocatable."""
    relative = f"python/cpython-{version}-linux-{architecture}.tar.gz"
    partial = index.folder / (relative + ".part")
    with tempfile.TemporaryDirectory(dir=index.folder / "python") as folder:
        made = _relocatable(home, Path(folder) / "python", ".".join(version.split(".")[:2]))
        with tarfile.open(partial, "w:gz", compresslevel=6) as archive:
            archive.add(made, arcname="python", filter=_for_all)
    partial.replace(index.folder / relative)
    return version, relative


def _for_all(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Make it root's and readable for everybody, because the interpreter here may be installed for one user."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode |= rights.missing_rights(member.mode | (stat.S_IFDIR if member.isdir() else stat.S_IFREG))
    return member


def _relocatable(prefix: Path, target: Path, series: str) -> Path:
    """Copy what an environment needs, and make it find its library wherever it is."""
    for part in ("bin", "include", "lib"):
        (target / part).mkdir(parents=True)
    library = prefix / "lib" / f"python{series}"
    shutil.copytree(
        library, target / "lib" / f"python{series}", symlinks=True, ignore=lambda _folder, names: _left_out(names)
    )
    shutil.copytree(prefix / "include" / f"python{series}", target / "include" / f"python{series}")
    for shared in prefix.glob("lib/libpython*.so*"):
        shutil.copy2(shared, target / "lib" / shared.name, follow_symlinks=False)
    program = target / "bin" / f"python{series}"
    shutil.copy2(prefix / "bin" / f"python{series}", program)
    for link in ("python3", "python"):
        (target / "bin" / link).symlink_to(program.name)
    subprocess.run(["patchelf", "--set-rpath", "$ORIGIN/../lib", str(program)], check=True)
    _with_pip(target, series)
    return target


def _left_out(names: list[str]) -> set[str]:
    return {name for name in names if LEFT_OUT.fullmatch(name)}


def _with_pip(target: Path, series: str) -> None:
    """pip comes from CPython's own bundle, not from what the control node has installed."""
    site = target / "lib" / f"python{series}" / "site-packages"
    site.mkdir()
    program = str(target / "bin" / "python3")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(target)}
    argv = [program, "-I", "-m", "ensurepip", "--default-pip", "--upgrade"]
    subprocess.run(argv, check=True, capture_output=True, env=environment)
    for script in (target / "bin").glob("pip*"):
        script.unlink()
    for name in ("pip", "pip3", f"pip{series}"):
        (target / "bin" / name).write_text(PIP, encoding="utf-8")
        (target / "bin" / name).chmod(0o755)
    for cache in target.rglob("__pycache__"):
        shutil.rmtree(cache)
