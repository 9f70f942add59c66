# SPDX-License-Identifier: Apache-2.0
"""Fetch the files of a lock: uv asks the package index where they are; several are loaded at once, each is checked."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from ...ascend import files
from ...ascend.errors import AscendError
from ...ascend.text import listed
from .download import TRUST, File, download
from .index import place
from .indexes import Indexes, environment, indexes
from .progress import Progress
from .proxies import all_ways
from .web import Sources, Web, accounts_of, without_account

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NEWEST_GLIBC = 28  # of the oldest system that is supported
REMEDY = "export PIP_INDEX_URL=https://...  # an index that is reachable; air-gapped: put the files into depot_incoming"


def fetch(
    entries: list[str],
    target: Path,
    architecture: str,
    series: str,
    sources: Sources,
    progress: Progress,
    what: str,
) -> dict[str, str]:
    """Put one file for each lock entry into ``target``: its wheel, or its source archive if it has no wheel.

    Return file name -> sha256 of those that were downloaded. ``series`` is the Python series ("3.10"); ``what`` names
    the files for the progress. The operator's own files with a sum in the lock come first. Raises AscendError; files
    that arrived before are kept.
    """
    left = _from_incoming(entries, target, sources.incoming) if sources.incoming else entries
    if not left:
        return {}
    found = indexes()
    packages = _resolve(left, architecture, series, sources.extra_index, found)
    files = [_file(_best(package, architecture, series)) for package in packages]
    missing = [file for file in files if not _is_there(file, target)]
    accounts = {**found.accounts, **accounts_of([sources.extra_index])}
    download(missing, target, Web(sources.addresses, accounts), progress, what)
    return {file.name: file.sha256 for file in files}


def _file(entry: dict[str, Any]) -> File:
    url = entry.get("url") or Path(entry["path"]).resolve().as_uri()
    return File(url, entry["hashes"]["sha256"], _name(entry), int(entry.get("size") or 0), "put it into depot_incoming")


def _is_there(file: File, target: Path) -> bool:
    path = target / file.name
    return path.is_file() and files.sha256(path) == file.sha256


def _from_incoming(entries: list[str], target: Path, incoming: Path) -> list[str]:
    """Place the operator's own files; return the entries that they do not cover."""
    left = []
    own = [path for path in sorted(incoming.iterdir()) if path.name.endswith((".whl", ".tar.gz", ".zip"))]
    names = {path: re.sub(r"[-_.]+", "-", path.name).lower() for path in own}
    for entry in entries:
        start = re.sub(r"[-_.]+", "-", re.split(r"[=\[]", entry)[0]).lower() + "-"
        fit = (path for path in own if names[path].startswith(start) and f"sha256:{files.sha256(path)}" in entry)
        path = next(fit, None)
        if path:
            place(path, target / path.name)
        else:
            left.append(entry)
    return left


def _resolve(
    entries: list[str], architecture: str, series: str, extra_index: str, found: Indexes
) -> list[dict[str, Any]]:
    """Return uv's answer (pylock.toml, PEP 751), one dictionary per distribution; its sums are the lock's.

    ``extra_index`` is asked, too, if torch's +cpu builds are wanted, because PyPI has none.
    """
    own = [entry for entry in entries if "+cpu" in entry.split()[0]] if extra_index else []
    with tempfile.TemporaryDirectory() as folder:
        lock, answer = Path(folder) / "lock.txt", Path(folder) / "pylock.toml"
        lock.write_text("\n".join(entries) + "\n", encoding="utf-8")
        argv = [_uv(), "pip", "compile", str(lock), "--no-deps", "--generate-hashes", "--quiet", "--no-progress"]
        argv += ["--format", "pylock.toml", "--output-file", str(answer), "--python-version", series]
        # No Python is needed; without one named, uv starts each that it finds on this machine, which takes seconds.
        argv += ["--python", sys.executable, "--python-platform", f"{architecture}-manylinux_2_{NEWEST_GLIBC}"]
        env = environment(found)
        if own:  # not in the command line, which everybody on this machine reads: an address may hold an account
            env["UV_EXTRA_INDEX_URL"] = f"{env.get('UV_EXTRA_INDEX_URL', '')} {extra_index}".strip()
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=env)
        if done.returncode:
            raise _unresolved(entries, done.stderr, extra_index if own else "", found)
        packages: list[dict[str, Any]] = tomllib.loads(answer.read_text(encoding="utf-8"))["packages"]
    sums = set(re.findall(r"sha256:([0-9a-f]{64})", " ".join(entries)))
    for package in packages:
        package["files"] = [file for file in _files(package) if file["hashes"].get("sha256") in sums]
    return packages


