# SPDX-License-Identifier: Apache-2.0
"""Parsers of the small files in which CANN, its parts and the driver describe themselves.

Formats as installed by CANN 5.1 to 8.5 and by drivers since 20.2. Every parser takes text, returns a frozen dataclass
and never raises: what it cannot read is in ``problems`` as "line N: why", and the rest is kept. A field that the text
does not have is None (or empty).
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import Dict, List, Optional, Set, Tuple

MOST_BYTES = 1024 * 1024  # these files have a few KB
MOST_PROBLEMS = 20
Groups = Tuple[Tuple[str, ...], ...]
Versions = Dict[str, Groups]

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"[0-9][0-9A-Za-z]*(?:[.-][0-9A-Za-z]+)*")


@dataclass(frozen=True)
class ProductInfo:
    """``ascend_toolkit_install.info`` and its counterparts for nnae and nnrt: which product this is."""

    version: Optional[str]
    inner_version: Optional[str]
    arch: Optional[str]
    path: Optional[str]
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class VersionCfg:
    """``latest/version.cfg``: part -> ((the part's number, CANN version), ...), the second as a folder's name."""

    versions: Versions
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class VersionInfo:
    """``version.info`` of a part, of the driver or of the firmware."""

    version: Optional[str]
    version_dir: Optional[str]
    problems: Tuple[str, ...]


@dataclass(frozen=True)
class InstallInfo:
    """``/etc/ascend_install.info``, ``ascend_install.info``, ``install.conf``, ``ascend_cann_install.info``.

    ``packages`` maps a package ("driver", "opp_kernel"; "" if none is named) to its entries: ``type``, ``path``,
    ``for_all``, ``mode``, ``status``, ``version``, ``chip``, ``feature``.
    """

    packages: Dict[str, Dict[str, str]]
    problems: Tuple[str, ...]


def read(path: str) -> Tuple[str, str]:
    """Return (text, problem) of a small file; the problem is "", "missing", "empty" or why it cannot be read.

    UTF-8, odd bytes replaced; at most MOST_BYTES. A pipe or a device is not opened, because that could block forever.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return "", "not a regular file"
        with open(path, encoding="utf-8-sig", errors="replace") as stream:
            text = stream.read(MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return "", "missing"
    except OSError as error:
        return "", "cannot be read: %s" % error.strerror
    return text, "" if text.strip() else "empty"


def parse_product_info(text: str) -> ProductInfo:
    """Return what ``ascend_<product>_install.info`` says."""
    lines = _Lines(text)
    lines.take_groups("compatible_version")  # nobody asks for it, and a torn one says that the file is damaged
    return ProductInfo(
        version=lines.take_version("version"),
        inner_version=lines.take_version("innerversion"),
        arch=lines.take("arch"),
        path=lines.take("path"),
        problems=lines.problems(),
    )


def parse_version_cfg(text: str) -> VersionCfg:
    """Return what ``version.cfg`` says: ``runtime_running_version=[7.7.0.1.238:8.1.RC1]``."""
    lines = _Lines(text)
    found: Versions = {}
    for key in lines.keys:
        match = re.fullmatch(r"(.+)_(running|upgrade|installed)_version", key)
        if not match:
            lines.object_to(key, "not the version of a component: %s" % key)
            continue
        part, kind = match.groups()
        pairs = []
        for group in lines.take_groups(key, ":"):
            if len(group) == 2 and all(group):
                pairs.append(group)
            else:
                lines.object_to(key, "not a pair [number:version]: [%s]" % ":".join(group))
        if kind == "running":
            found[part] = tuple(pairs)
    return VersionCfg(found, lines.problems())


def parse_version_info(text: str) -> VersionInfo:
    """Return what a ``version.info`` says, be it a part's, the driver's or the firmware's."""
    lines = _Lines(text)
    # Nobody asks for these, and a torn one says that the file is damaged.
    for key in ("Innerversion", "package_version"):
        lines.take_version(key)
    for key in ("compatible_version", "compatible_version_fw", "compatible_version_drv"):
        lines.take_groups(key)
    return VersionInfo(lines.take_version("Version"), lines.take("version_dir"), lines.problems())


# The ends of keys, in small letters, and what they say of the package that is named before them.
_FIELDS = (
    ("install_path_param", "path"),
    ("install_path_val", "path"),
    ("install_path", "path"),
    ("installpath", "path"),
    ("path", "path"),
    ("install_for_all", "for_all"),
    ("install_feature", "feature"),
    ("feature_type", "feature"),
    ("install_status", "status"),
    ("install_type", "type"),
    ("install_mode", "mode"),
    ("install_chip", "chip"),
    ("chip_type", "chip"),
    ("version", "version"),
)


def parse_install_info(text: str) -> InstallInfo:
    """Return the content of an installation's record, whatever the spelling of its keys."""
    lines = _Lines(text)
    packages: Dict[str, Dict[str, str]] = {}
    for key in lines.keys:
        value = lines.take(key) or ""
        package, field = _package_and_field(key)
        if field and packages.setdefault(package, {}).setdefault(field, value) != value:
            lines.object_to(key, "a different %s than before: %s" % (field, value))
    return InstallInfo(packages, lines.problems())


def _package_and_field(key: str) -> Tuple[str, str]:
    """Return ("opp_kernel", "type") of ``OPP_KERNEL_INSTALL_TYPE``; the field is "" if it is unknown.

    Another package's path (``Compiler_Arch_Linux_Path``) is not the package's.
    """
    lower = key.lower()
    for end, field in _FIELDS:
        if lower == end:
            return "", field
        if lower.endswith("_" + end) and end != "path":
            return lower[: -len(end) - 1], field
    return "", ""


class _Lines:
    """The ``key=value`` lines of a text, and the problems in them."""

    def __init__(self, text: str) -> None:
        self._pairs: Dict[str, Tuple[int, str]] = {}
        self._problems: List[Tuple[int, str]] = []
        self._torn: Set[str] = set()
        if not text.strip():
            self._problems.append((1, "the file is empty"))
            return
        for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
            self._read(number, line.strip())

    def _read(self, number: int, line: str) -> None:
        if not line or line.startswith("#"):
            return
        key, found, value = (part.strip() for part in line.partition("="))
        if "\0" in line or "\ufffd" in line:
            self._object(number, "bytes that are not text")
        elif not found or not _KEY.fullmatch(key):
            self._object(number, "not a key=value pair: %s" % line)
        elif value[:1] in ("'", '"') and (len(value) < 2 or value[-1] != value[0]):
            self._object(number, "an unclosed quotation: %s" % line)
        elif key in self._torn:
            self._object(number, "%s is repeated" % key)
        elif self._pairs.get(key, (0, _unquoted(value)))[1] != _unquoted(value):
            # Which of the two is right cannot be told, so neither is taken.
            self._object(number, "%s is given twice: %s and %s" % (key, self._pairs.pop(key)[1], _unquoted(value)))
            self._torn.add(key)
        else:
            self._pairs[key] = (number, _unquoted(value))

    def _object(self, number: int, words: str) -> None:
        self._problems.append((number, words if len(words) <= 120 else words[:117] + "..."))

    def object_to(self, key: str, words: str) -> None:
        """Remember a problem of the line with this key."""
        self._object(self._pairs[key][0], words)

    @property
    def keys(self) -> List[str]:
        return list(self._pairs)

    def take(self, key: str) -> Optional[str]:
        return self._pairs[key][1] if key in self._pairs else None

    def take_version(self, key: str) -> Optional[str]:
        value = self.take(key)
        if value is None or _VERSION.fullmatch(value.lstrip("Vv")):
            return value
        self.object_to(key, "not a version: %s" % (value or "nothing"))
        return None

    def take_groups(self, key: str, separator: str = ",") -> Groups:
        """Return the groups of ``[a,b],[c]``; groups are separated by commas, blanks or nothing."""
        value = self.take(key) or ""
        groups = []
        for piece in value.split("]")[:-1]:
            before, bracket, inside = piece.partition("[")
            if not bracket or before.strip(", ") or "[" in inside:
                self.object_to(key, "not a list in brackets: %s]" % piece.strip(", "))
                continue
            if inside.strip():
                groups.append(tuple(part.strip() for part in inside.split(separator)))
        rest = value.rpartition("]")[2].strip(", ")
        if rest:
            self.object_to(key, "a bracket is missing: %s" % rest)
        return tuple(groups)

    def problems(self) -> Tuple[str, ...]:
        words = ["line %d: %s" % problem for problem in sorted(self._problems)]
        more = ["%d more lines" % (len(words) - MOST_PROBLEMS)] if len(words) > MOST_PROBLEMS else []
        return tuple(words[:MOST_PROBLEMS] + more)


def _unquoted(value: str) -> str:
    return value[1:-1] if value[:1] in ("'", '"') else value
