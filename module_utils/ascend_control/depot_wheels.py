# SPDX-License-Identifier: Apache-2.0
"""The wheels of a lock, for the depot: fetched by pip, hashes required; what has no wheel is built into one, once."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible.module_utils.ascend import lock as locks
from ansible.module_utils.ascend.errors import AscendError
from ansible.module_utils.ascend.python_tree import normalise
from ansible.module_utils.ascend_control.depot_index import Index

AT_ONCE = 4  # pip fetches one file after the other
_GLIBC = range(5, 29)


def fill(
    index: Index, release: str, architecture: str, lock_file: Path, series: str, options: list[str], check: bool
) -> list[str]:
    """Bring every wheel of the lock into the depot, and the depot's own lock; return what was taken.

    ``series`` is the Python series ("3.10"), ``options`` goes to pip (an index, a folder of wheels). Raises AscendError.
    """
    text = lock_file.read_text(encoding="utf-8")
    digest = locks.digest(text)
    wheels = index.folder / "wheels" / f"{release}-{digest}-{architecture}"
    wanted = {_key(*pin): line for pin, line in zip(locks.parse(text).items(), locks.entries(text), strict=True)}
    have = _present(index, wheels, wanted)
    missing = [line for key, line in sorted(wanted.items()) if key not in have]
    if check:
        return missing
    wheels.mkdir(parents=True, exist_ok=True)
    if missing:
        _fetch(missing, wheels, architecture, series, options)
        _build(wheels)
        have = _present(index, wheels, wanted)
    lost = sorted(set(wanted) - set(have))
    if lost:
        raise AscendError("wheels are missing although pip ended well", wanted=", ".join(lost), where=str(wheels))
    relative = f"locks/{release}-{digest}-{architecture}.txt"
    _write_lock(index, relative, wanted, have)
    entry = {"file": relative, "wheels": str(wheels.relative_to(index.folder)), "lock_digest": digest}
    index["locks"].setdefault(release, {})[architecture] = entry
    return missing


def _key(name: str, version: str) -> str:
    return f"{name}=={version}"


def _present(index: Index, wheels: Path, wanted: dict[str, str]) -> dict[str, str]:
    """Return pin -> sha256 of each wheel that is there and that the lock wants (by its hash, or built here)."""
    have = {}
    built = _built_names(wheels)
    for wheel in sorted(wheels.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        key = _key(normalise(name), version)
        sha256 = index.sha256(str(wheel.relative_to(index.folder)))
        if key in wanted and (f"sha256:{sha256}" in wanted[key] or wheel.name in built):
            have[key] = sha256
    return have


def _built_names(wheels: Path) -> set[str]:
    note = wheels / "built.txt"
    return set(note.read_text(encoding="utf-8").split()) if note.is_file() else set()


def _fetch(entries: list[str], wheels: Path, architecture: str, series: str, options: list[str]) -> None:
    parts = [entries[start::AT_ONCE] for start in range(AT_ONCE)]
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in _GLIBC]
    platforms += [f"{name}_{architecture}" for name in ("manylinux1", "manylinux2010", "manylinux2014", "linux")]
    base = ["download", "--no-deps", "--require-hashes", "--no-cache-dir", "--dest", str(wheels)]
    base += ["--python-version", series, "--implementation", "cp", "--abi", "cp" + series.replace(".", "")]
    base += ["--abi", "abi3", "--abi", "none", *options]
    for platform in platforms:
        base += ["--platform", platform]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = []
        for number, part in enumerate(part for part in parts if part):
            requirements = Path(folder) / f"part-{number}.txt"
            requirements.write_text("\n".join(part) + "\n", encoding="utf-8")
            jobs.append(pool.submit(_pip, [*base, "--requirement", str(requirements)]))
        for job in jobs:
            job.result()


def _build(wheels: Path) -> None:
    """Build each source archive, which pip fetched where there is no wheel, into a wheel."""
    built = _built_names(wheels)
    for archive in [*sorted(wheels.glob("*.tar.gz")), *sorted(wheels.glob("*.zip"))]:
        with tempfile.TemporaryDirectory(dir=wheels) as folder:
            _pip(["wheel", "--no-deps", "--no-cache-dir", "--wheel-dir", folder, str(archive)])
            (wheel,) = Path(folder).glob("*.whl")
            wheel.replace(wheels / wheel.name)
            built.add(wheel.name)
        (wheels / "built.txt").write_text("".join(f"{name}\n" for name in sorted(built)), encoding="utf-8")
        archive.unlink()


def _pip(arguments: list[str]) -> None:
    argv = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in (done.stderr or done.stdout).splitlines() if re.match("ERROR|error", line)]
        raise AscendError(
            f"pip {arguments[0]} fails",
            found=" ".join(errors[-3:]) or done.stderr[-400:],
            remedy="is the package index reachable? Air-gapped: put the wheels into ascend_depot_incoming",
        )


def _write_lock(index: Index, relative: str, wanted: dict[str, str], have: dict[str, str]) -> None:
    """The nodes' lock: each distribution with the one hash of the one wheel that the depot holds."""
    lines = [f"{key} --hash=sha256:{have[key]}\n" for key in sorted(wanted)]
    target = index.folder / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(lines)
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        partial = target.with_suffix(".part")
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)
    index.sha256(relative)


def pip_options(lock_file: Path, incoming: Path | None, extra_index: str) -> list[str]:
    """Return pip's options for a lock: the operator's own wheels, and the index of +cpu builds where it names some."""
    options: list[str] = []
    if incoming:
        options += ["--find-links", str(incoming)]
    if "+cpu" in lock_file.read_text(encoding="utf-8") and extra_index:
        options += ["--extra-index-url", extra_index]
    return options


def fetch_uv(index: Index, architecture: str, requirements: Path, options: list[str], check: bool) -> list[str]:
    """Bring the program uv into the depot, out of its wheel, whose hash ``requirements`` names; return what was taken."""
    version = locks.parse(requirements.read_text(encoding="utf-8"))["uv"]
    relative = f"uv/uv-{version}-{architecture}"
    if index.known(relative):
        index["uv"][architecture] = {"version": version, "file": relative}
        return []
    if not check:
        with tempfile.TemporaryDirectory() as folder:
            base = ["download", "--no-deps", "--require-hashes", "--no-cache-dir", "--dest", folder, *options]
            _pip([*base, "--platform", f"manylinux2014_{architecture}", "--only-binary", ":all:", "-r", str(requirements)])
            (wheel,) = Path(folder).glob("uv-*.whl")
            _unpack_uv(wheel, index.folder / relative)
        index.sha256(relative)
        index["uv"][architecture] = {"version": version, "file": relative}
    return [relative]


def _unpack_uv(wheel: Path, target: Path) -> None:


    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [entry for entry in archive.namelist() if entry.endswith(".data/scripts/uv")]
        partial.write_bytes(archive.read(name))
    partial.chmod(0o755)
    partial.replace(target)