def _unresolved(entries: list[str], words: str, extra_index: str, found: Indexes) -> AscendError:
    """Return what the operator must know about an index that did not give uv the files' addresses."""
    asked = re.search(r"https?://[^\s`'\")]+", words)
    names = [entry.split()[0].partition("==")[0] for entry in entries]
    address = asked[0] if asked else found.default
    remedy = f"curl -fLI --max-time 20 {shlex.quote(without_account(address))}; {REMEDY}" if address else REMEDY
    if extra_index and extra_index.rstrip("/") in words:
        remedy = f"put torch's +cpu wheels into depot_incoming, or set depot_extra_index to a mirror of {extra_index}"
    if "certificate" in words.lower():
        remedy = f"{TRUST} {remedy}"
    return AscendError(
        "the package index does not say where the lock's files are",
        wanted=f"{len(names)} files: {listed(names)}",
        found=words.strip()[-600:],
        where=(address or "the index that uv asks") + all_ways(),
        remedy=remedy,
    )


def _files(package: dict[str, Any]) -> list[dict[str, Any]]:
    return [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]


def find_uv() -> str | None:
    """The path of uv: beside the Python that runs, else in PATH."""
    return shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def _uv() -> str:
    found = find_uv()
    if not found:
        raise AscendError("uv is missing on the control node", remedy="make venv  # uv is in pyproject.toml")
    return found


def _best(package: dict[str, Any], architecture: str, series: str) -> dict[str, Any]:
    """Return the file of a distribution that suits the nodes best."""
    order = {tag: number for number, tag in enumerate(_tags(architecture, series))}
    ranked = [(rank, file) for file in package["files"] if (rank := _rank(file, order)) is not None]
    if not ranked:
        raise AscendError(
            f"{package['name']} {package['version']} has no file for {architecture} in the lock",
            found=", ".join(_name(file) for file in _files(package)) or "nothing",
            remedy="write a new lock (releases/README.md)",
        )
    best: dict[str, Any] = min(ranked, key=lambda pair: pair[0])[1]
    return best


def _rank(file: dict[str, Any], order: dict[Tag, int]) -> int | None:
    """Return the place of the wheel's best tag; a source archive comes last; None for an unsuitable one."""
    try:
        tags = parse_wheel_filename(_name(file))[3]
    except InvalidWheelFilename:
        return len(order)
    return min((order[tag] for tag in tags if tag in order), default=None)


def _tags(architecture: str, series: str) -> list[Tag]:
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in range(NEWEST_GLIBC, 4, -1)]
    for glibc, alias in ((17, "manylinux2014"), (12, "manylinux2010"), (5, "manylinux1")):
        platforms.insert(platforms.index(f"manylinux_2_{glibc}_{architecture}") + 1, f"{alias}_{architecture}")
    platforms.append(f"linux_{architecture}")
    version = tuple(int(part) for part in series.split("."))
    interpreter = "cp" + series.replace(".", "")
    return [*cpython_tags(version, [interpreter], platforms), *compatible_tags(version, interpreter, platforms)]


def _name(file: dict[str, Any]) -> str:
    return str(file.get("name") or unquote(Path(urlsplit(file.get("url") or file["path"]).path).name))
