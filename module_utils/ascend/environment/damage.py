# SPDX-License-Identifier: Apache-2.0
"""What a builder has to know about an environment's files beyond the facts, and what it records for them."""

from __future__ import annotations

import os
from typing import AbstractSet, Dict, List, Optional, Set, Tuple

from .. import manifest
from . import record_file
from .distributions import infos, name_version, other_name
from .record_file import INFO_SUMS, Corrections
from .virtualenv import FILES

MOST = 8000  # files; a look at each takes some 8 us
OWN = 1  # how many folders below site-packages a package's own files lie


def lost_files(
    path: str,
    corrected: Optional[Corrections] = None,
    sums: int = INFO_SUMS,
    suspects: AbstractSet[str] = frozenset(),
) -> Dict[str, List[str]]:
    """Return name -> files of an environment that are missing, or not of the size (or sum) that RECORD says.

    Reads every RECORD and looks at every file: some 30,000 for an environment with torch. The sums of ``suspects``,
    paths in the environment, are always compared.
    """
    lost: Dict[str, List[str]] = {}
    for info in infos(path):
        name, _ = name_version(os.path.join(info, "METADATA"))
        data = record_file.content(os.path.join(info, "RECORD"))
        site = os.path.dirname(info)
        inside = {os.path.relpath(os.path.join(path, file), site) for file in suspects}
        bad = [file for file, _ in record_file.unlike(site, data, sums, corrected or {}, inside)]
        if name and bad:
            lost.setdefault(name, []).extend(bad)
    return lost


def corrections(path: str) -> Corrections:
    """Return the real state of files that were just installed, if RECORD says something else.

    Some wheels differ from their own RECORD: METADATA of torch-npu 2.1.0.post3 was edited after its checksum was taken.
    Without these corrections the difference would look like damage forever.
    """
    right: Corrections = {}
    for info in infos(path):
        site = os.path.dirname(info)
        data = record_file.content(os.path.join(info, "RECORD"))
        for file, _ in record_file.unlike(site, data, INFO_SUMS, {}):
            right[file] = record_file.as_it_is(os.path.join(site, file))
    return right


def broken_infos(path: str) -> List[str]:
    """Return the dist-info folders that an installer cannot use.

    They have no METADATA or another distribution's, or a RECORD that is lost, truncated or for another folder.
    """
    broken = []
    for info in infos(path):
        name, _ = name_version(os.path.join(info, "METADATA"))
        data = record_file.content(os.path.join(info, "RECORD"))
        if not name or other_name(info, name) or record_file.problem(os.path.basename(info), data):
            broken.append(info)
    return broken


def remember(path: str, corrected: Corrections) -> None:
    """Record what the fast form compares an intact environment with. Raises OSError.

    An environment has 45,000 files, too many to check every night. So of the files in the RECORDs, those directly in a
    top-level package are recorded, and as many deeper ones as there is time for, modules and libraries and upper levels
    first. Byte code is left out because Python recreates it, and dist-info folders because ``distributions`` checks
    them. All folders are included, for the rights of others. The sums are RECORD's, or those in ``corrected``; the
    files on disk are not trusted.
    """
    chosen: Dict[str, str] = {}
    folders: Set[str] = set()
    rows: List[Tuple[bool, bool, int, str, str]] = []
    for info in infos(path):
        site = os.path.relpath(os.path.dirname(info), path)
        for row in record_file.rows(record_file.content(os.path.join(info, "RECORD")), corrected):
            relative = os.path.normpath(os.path.join(site, row.path))
            parts = relative.split(os.sep)
            if parts[0] in ("..", "") or "__pycache__" in parts or relative.endswith(".pyc"):
                continue
            folders.add(os.path.dirname(relative))
            if not os.path.dirname(row.path).endswith(".dist-info"):
                depth = row.path.count("/") if parts[0] != "bin" else 0
                runs = relative.endswith(".py") or ".so" in os.path.basename(relative)
                rows.append((depth > OWN, not runs, depth, relative, row.hash))
    for further, _, _, relative, summed in sorted(rows):
        if not further or len(chosen) < MOST:
            kind, digits = record_file.hexadecimal(summed)
            chosen[relative] = digits if kind == "sha256" else ""
    manifest.write_files(path, chosen, folders, os.path.join(path, FILES))
