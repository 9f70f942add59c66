# SPDX-License-Identifier: Apache-2.0
"""The folders of the drift reports: each appears complete, ``latest`` points to the newest, old ones are removed.

```
reports/20260302T013000Z/{fleet.json,index.html,junit.xml,fleet.prom}
reports/latest -> 20260302T013000Z
```
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

from ...ascend.errors import AscendError
from ...ascend.times import UTC
from . import outputs

LATEST = "latest"
TIME = "%Y%m%dT%H%M%SZ"
REPORT = re.compile(r"([0-9]{8}T[0-9]{6}Z)(?:-([2-9]|[1-9][0-9]+))?")
PARTIAL = re.compile(r"\.partial-[0-9a-f]{16}")
LEFT_OVER = timedelta(days=1)  # a partial folder so old is nobody's any more
TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
FULL = (errno.ENOSPC, errno.EDQUOT)


def write(directory: Path, fleet: dict[str, Any], page: str) -> Path:
    """Write a report below ``directory`` and point ``latest`` to it; return its folder.

    The folder is named by fleet["made"]; further reports of the same second end with -2, -3. Raises AscendError if it
    cannot be written, or if ``latest`` is a file or a folder, which is kept; then the report exists.
    """
    contents = {
        "fleet.json": outputs.fleet_json(fleet),
        "index.html": page,
        "junit.xml": outputs.junit(fleet),
        "fleet.prom": outputs.prometheus(fleet),
    }
    name = datetime.strptime(fleet["made"], UTC).strftime(TIME)
    with failing_as(directory, "cannot write the drift report"):
        if not directory.is_dir():
            directory.mkdir(parents=True)
            directory.chmod(0o755)
        partial = directory / _partial_name()
        try:
            _write_folder(partial, contents)
            folder = _place(partial, name)
        except BaseException:
            # What failed counts; what is left of this goes with ``prune``.
            shutil.rmtree(partial, ignore_errors=True)
            raise
        _sync(directory)
        _lead_latest_to(folder)
    return folder


def prune(directory: Path, keep_days: int, keep_reports: int, now: datetime) -> list[str]:
    """Remove reports that are older than ``keep_days`` or not among the ``keep_reports`` newest; return the names.

    ``now`` has a time zone. The report to which ``latest`` points stays, and so does everything that is not named like
    a report. What an interrupted run left half written is removed after a day. Raises AscendError if something cannot
    be removed.
    """
    removed: list[str] = []
    with failing_as(directory, "cannot remove old drift reports"):
        if not directory.is_dir():
            return []
        reports = sorted(_reports(directory))
        for newer, (made, _, name) in enumerate(reversed(reports)):
            old = newer >= keep_reports or now - made > timedelta(days=keep_days)
            if old and not _is_latest(directory / name):
                # Renamed first: what has a report's name is whole, also when this is interrupted.
                doomed = directory / _partial_name()
                os.rename(directory / name, doomed)
                shutil.rmtree(doomed)
                removed.insert(0, name)
        for path in sorted(directory.iterdir()):
            if PARTIAL.fullmatch(path.name) and now.timestamp() - path.lstat().st_mtime > LEFT_OVER.total_seconds():
                _remove(path)
                removed.append(path.name)
    return removed


def _partial_name() -> str:
    return f".partial-{secrets.token_hex(8)}"


def _write_folder(folder: Path, contents: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in contents.items():
        with open(folder / name, "xb") as stream:
            # No secrets are in it, and a web server or a colleague must be able to read it whatever the umask is.
            os.fchmod(stream.fileno(), 0o644)
            stream.write(text.encode("utf-8", "replace"))
            stream.flush()
            os.fsync(stream.fileno())
    folder.chmod(0o755)
    _sync(folder)


def _place(partial: Path, name: str) -> Path:
    """Rename the folder to the first free name; renaming onto a folder with files fails."""
    for number in count(1):
        folder = partial.with_name(name if number == 1 else f"{name}-{number}")
        try:
            os.rename(partial, folder)
        except OSError as error:
            if error.errno not in TAKEN:
                raise
        else:
            return folder
    raise AssertionError("count() ends")


def _lead_latest_to(folder: Path) -> None:
    latest = folder.with_name(LATEST)
    if os.path.lexists(latest) and not latest.is_symlink():
        raise AscendError(
            f"the drift report is written, but {LATEST} does not point to it",
            wanted=f"a link to {folder.name}",
            found="a folder that no drift check made" if latest.is_dir() else "a file that no drift check made",
            where=str(latest),
            remedy=f"mv {latest} {latest}.aside && ln -s {folder.name} {latest}",
        )
    link = folder.with_name(_partial_name())
    link.symlink_to(folder.name)
    os.replace(link, latest)
    _sync(folder.parent)


def _reports(directory: Path) -> Iterator[tuple[datetime, int, str]]:
    for path in directory.iterdir():
        match = REPORT.fullmatch(path.name)
        if match and stat.S_ISDIR(path.lstat().st_mode):
            try:
                made = datetime.strptime(match[1], TIME).replace(tzinfo=timezone.utc)
            except ValueError:
                continue  # month 13: not a name of ours
            yield made, int(match[2] or 1), path.name


def _is_latest(folder: Path) -> bool:
    latest = folder.with_name(LATEST)
    return latest.exists() and latest.samefile(folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def failing_as(directory: Path, problem: str) -> Iterator[None]:
    """Turn an OSError into an error for the operator."""
    try:
        yield
    except OSError as error:
        full = error.errno in FULL
        raise AscendError(
            problem,
            wanted="a few MB of free space" if full else "a folder that this user can write to",
            found=f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror),
            where=str(directory),
            remedy=f"df -h {directory}" if full else f"ls -ld {directory}; id",
        ) from error
