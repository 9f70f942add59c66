# SPDX-License-Identifier: Apache-2.0
"""The project's tree in one archive: the checkout as it is, with the operator's inventory and releases."""

from __future__ import annotations

import gzip
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What tools and runs leave in a checkout, and what an unbundled one has of its own; as .gitignore says.
LEFT_OUT = re.compile(
    r"\.git|\.venv|\.wheels|\.cpython|\.bundle|\.molecule|\.sim|\.ansible|\.cache|\.hypothesis|\.\w+_cache|bundle|records|reports"
    r"|.*\.egg-info|ascend-fleet-.*\.tar\.gz"
)
ANYWHERE = re.compile(r"__pycache__|.*\.retry|.*\.pyc")


def files(top: Path, without: list[Path]) -> Iterator[Path]:
    """Yield files and links of the tree, relative to ``top``; ``without`` are folders in it that are not its own."""
    for folder, folders, names in os.walk(top):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        left = [name for name in folders if _stays(here, name, top, without) and name not in links]
        folders[:] = sorted(left)
        yield from (
            (here / name).relative_to(top) for name in sorted(names + links) if _stays(here, name, top, without)
        )


def _stays(folder: Path, name: str, top: Path, without: list[Path]) -> bool:
    if ANYWHERE.fullmatch(name) or (folder / name).resolve() in without:
        return False
    return not (folder == top and LEFT_OUT.fullmatch(name))


def write(top: Path, without: list[Path], sink: Any) -> None:
    """Write the archive (.tar.gz), owned by root and without the time of its creation."""
    with (
        gzip.GzipFile(fileobj=sink, mode="wb", filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name in files(top, without):
            archive.add(top / name, arcname=str(name), recursive=False, filter=_nobodys)


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = int(entry.mtime)
    return entry
