# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the depot itself, reported once, on the control node: gone, unreadable, damaged or incomplete."""

from __future__ import annotations

import errno
import functools
import getpass
import shlex
from pathlib import Path
from typing import Any

from ...ascend.errors import AscendError, from_os_error
from ...ascend.text import listed
from .index import parsed

FILL = "ansible-playbook playbooks/depot.yml"


def of_depot(error: Exception, folder: str) -> AscendError:
    """Return what the operator must know of an error while the depot in ``folder`` was filled or read."""
    if isinstance(error, AscendError):
        return error
    if not isinstance(error, OSError):
        raise error
    named = error.filename if isinstance(error.filename, str) else ""
    where = named or folder
    if error.errno in (errno.EACCES, errno.EPERM):
        user, make = shlex.quote(getpass.getuser()), shlex.quote(folder)
        return AscendError(
            "no permission to read or write the depot",
            wanted=f"{user} can read {folder}, and write to it when filling it",
            found=str(error),
            where=where,
            remedy=f"namei -l {shlex.quote(where)}  # then, for example: sudo install -d -o {user} {make}; or name a"
            " folder of your own: ascend_depot_dir",
        )
    if error.errno == errno.ENOENT and named and "/" not in named:
        return AscendError(
            "a program is missing on the control node",
            wanted=named,
            found="none in PATH",
            where="PATH",
            remedy=f"apt-get install {named} || dnf install {named}",
        )
    return from_os_error(error, folder)


def index_of(folder: str) -> dict[str, Any]:
    """Return the depot's table of contents. Raises AscendError if it cannot be read."""
    path = Path(folder) / "index.json"
    try:
        return parsed(path.read_bytes(), path)
    except (FileNotFoundError, NotADirectoryError) as error:
        reachable = path.parent.is_dir()
        raise AscendError(
            "the depot is not filled" if reachable else "the depot is gone",
            wanted=f"the table of contents of a depot that {FILL} filled",
            found=f"a folder without {path.name}" if reachable else "no such folder",
            where=str(path),
            remedy=f"findmnt -T {shlex.quote(str(_nearest(path.parent)))}  # is its disk mounted? Then: {FILL}",
        ) from error
    except OSError as error:
        raise of_depot(error, folder) from error


def read_index(depot: str) -> dict[str, Any]:
    """Return the depot's index. Raises AscendError if it is gone, not filled, unreadable or damaged."""
    try:
        changed_ns = (Path(depot) / "index.json").stat().st_mtime_ns
    except OSError:
        changed_ns = 0  # the one who reads it says why
    return _index(depot, changed_ns)


@functools.lru_cache(maxsize=32)
def _index(depot: str, _changed_ns: int) -> dict[str, Any]:
    return index_of(depot)


def _nearest(path: Path) -> Path:
    return path if path.exists() or path == path.parent else _nearest(path.parent)


def trouble(folder: str, inventory: str = "") -> AscendError | None:
    """Return what prevents the depot from serving its files; None if nothing does. Reads only names and sizes.

    ``inventory`` are further options of the printed commands ("-i inventory/prod").
    """
    error = _trouble(folder)
    if error and inventory:
        error.remedy = error.remedy.replace(FILL, f"{FILL} {inventory}")
    return error


def _trouble(folder: str) -> AscendError | None:
    try:
        files = index_of(folder)["files"]
        lost = [name for name, entry in sorted(files.items()) if not _same(Path(folder, name), entry)]
    except (AscendError, OSError) as error:
        return of_depot(error, folder)
    if not lost:
        return None
    changed = [name for name in lost if Path(folder, name).is_file()]
    away = f"cd {shlex.quote(folder)} && rm {' '.join(map(shlex.quote, changed))}; cd -; " if changed else ""
    return AscendError(
        "the depot is incomplete",
        wanted=f"{len(files)} files, as its index.json says",
        found=f"{len(lost)} are missing or have another size: {listed(lost)}",
        where=folder,
        remedy=f"{away}{FILL}",
    )


def _same(path: Path, entry: dict[str, Any]) -> bool:
    try:
        return bool(path.stat().st_size == entry["size_bytes"])
    except FileNotFoundError:
        return False
