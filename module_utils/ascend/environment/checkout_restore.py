# SPDX-License-Identifier: Apache-2.0
"""Unpack a checkout, and restore one that was edited, without losing users' edits.

Only what differs is replaced, each file atomically, so a training that runs from the checkout never finds one missing,
and results in it stay. Replaced files are kept in the environment, in ``edited/<time>``.
"""

from __future__ import annotations

import os
import tarfile
import time
from typing import Optional, Tuple

from .. import files, rights
from ..errors import AscendError
from . import checkout, checkout_manifest
from .checkout_manifest import Files, Manifest

EDITED = "edited"
GIT = ".git"


class _Kept:
    """Keeps files of ``place``, under the same relative paths, in a new folder below ``root``."""

    def __init__(self, place: str, root: str) -> None:
        self.place = place
        self.root = root
        self.folder = ""

    def copy(self, relative: str) -> None:
        """Keep a file or link under a second name; it stays in place until it is replaced. A folder is moved."""
        source = os.path.join(self.place, relative)
        if os.path.isdir(source) and not os.path.islink(source):
            self.move(relative)
        elif os.path.lexists(source):
            os.link(source, self._target(relative), follow_symlinks=False)

    def move(self, relative: str) -> None:
        """Keep what exists and must go."""
        os.rename(os.path.join(self.place, relative), self._target(relative))

    def _target(self, relative: str) -> str:
        if not self.folder:
            self.folder = _new_folder(os.path.join(self.root, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())))
        target = os.path.join(self.folder, relative)
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        return target


def restore(place: str, archive: str, sha256: str, manifest_file: str, building: str) -> str:
    """Restore the checkout at ``place`` from ``archive``, and record that in ``manifest_file``.

    Returns the folder with the edited files; "" if there were none. ``building`` is the path of an empty folder on the
    same file system. Raises AscendError; may be run again at any point.
    """
    fresh, commit = _unpack(archive, building)
    try:
        manifest = Manifest(sha256, checkout.commit(fresh) or commit, checkout_manifest.taken(fresh))
        checkout_manifest.write(manifest_file, manifest)
        keep_in = os.path.join(os.path.dirname(manifest_file), EDITED)
        if os.path.isdir(place) and not os.path.islink(place):
            kept = _Kept(place, keep_in)
            _restore_git(fresh, manifest.commit, kept)
            _restore_files(fresh, manifest.files, kept)
        else:
            folder, name = os.path.split(place)
            kept = _Kept(folder, keep_in)
            os.makedirs(folder, mode=0o755, exist_ok=True)
            if os.path.lexists(place):
                kept.move(name)
            os.rename(fresh, place)
    except OSError as error:
        raise AscendError(
            "cannot restore the checkout from its archive",
            wanted="the files of %s" % os.path.basename(archive),
            found=str(error),
            where=place,
            remedy="ls -ld %s; df %s  # a link to another disk, rights, room?" % (place, place),
        ) from error
    return kept.folder


def _unpack(archive: str, folder: str) -> Tuple[str, Optional[str]]:
    """Return the folder at the archive's top, unpacked, and the commit that ``git archive`` wrote into its header."""
    try:
        with tarfile.open(archive) as stream:
            # From Python 3.12 on a filter has to be named; older ones do not know the attribute and trust as well.
            stream.extraction_filter = lambda member, _path: member
            stream.extractall(folder)
            commit = checkout.as_commit(stream.pax_headers.get("comment", ""))
    except (OSError, tarfile.TarError) as error:
        raise AscendError("cannot unpack the source archive", found=str(error), where=archive) from error
    tops = files.names(folder)
    if len(tops) != 1 or not os.path.isdir(os.path.join(folder, tops[0])):
        raise AscendError(
            "the source archive is not a checkout",
            wanted="one folder at its top",
            found=", ".join(tops[:5]) or "nothing",
            where=archive,
        )
    rights.open_to_all(rights.closed_below(folder))  # it may have been packed in a folder of one user alone
    return os.path.join(folder, tops[0]), commit


def _restore_files(fresh: str, known: Files, kept: _Kept) -> None:
    for path in checkout_manifest.edits(kept.place, known, deep=True):
        if path not in known:
            kept.move(path)
            continue
        _restore_folder(os.path.dirname(path), kept)
        kept.copy(path)
        _forget_compiled(os.path.join(kept.place, path))
        os.replace(os.path.join(fresh, path), os.path.join(kept.place, path))


def _forget_compiled(module: str) -> None:
    """Remove a module's byte code, which Python uses for the new file if size and second of the time are the same."""
    folder = os.path.join(os.path.dirname(module), "__pycache__")
    stem, ending = os.path.splitext(os.path.basename(module))
    for name in files.names(folder) if ending == ".py" else ():
        if name.startswith(stem + ".") and name.endswith(".pyc"):
            os.unlink(os.path.join(folder, name))


def _restore_folder(relative: str, kept: _Kept) -> None:
    """A link in place of a folder points to files that are not ours; it is kept and never followed."""
    if not relative:
        return
    _restore_folder(os.path.dirname(relative), kept)
    path = os.path.join(kept.place, relative)
    if os.path.isdir(path) and not os.path.islink(path):
        return
    if os.path.lexists(path):
        kept.move(relative)
    os.mkdir(path, 0o755)


def _restore_git(fresh: str, commit: Optional[str], kept: _Kept) -> None:
    """A history at another commit is kept whole. It comes first: after a break, differing files still show it."""
    if checkout.commit(kept.place) not in (None, commit):
        kept.move(GIT)
    if not os.path.lexists(os.path.join(kept.place, GIT)) and os.path.lexists(os.path.join(fresh, GIT)):
        os.rename(os.path.join(fresh, GIT), os.path.join(kept.place, GIT))


def _new_folder(path: str) -> str:
    """Create a new folder: ``path``, or the same with a number appended."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    number, name = 0, path
    while True:
        try:
            os.mkdir(name, 0o755)
            return name
        except FileExistsError:
            number += 1
            name = "%s-%d" % (path, number)
