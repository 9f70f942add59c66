# SPDX-License-Identifier: Apache-2.0
"""Install a relocatable CPython from the depot: unpacked beside its place, tried, then renamed into it."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import tarfile
import zlib
from typing import Callable

from .. import atomic, files, rights
from ..change import fault_points
from ..command import Result
from ..depot_file import DepotFile, take
from ..environment.build import remove
from ..errors import AscendError
from . import read as pythons

TRIAL = "import ctypes, hashlib, lzma, sqlite3, ssl, sys, venv; print('%d.%d.%d' % sys.version_info[:3])"
TRIAL_S = 60

Run = Callable[..., Result]


def observe(pythons_dir: str, version: str, deep: bool = False) -> str:
    """Return "complete", "half-installed" or "absent" of one version below ``root``; ``deep`` reads every file."""
    installed = pythons.read(pythons_dir, deep).get(version)
    return installed["state"] if installed else "absent"


def install(pythons_dir: str, version: str, file: DepotFile, cache_dir: str, run: Run) -> None:
    """Install the version to ``<root>/<version>``. Raises AscendError; can be interrupted and repeated at any point."""
    path = take(file, cache_dir)
    place, partial, old = (os.path.join(pythons_dir, prefix + version) for prefix in ("", ".partial-", ".replaced-"))
    os.makedirs(pythons_dir, mode=0o755, exist_ok=True)
    for leftover in (partial, old):
        remove(leftover)
    _unpack(path, partial)
    fault_points.reached("python.unpacked")
    unpacked = os.path.join(partial, "python")
    _try(unpacked, version, path, run)
    rights.open_to_all(rights.closed_below(unpacked))
    pythons.remember(unpacked, place)
    atomic.settle(unpacked, run)
    receipt = json.dumps({"schema": 1, "version": version, "sha256": file.sha256})
    atomic.write(os.path.join(unpacked, pythons.RECEIPT), receipt + "\n")
    if os.path.lexists(place):
        os.rename(place, old)
        fault_points.reached("python.moved-away")
    os.rename(unpacked, place)
    fault_points.reached("python.in-place")
    # What stays is cleared away when the next change begins (leftovers.py), which says so when it cannot.
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)


def _unpack(path: str, partial: str) -> None:
    """The archive is ours by its sha256; its one top folder is ``python/``."""
    try:
        with tarfile.open(path) as archive:
            # From Python 3.12 on a filter has to be named; older ones do not know the attribute and trust as well.
            archive.extraction_filter = lambda member, _path: member
            archive.extractall(partial)
    except (EOFError, lzma.LZMAError, tarfile.TarError, zlib.error) as error:
        raise AscendError(
            "cannot unpack the Python archive",
            wanted="an archive with the one top folder python/",
            found=str(error),
            where=path,
            remedy="tar -tzf %s | tail -n 3  # damaged? ansible-playbook playbooks/depot.yml, then site.yml again"
            % path,
        ) from error


def _try(unpacked: str, version: str, path: str, run: Run) -> None:
    program = os.path.join(unpacked, "bin", "python" + ".".join(version.split(".")[:2]))
    result = run([program, "-I", "-c", TRIAL], TRIAL_S, env={"PATH": "/usr/bin:/bin"}, apart=True)
    if result.code == 0 and result.output.strip() == version:
        _require_pip(unpacked, path)
        return
    raise AscendError(
        "the Python from the depot does not run on this node",
        wanted="Python %s with ssl, sqlite3, ctypes, lzma" % version,
        found=result.last_lines(3),
        where=path,
        remedy="run ldd on its lib-dynload files; fill the depot with an archive for this system (roles/depot)",
    )


def _require_pip(unpacked: str, path: str) -> None:
    if files.is_program(os.path.join(unpacked, "bin", "pip3")):
        return
    raise AscendError(
        "the Python from the depot has no pip3",
        wanted="bin/pip3, which CANN's installer calls",
        found="no such program",
        where=path,
        remedy="fill the depot with an install_only archive of python-build-standalone (docs/operations.md)",
    )
