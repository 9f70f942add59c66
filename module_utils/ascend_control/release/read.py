# SPDX-License-Identifier: Apache-2.0
"""Read a release (``releases/<name>/release.yml`` and its locks) and the depot's table of contents (``index.json``).

Runs on the control node, with its Python. Every file is read once per change of its time stamp: a playbook asks for
the same release once per node.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ...ascend.cann.layouts import LAYOUTS, OLDER
from ...ascend.environment.lock import digest, parse
from ...ascend.errors import AscendError
from .form import require_form

MATRIX = "compatibility.yml"
# What a row of each of its tables says, and in which form.
ROWS: dict[str, dict[str, type]] = {
    "driver": {"firmware": str},
    "cann": {"driver": str, "firmware": str, "kernels": str, "torch-npu": list},
    "torch-npu": {"torch": str, "python": list},
    "llamafactory": {"python": str, "torch-npu": list, "deepspeed": dict},
}
# What a row may say besides, in one of these words.
MAY_SAY: dict[str, dict[str, tuple[str, ...]]] = {"cann": {"layout": tuple(LAYOUTS), "mixed_drivers": ("hang",)}}
# libyaml's is ten times as fast, and every worker of a fleet's check reads the release.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_release(folder: str) -> dict[str, Any]:
    """Return the release in ``folder`` as ``release.yml`` says it."""
    path = Path(folder) / "release.yml"
    if not path.is_file():
        known = sorted(entry.parent.name for entry in path.parent.parent.glob("*/release.yml"))
        raise AscendError(
            f"unknown release: {path.parent.name}",
            wanted=str(path),
            found=", ".join(known) or "no release",
            remedy="set ascend_release to one of those, or add a folder: releases/README.md",
        )
    return _release(str(path), path.stat().st_mtime_ns)


def layout_of(release: Mapping[str, Any]) -> str:
    """Return the layout of a release's CANN. Releases before CANN 8.5 need not say it."""
    return str(release["cann"].get("layout", OLDER.name))


def release_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the release that the planner's settings name, as its ``release.yml`` says it."""
    return read_release(str(folder_of(settings)))


def folder_of(settings: Mapping[str, Any]) -> Path:
    """Return the folder of the release that the planner's settings name."""
    return Path(str(settings["releases_dir"]), str(settings["release"]))


def lock_of(own: Mapping[str, str], locks: Mapping[str, str], architecture: str) -> str:
    """Return the operator's own lock for an architecture, else the release's; "" if there is none."""
    return str(own.get(architecture) or locks.get(architecture) or "")


def accepts_python(python: dict[str, Any], version: str) -> bool:
    """Return whether environments of a release may run this Python; ``python`` is release.yml's section."""
    if not re.fullmatch(re.escape(str(python["series"])) + r"\.[0-9]+", version):
        return False
    try:
        return SpecifierSet(str(python.get("accepted", ""))).contains(version)
    except InvalidSpecifier:
        raise AscendError(
            "release.yml does not say which Pythons are accepted",
            wanted='python.accepted such as ">=3.10.4"',
            found=repr(python["accepted"]),
            remedy="see python.accepted in releases/README.md",
        ) from None


def read_lock(path: str) -> tuple[dict[str, str], str]:
    """Return (distribution name -> version, lock digest of 12 hexadecimal digits) of a lock file."""
    file = Path(path)
    if not file.is_file():
        raise AscendError("a lock is missing", wanted=path, found="no such file", remedy="see releases/README.md")
    return _lock(path, file.stat().st_mtime_ns)


def read_matrix(releases_dir: str) -> dict[str, Any]:
    """Return the compatible versions: the project's compatibility.yml, and over it rows beside your own releases."""
    shipped, own = Path(__file__).resolve().parents[3] / "releases" / MATRIX, Path(releases_dir) / MATRIX
    matrix: dict[str, Any] = {table: {} for table in ROWS}
    for path in dict.fromkeys((shipped, own.resolve())):
        if path.is_file():
            for table, rows in _matrix(str(path), path.stat().st_mtime_ns).items():
                matrix[table] = {**matrix[table], **rows}
    return matrix


def read_document(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file of the project or of a release; do not change it."""
    return _yaml(str(path), path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _release(path: str, changed_ns: int) -> dict[str, Any]:
    release = _yaml(path, changed_ns)
    require_form(release, Path(path))
    return release


@functools.lru_cache(maxsize=32)
def _yaml(path: str, _changed_ns: int) -> dict[str, Any]:
    with Path(path).open(encoding="utf-8") as file:
        try:
            document: dict[str, Any] = yaml.load(file, Loader=_LOADER)
        except yaml.YAMLError as error:
            raise AscendError(
                f"{Path(path).name} is not YAML",
                wanted="YAML",
                found=" ".join(str(error).split()),
                where=path,
                remedy=f"correct {path}; yamllint {path}  # names the line",
            ) from None
    return document


@functools.lru_cache(maxsize=32)
def _matrix(path: str, changed_ns: int) -> dict[str, Any]:
    tables = _yaml(path, changed_ns) or {}
    wrong = [f"a table {table}" for table in tables if table not in ROWS]
    for table in ROWS.keys() & tables.keys():
        for version, row in tables[table].items():
            problems = _wrong(version, row, ROWS[table], MAY_SAY.get(table, {}))
            wrong += [f"{table} {version!r}: {problem}" for problem in problems]
    if wrong:
        raise AscendError(
            "the compatibility table does not match its schema",
            wanted="; ".join(f"{table}: {', '.join(keys)}" for table, keys in ROWS.items()),
            found="; ".join(wrong),
            where=path,
            remedy="quote every version, and see the rows of the project's releases/compatibility.yml",
        )
    return tables


def _wrong(version: Any, row: Any, keys: dict[str, type], may_say: dict[str, tuple[str, ...]]) -> list[str]:
    if not isinstance(version, str):
        return ["its version is not quoted"]
    given = row if isinstance(row, dict) else {}
    wrong = [f"no {key}" for key, kind in keys.items() if not isinstance(given.get(key), kind)]
    wrong += [f"{key}: {given[key]!r}" for key, words in may_say.items() if given.get(key, words[0]) not in words]
    limits = given.get("deepspeed")
    if isinstance(limits, dict) and set(limits) != {"minimum", "maximum"}:
        wrong.append("deepspeed: minimum and maximum are both needed")
    return wrong + [f"{value!r} is not quoted" for value in _leaves(given) if not isinstance(value, str)]


def _leaves(value: Any) -> list[Any]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if parts is None else [leaf for part in parts for leaf in _leaves(part)]


@functools.lru_cache(maxsize=32)
def _lock(path: str, _changed_ns: int) -> tuple[dict[str, str], str]:
    text = Path(path).read_text(encoding="utf-8")
    return parse(text), digest(text)
