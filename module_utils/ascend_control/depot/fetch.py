# SPDX-License-Identifier: Apache-2.0
"""Fetch the files of a lock: uv asks the package index where they are, several come at once, each is checked."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from ...ascend import files
from ...ascend.errors import AscendError
from ...ascend.masking import masked
from .index import place
from .proxies import all_ways, way

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

AT_ONCE = 8
TRIES = 3
STALL_S = 60  # a connection that gives nothing for so long is given up
BLOCK = 1 << 20
NEWEST_GLIBC = 28  # of the oldest system that is supported
REMEDY = "is the package index reachable? Air-gapped: put the files into depot_incoming"


def fetch(
    entries: list[str], target: Path, architecture: str, series: str, incoming: Path | None, extra_index: str
) -> None:
    """Bring one file for each lock entry into ``target``: its wheel, or its source archive where it has no wheel.

    ``series`` is the Python series ("3.10"). Files of ``incoming`` with a sum that the lock names come first. Raises
    AscendError; what is there already when it does is kept.
    """
    left = _from_incoming(entries, target, incoming) if incoming else entries
    if not left:
        return
    files = [_best(package, architecture, series) for package in _resolve(left, architecture, series, extra_index)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # Large files first: the last one decides how long all take.
        largest = sorted(files, key=lambda file: -int(file.get("size", 0)))
        for _ in pool.map(lambda file: _download(file, target), largest):
            pass


def _from_incoming(entries: list[str], target: Path, incoming: Path) -> list[str]:
    """Place the operator's own files; return the entries that none of them is for."""
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


def _resolve(entries: list[str], architecture: str, series: str, extra_index: str) -> list[dict[str, Any]]:
    """Return uv's answer (pylock.toml, PEP 751), one dictionary a distribution; its sums are the lock's."""
    with tempfile.TemporaryDirectory() as folder:
        lock, answer = Path(folder) / "lock.txt", Path(folder) / "pylock.toml"
        lock.write_text("\n".join(entries) + "\n", encoding="utf-8")
        argv = [_uv(), "pip", "compile", str(lock), "--no-deps", "--generate-hashes", "--quiet", "--no-progress"]
        argv += ["--format", "pylock.toml", "--output-file", str(answer), "--python-version", series]
        argv += ["--python-platform", f"{architecture}-manylinux_2_{NEWEST_GLIBC}", *_index()]
        if extra_index:
            argv += ["--extra-index-url", extra_index, "--index-strategy", "unsafe-best-match"]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AscendError(
                "uv cannot find the lock's files", found=masked(done.stderr).strip()[-600:] + all_ways(), remedy=REMEDY
            )
        packages: list[dict[str, Any]] = tomllib.loads(answer.read_text(encoding="utf-8"))["packages"]
    sums = set(re.findall(r"sha256:([0-9a-f]{64})", " ".join(entries)))
    for package in packages:
        package["files"] = [file for file in _files(package) if file["hashes"].get("sha256") in sums]
    return packages


def _files(package: dict[str, Any]) -> list[dict[str, Any]]:
    return [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]


def find_uv() -> str | None:
    """The path of uv: beside the Python that runs, else in PATH."""
    return shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def _uv() -> str:
    found = find_uv()
    if not found:
        raise AscendError("uv is missing on the control node", remedy="make .venv/installed  # it is in pyproject.toml")
    return found


def _index() -> list[str]:
    """uv does not read pip's configuration; the index that pip was told of is the one to use here too."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False, cwd="/"
    )
    addresses = re.findall(r"^(?:global|download|:env:)\.index-url='(.+)'$", done.stdout, re.MULTILINE)
    return ["--index-url", addresses[-1]] if addresses else []


def _best(package: dict[str, Any], architecture: str, series: str) -> dict[str, Any]:
    """Return the file of a distribution that suits the nodes best."""
    order = {tag: number for number, tag in enumerate(_tags(architecture, series))}
    ranked = [(rank, file) for file in package["files"] if (rank := _rank(file, order)) is not None]
    if not ranked:
        raise AscendError(
            f"{package['name']} {package['version']} has no file for {architecture} that the lock names",
            found=", ".join(_name(file) for file in _files(package)) or "nothing",
            remedy="make the lock anew (releases/README.md)",
        )
    best: dict[str, Any] = min(ranked, key=lambda pair: pair[0])[1]
    return best


def _rank(file: dict[str, Any], order: dict[Tag, int]) -> int | None:
    """Return the place of the wheel's best tag; a source archive comes last; None for one that does not fit."""
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


def _download(file: dict[str, Any], target: Path) -> None:
    """Download one file, checked by its sum before it gets its name; a line that breaks is tried again."""
    path = target / _name(file)
    if path.is_file() and files.sha256(path) == file["hashes"]["sha256"]:
        return
    partial = path.with_name(path.name + ".part")
    url = file.get("url") or Path(file["path"]).resolve().as_uri()
    for attempt in range(1, TRIES + 1):
        try:
            found = _stream(url, partial)
            break
        except OSError as error:
            partial.unlink(missing_ok=True)
            if attempt == TRIES:
                raise AscendError(
                    "the package index breaks off", wanted=url, found=f"{error}{way(url)}", remedy=REMEDY
                ) from error
    if found != file["hashes"]["sha256"]:
        partial.unlink()
        raise AscendError(
            "a file of the package index is not what the lock says",
            wanted=f"sha256 {file['hashes']['sha256']}",
            found=f"sha256 {found}",
            where=url,
        )
    partial.replace(path)


def _stream(url: str, partial: Path) -> str:
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=STALL_S) as source, partial.open("wb") as sink:
        for block in iter(lambda: source.read(BLOCK), b""):
            digest.update(block)
            sink.write(block)
    return digest.hexdigest()
