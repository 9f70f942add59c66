# SPDX-License-Identifier: Apache-2.0
"""The slices of a drift check: what each run found on its nodes is in a separate file until they are merged.

```
slices/<check>/20260302T013000Z-1f00c0ffee00aa55.json
```

A file appears complete or not at all, and its name is unique, because the runs share the folder without knowing each
other.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shlex
import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

from ...ascend.errors import AscendError
from ...ascend.times import UTC
from .report_folder import failing_as

Slice = dict[str, Any]

FORM = 1  # goes up when a key changes its meaning or goes away
# What a slice holds, and of which kind it is.
KEYS: dict[str, type | tuple[type, ...]] = {
    "form": int,
    "code": str,  # what ``code`` says of the ascend-fleet that checked
    "check": str,
    "made": str,
    "seconds": (int, float),
    "deep": bool,
    "components": list,
    "nodes": list,  # in the form of docs/fleet.schema.json, before the history
    "peers": dict,  # host name -> by what it is compared with others (plan/between.py)
    "depot": list,  # findings of the control node
}
_OF_NODE = {"name", "groups", "state", "components", "findings", "remarks"}
_CHECK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILE = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}\.json")
_OURS = re.compile(rf"{_FILE.pattern[:-6]}\.(json|partial)")
# What decides about a node: how it is read, what a release wants, and how both are compared.
_DECIDING = ("library/*.py", "module_utils/**/*.py", "releases/**/*")
_TOP = Path(__file__).resolve().parents[3]
# What AWX and the automation controller call the variables that they give to a job.
_CONTROLLERS = ("awx", "tower")


@cache
def code() -> str:
    """Return a digest of everything that decides about a node; slices with different digests are not one check."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _DECIDING for path in _TOP.glob(pattern) if path.is_file()):
        if path.suffix != ".pyc":
            digest.update(str(path.relative_to(_TOP)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def slice_of(variables: Mapping[str, Any]) -> str:
    """Return, as text, which workflow job of AWX this run is a slice of; "" if it is not a recognisable slice.

    AWX tells a playbook neither the number of its slice nor how many there are. But the workflow job that it creates
    for a sliced job has the job template's name.
    """
    for name in _CONTROLLERS:
        job, template = variables.get(f"{name}_workflow_job_name"), variables.get(f"{name}_job_template_name")
        if job and job == template:
            return f"a slice of the workflow job {variables.get(f'{name}_workflow_job_id', '')}, {job!r}"
    return ""


def require_whole(variables: Mapping[str, Any], problem: str, wanted: str) -> None:
    """Raise AscendError with these words where this run is a slice."""
    found = slice_of(variables)
    if found:
        raise AscendError(
            problem,
            wanted=wanted,
            found=found,
            where="the job template",
            remedy="set its job slicing to 1; if it is no slice, rename the workflow or its job template",
        )


def check_of(given: Any, variables: Mapping[str, Any]) -> str:
    """Return the name of the check that a slice belongs to: the one given, or the number of AWX's workflow job.

    Raises AscendError if there is none, or if it cannot be a folder's name.
    """
    numbers = [str(variables.get(f"{name}_workflow_job_id") or "") for name in _CONTROLLERS]
    return _name(str(given or "") or next(filter(None, numbers), ""))


def _name(check: str) -> str:
    if not _CHECK.fullmatch(check):
        raise AscendError(
            "a slice of a drift check needs a check name",
            wanted="one name for all slices, of letters, digits, . _ and -; in AWX, the workflow job's number",
            found=repr(check) if check else "none",
            where="drift_check",
            remedy="-e drift_check=$(date +%F)  # for example",
        )
    return check


def write(directory: Path, found: Slice) -> Path:
    """Write a slice below ``directory``, that of all checks; return its file. Raises AscendError if that fails."""
    folder = directory / str(found["check"])
    made = datetime.strptime(found["made"], UTC).strftime("%Y%m%dT%H%M%SZ")
    file = folder / f"{made}-{secrets.token_hex(8)}.json"
    partial = file.with_suffix(".partial")
    with failing_as(directory, "cannot write the slice of the drift check"):
        folder.mkdir(parents=True, exist_ok=True)
        with open(partial, "x", encoding="utf-8") as stream:
            # No secrets are in it, and the run that merges may be another user's, whatever the umask is.
            os.fchmod(stream.fileno(), 0o644)
            json.dump(found, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(partial, file)
    return file


def folder_of(directory: Path, check: str) -> Path:
    """Return a check's folder, or the one with the newest slice. Raises AscendError if there is none."""
    with failing_as(directory, "cannot read the slices of the drift check"):
        folders = [directory / _name(check)] if check else _entries(directory)
        newest = max(((files[-1].name, folder) for folder in folders if (files := _files(folder))), default=None)
    if not newest:
        slice_of = f"-e drift_slices_dir={shlex.quote(str(directory))} -e drift_check={check or 'NAME'}"
        raise AscendError(
            "no slice of a drift check to merge",
            wanted=f"a file for each slice{f' of the check {check}' if check else ''}",
            found="none",
            where=str(directory / check),
            remedy=f"ansible-playbook playbooks/drift.yml {slice_of}  # each slice",
        )
    return newest[1]


def read(folder: Path) -> tuple[dict[str, Slice], dict[str, str]]:
    """Return a check's slices by the names of their files, and for other files the reason.

    Raises AscendError if the folder cannot be read.
    """
    slices: dict[str, Slice] = {}
    broken: dict[str, str] = {}
    with failing_as(folder, "cannot read the slices of the drift check"):
        for path in _files(folder):
            try:
                slices[path.name] = _understood(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError) as error:
                broken[path.name] = f"cannot read it: {error}"
    return slices, broken


def prune(directory: Path, keep_days: int, now: datetime) -> None:
    """Remove checks whose newest slice is older, with what interrupted runs left half written; ``now`` has a zone.

    A folder with anything else in it stays. Raises AscendError if one cannot be removed.
    """
    oldest = (now - timedelta(days=keep_days)).strftime("%Y%m%dT%H%M%SZ")
    with failing_as(directory, "cannot remove old slices of drift checks"):
        for folder in _entries(directory):
            names = [path.name for path in _entries(folder)]
            if names and max(names) < oldest and all(_OURS.fullmatch(name) for name in names):
                shutil.rmtree(folder)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def _files(folder: Path) -> list[Path]:
    """Return the slices of a check, the one that began last at the end."""
    return [path for path in _entries(folder) if _FILE.fullmatch(path.name)]


def _understood(found: Any) -> Slice:
    """Return a slice that is one. Raises ValueError."""
    if not isinstance(found, dict) or found.get("form") != FORM:
        form = found.get("form") if isinstance(found, dict) else None
        raise ValueError(f"it has format {form}, not {FORM}: another version of ascend-fleet wrote it")
    wrong = [key for key, kind in KEYS.items() if not isinstance(found.get(key), kind)]
    if wrong or not all(isinstance(node, dict) and node.keys() >= _OF_NODE for node in found["nodes"]):
        raise ValueError(f"{', '.join(wrong) or 'a node'} is missing or wrong for a slice")
    datetime.strptime(found["made"], UTC)
    return found


def age(found: Slice, now: datetime) -> timedelta:
    """Return how long ago a slice began; negative if its clock is ahead."""
    return now - datetime.strptime(found["made"], UTC).replace(tzinfo=timezone.utc)
