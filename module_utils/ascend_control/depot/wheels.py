# SPDX-License-Identifier: Apache-2.0
"""The wheels of a lock, for the depot: each checked by the lock's sums; a missing one is built, once."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from html import escape
from pathlib import Path
from urllib.parse import quote

from ...ascend.environment import lock as locks
from ...ascend.environment.distributions import normalise
from ...ascend.errors import AscendError
from . import fetch as depot_fetch
from .index import PAGE, Index, write
from .indexes import environment, indexes
from .progress import Progress
from .web import Sources

NETWORK = "let pip reach its index, which has what the build needs: export PIP_INDEX_URL=https://..."
BUILT = "built.txt"  # the names of those that were built here


def fill(
    index: Index,
    release: str,
    architecture: str,
    lock_file: Path,
    series: str,
    sources: Sources,
    progress: Progress,
    check: bool,
) -> list[str]:
    """Add every wheel of the lock to the depot, and the depot's own lock; return what was added.

    ``series`` is the Python series ("3.10"). Raises AscendError.
    """
    text = lock_file.read_text(encoding="utf-8")
    digest = locks.digest(text)
    wheels = index.folder / "wheels" / f"{release}-{digest}-{architecture}"
    wanted = {_key(*pin): line for pin, line in zip(locks.parse(text).items(), locks.entries(text), strict=True)}
    have = _present(index, wheels, wanted)
    missing = {key: line for key, line in sorted(wanted.items()) if key not in have}
    if check:
        return list(missing)
    wheels.mkdir(parents=True, exist_ok=True)
    if missing:
        lines, what = list(missing.values()), f"wheels for {release}, {architecture}"
        came = depot_fetch.fetch(lines, wheels, architecture, series, sources, progress, what)
        for name in (name for name in came if name.endswith(".whl")):
            index.enter(str((wheels / name).relative_to(index.folder)), came[name])
        _build(index, wheels, sources.incoming, progress)
        have = _present(index, wheels, wanted)
    lost = sorted(set(wanted) - set(have))
    if lost:
        raise AscendError("wheels are missing after fetching all of them", wanted=", ".join(lost), where=str(wheels))
    relative = f"locks/{release}-{digest}-{architecture}.txt"
    # The nodes' lock: each distribution with the one hash of the one wheel that the depot holds.
    _derived(index, relative, "".join(f"{key} --hash=sha256:{sha256}\n" for key, (_, sha256) in sorted(have.items())))
    _derived(index, str((wheels / PAGE).relative_to(index.folder)), page(dict(have.values())))
    entry = {"file": relative, "wheels": str(wheels.relative_to(index.folder)), "lock_digest": digest}
    index["locks"].setdefault(release, {})[architecture] = entry
    return list(missing)


def _key(name: str, version: str) -> str:
    return f"{name}=={version}"


def _present(index: Index, wheels: Path, wanted: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return pin -> (name, sha256) of each existing wheel that the lock wants.

    The lock's sums decide; a wheel that was built here is compared with its sum then. Raises AscendError.
    """
    have = {}
    built = _built_names(wheels)
    for wheel in sorted(wheels.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        key = _key(normalise(name), version)
        relative = str(wheel.relative_to(index.folder))
        sha256 = index.sha256(relative) if wheel.name in built else index.enter(relative)
        if key in wanted and (f"sha256:{sha256}" in wanted[key] or wheel.name in built):
            have[key] = (wheel.name, sha256)
    return have


def page(sums: dict[str, str]) -> str:
    """Return the page that lists these wheels (name -> sha256) as links, so no web server has to list a folder.

    It is what uv and pip read with --find-links. https://packaging.python.org/en/latest/specifications/simple-repository-api/
    """
    links = (
        f'<a href="{quote(name)}#sha256={sha256}">{escape(name)}</a><br>\n' for name, sha256 in sorted(sums.items())
    )
    return f"<!DOCTYPE html>\n<html>\n<body>\n{''.join(links)}</body>\n</html>\n"


def _built_names(wheels: Path) -> set[str]:
    note = wheels / BUILT
    return set(note.read_text(encoding="utf-8").split()) if note.is_file() else set()


def _build(index: Index, wheels: Path, incoming: Path | None, progress: Progress) -> None:
    """Build each source archive, fetched if there is no wheel, into a wheel."""
    built = _built_names(wheels)
    for archive in [*sorted(wheels.glob("*.tar.gz")), *sorted(wheels.glob("*.zip"))]:
        progress.say(f"building a wheel of {archive.name}")
        with tempfile.TemporaryDirectory(dir=wheels) as folder:
            own = ["--find-links", str(incoming)] if incoming else []
            # Older pips build without isolation, with whatever setuptools the control node has, unless they are told.
            options = ["--use-pep517", "--no-deps", "--no-cache-dir", "--wheel-dir", folder]
            _pip(["wheel", *options, *own, str(archive)])
            (wheel,) = Path(folder).glob("*.whl")
            wheel.chmod(0o644)  # pip makes it in a folder for itself
            wheel.replace(wheels / wheel.name)
            index.enter(str((wheels / wheel.name).relative_to(index.folder)))
            built.add(wheel.name)
        write(wheels / BUILT, "".join(f"{name}\n" for name in sorted(built)))
        archive.unlink()


def _pip(arguments: list[str]) -> None:
    argv = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    same = environment(indexes())
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=same)
    if done.returncode:
        output = (done.stdout + done.stderr).splitlines()
        errors = [line.strip() for line in output if re.match(r"\s*(ERROR|error|\w*Error)\b", line)]
        found = "; ".join(errors[-5:] or output[-5:])
        raise AscendError(
            f"pip {arguments[0]} fails",
            found=found,
            where=arguments[-1],
            remedy=f"put a wheel of it into depot_incoming; or {NETWORK}",
        )


def _derived(index: Index, relative: str, text: str) -> None:
    write(index.folder / relative, text)
    index.enter(relative)


def fill_uv(
    index: Index,
    architecture: str,
    requirements: Path,
    series: str,
    sources: Sources,
    progress: Progress,
    check: bool,
) -> list[str]:
    """Add the program uv to the depot, out of its wheel, checked with ``requirements``; return what was added."""
    text = requirements.read_text(encoding="utf-8")
    version = locks.parse(text)["uv"]
    relative = f"uv/uv-{version}-{architecture}"
    taken = [] if index.known(relative) else [relative]
    if check:
        return taken
    if taken:
        # What came of the wheel stays for the next run where this one breaks off.
        folder, what = index.folder / "uv" / "wheel", f"uv for {architecture}"
        folder.mkdir(parents=True, exist_ok=True)
        entries = locks.entries(text)
        depot_fetch.fetch(entries, folder, architecture, series, sources, progress, what)
        (wheel,) = folder.glob(f"uv-{version}-*{architecture}.whl")
        _unpack_uv(wheel, index.folder / relative)
        shutil.rmtree(folder)
        index.enter(relative)
    index["uv"][architecture] = {"version": version, "file": relative}
    return taken


def _unpack_uv(wheel: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [entry for entry in archive.namelist() if entry.endswith(".data/scripts/uv")]
        partial.write_bytes(archive.read(name))
    partial.chmod(0o755)
    partial.replace(target)
