# SPDX-License-Identifier: Apache-2.0
"""What a checkout contained when it was unpacked, and how it differs from that now.

An edit is a changed or removed file of the archive, or a module added to the packages below ``src``. Everything else
that is new belongs to users (results of training, caches, data), and is neither reported nor touched.
"""

from __future__ import annotations

import fnmatch
import json
import os
import stat
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from .. import files
from . import checkout
from .distributions import shown

if TYPE_CHECKING:
    from ..shapes import Checkout as CheckoutFacts

MANIFEST = ".ascend-fleet-source-%s.json"  # in the environment, by the distribution's name
PACKAGES = "src"
MODULES = (".py", ".so")
# What may lie in an archive and is no part of the source: users' results, what an installation writes, and git's own.
RESULTS = ("saves", "output*", "wandb", "runs", "*cache")  # in the uppermost folder
INSTALLED = ("__pycache__", "*.pyc", "*.egg-info", ".git")
NAMED = 5  # edited files that facts list
MOST_READ = 16 * 1024 * 1024  # of a file that has a new time and its old size; the deep form reads it in any case
READ_AND_EXECUTE = 0o555  # rights that somebody took away; wider ones stop no program

Files = Dict[str, List[Any]]  # relative path -> [size, mtime in ns, mode, sha256] of a file, [target] of a link


class Manifest(NamedTuple):
    """What was unpacked: the archive's sha256, the commit if the archive names one, and the files."""

    archive: str
    commit: Optional[str]
    files: Files


class Checkout(NamedTuple):
    """A checkout as it is. ``manifest`` is None if it was not recorded what was unpacked; ``edited`` is complete."""

    path: str
    commit: Optional[str]
    manifest: Optional[Manifest]
    edited: Tuple[str, ...]

    @property
    def recorded_commit(self) -> Optional[str]:
        return self.manifest.commit if self.manifest else None

    def folders(self) -> List[str]:
        """Return the unpacked folders, sorted, the top one as ""."""
        return sorted(_folders(self.manifest.files) | {""}) if self.manifest else [""]

    def facts(self) -> CheckoutFacts:
        """Return the form of docs/facts.md."""
        return {
            "path": shown(self.path),
            "commit": self.commit,
            "recorded_commit": self.recorded_commit,
            "archive": self.manifest.archive if self.manifest else None,
            "recorded": bool(self.manifest),
            "edited": [shown(path) for path in self.edited[:NAMED]],
            "edited_count": len(self.edited),
        }


def read(path: str, here: str, manifest_file: str, deep: bool = False) -> Checkout:
    """Return the state of the checkout at ``path``, which is in ``here``.

    ``deep`` compares every file with its sum. Its commit is what ``.git`` says, else the one unpacked.
    """
    manifest = load(manifest_file)
    commit = checkout.commit(here)
    if not manifest:
        return Checkout(path, commit, None, ())
    return Checkout(path, commit or manifest.commit, manifest, tuple(edits(here, manifest.files, deep)))


def taken(root: str) -> Files:
    """Return the content of ``root`` that counts. Raises OSError."""
    found: Files = {}
    for folder, folders, names in os.walk(root):
        inside = os.path.relpath(folder, root)
        left_out = INSTALLED + RESULTS if inside == os.curdir else INSTALLED
        names += [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(name for name in folders if not _matches(name, left_out))
        for name in sorted(name for name in names if not _matches(name, left_out)):
            full = os.path.join(folder, name)
            status = os.lstat(full)
            relative = os.path.normpath(os.path.join(inside, name))
            if stat.S_ISLNK(status.st_mode):
                found[relative] = [os.readlink(full)]
            elif stat.S_ISREG(status.st_mode):
                row = [status.st_size, status.st_mtime_ns, stat.S_IMODE(status.st_mode), files.sha256(full)]
                found[relative] = row
    return found


def edits(root: str, known: Files, deep: bool = False) -> List[str]:
    """Return the paths of changed or removed files, then of added modules.

    The fast form reads files that have a new time; ``deep`` reads all.
    """
    folders = _folders(known)
    linked = tuple(os.path.join(folder, "") for folder in folders if os.path.islink(os.path.join(root, folder)))
    if os.path.islink(root):
        linked = ("",)
    changed = [
        path
        for path, entry in known.items()
        if path.startswith(linked) or _differs(os.path.join(root, path), entry, deep)
    ]
    return sorted(changed) + _added(root, known, folders)


def load(path: str) -> Optional[Manifest]:
    """Return what ``write`` wrote; None if it cannot be used."""
    content = files.mapping(path)
    archive, commit, entries = content.get("archive"), content.get("commit"), content.get("files")
    if not isinstance(archive, str) or not isinstance(commit, (str, type(None))) or not isinstance(entries, dict):
        return None
    if not entries or not all("\0" not in name and _is_entry(entry) for name, entry in entries.items()):
        return None
    return Manifest(archive, commit, entries)


def write(path: str, manifest: Manifest) -> None:
    """Record what was unpacked, atomically."""
    partial = path + ".part"
    with open(partial, "w", encoding="utf-8") as stream:
        json.dump({"schema": 1, **manifest._asdict()}, stream, separators=(",", ":"))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)


def _differs(path: str, entry: List[Any], deep: bool) -> bool:
    try:
        if len(entry) == 1:
            return os.readlink(path) != str(entry[0])
        size, mtime_ns, mode, digest = entry
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return True
        if mode & ~status.st_mode & READ_AND_EXECUTE:
            return True
        if not deep and (status.st_mtime_ns == mtime_ns or size > MOST_READ):
            return False
        return files.sha256(path) != str(digest)
    except OSError:
        return True


def _added(root: str, known: Files, folders: Set[str]) -> List[str]:
    """Python looks for modules in the archive's folders, and in new ones that are packages."""
    found = []
    for folder, inner, names in os.walk(os.path.join(root, PACKAGES)):
        inside = os.path.relpath(folder, root)
        within = []
        for name in sorted(inner):
            relative = os.path.join(inside, name)
            if os.path.islink(os.path.join(folder, name)):
                names.append(name)
            elif relative in folders or os.path.isfile(os.path.join(folder, name, "__init__.py")):
                within.append(name)
        inner[:] = within
        for name in names:
            relative = os.path.join(inside, name)
            if relative not in known and relative not in folders and _is_module(os.path.join(folder, name)):
                found.append(relative)
    return sorted(found)


def _is_module(path: str) -> bool:
    """A link to a folder counts as one if it points to a package."""
    return path.endswith(MODULES) or os.path.isfile(os.path.join(path, "__init__.py"))


def _folders(paths: Iterable[str]) -> Set[str]:
    found: Set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder and folder not in found:
            found.add(folder)
            folder = os.path.dirname(folder)
    return found


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, list):
        return False
    kinds = [type(value) for value in entry]
    return kinds in ([str], [int, int, int, str])
