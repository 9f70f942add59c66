# SPDX-License-Identifier: Apache-2.0
"""The record of the toolkit's path, on which every installer of CANN insists; a node has only one.

If CANN is in several places, only the installers of one of them would run. So the record names the place of the package
whose installer or uninstaller is running, and is restored afterwards. Its old content is kept in ``cann-record.json``:
``{"schema": 1, "text": what it said, "base": what it names meanwhile}``, so that the next change restores it after a
kill. A place that no longer contains a CANN is not restored.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager, suppress
from typing import Iterator, List, Optional

from .. import atomic, files
from ..change import fault_points
from ..errors import AscendError
from ..places import CANN_INSTALL_RECORD
from . import files as cann_files
from .layout import Tree

FILE = "cann-record.json"
_LINE = re.compile(r"^([ \t]*toolkit_?install_?path(?:_param|_val)?[ \t]*=).*$", re.MULTILINE | re.IGNORECASE)


@contextmanager
def naming(tree: Tree, base: str) -> Iterator[None]:
    """Point the record to ``base`` while a package's installer or uninstaller runs there.

    Raises AscendError if that cannot be written. Without a record there is nothing to change; the installer writes one.
    """
    restore(tree)
    before, base = _text(tree), os.path.normpath(tree.shown(base))
    if before and _path_in(before) not in (None, base):
        _write(_kept(tree), json.dumps({"schema": 1, "text": before, "base": base}) + "\n")
        fault_points.reached("record.kept")
        _write(_file(tree), _naming(before, base))
        fault_points.reached("record.named")
    try:
        yield
    finally:
        _settle(tree, before, base)


def restore(tree: Tree) -> None:
    """Restore the record's content from before an interrupted change. Raises AscendError."""
    kept = files.mapping(_kept(tree))
    text, base = kept.get("text"), kept.get("base")
    if isinstance(text, str) and isinstance(base, str):
        _settle(tree, text, base)


def _settle(tree: Tree, before: Optional[str], base: str) -> None:
    """Restore the record's content ``before``, as far as that is still valid, and forget the change.

    If somebody changed it to another place meanwhile, that stays.
    """
    now, named = _path_in(_text(tree)), _path_in(before)
    if before and named and now in (None, base) and now != named:
        left = [place for place in _bases(tree) if _has_cann(tree, place)]
        if named in left or named not in _bases(tree):
            _write(_file(tree), before)
        elif left and now not in left:
            _write(_file(tree), _naming(before, left[0]))
    fault_points.reached("record.settled")
    with suppress(FileNotFoundError):
        os.unlink(_kept(tree))


def _bases(tree: Tree) -> List[str]:
    """Return the places as the node's own paths, the root before the others."""
    return sorted({tree.shown(place.base) for place in tree.places()})


def _has_cann(tree: Tree, base: str) -> bool:
    places = [place for place in tree.places() if tree.shown(place.base) == base]
    return any(files.names(place.home(version)) for place in places for version in tree.versions(place))


def _naming(text: str, base: str) -> str:
    named = _LINE.sub(lambda match: match.group(1) + base, text)
    return named if _path_in(named) == base else "Toolkit_InstallPath=%s\n" % base


def _path_in(text: Optional[str]) -> Optional[str]:
    path = cann_files.parse_install_info(text or "").packages.get("toolkit", {}).get("path")
    return os.path.normpath(path) if path else None


def _text(tree: Tree) -> Optional[str]:
    return files.text(_file(tree))


def _write(path: str, text: str) -> None:
    if files.text(path) == text:
        return
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        atomic.write(path, text)
    except OSError as error:
        raise AscendError(
            "cannot point CANN's install record to a package",
            wanted="a writable file",
            found=str(error),
            where=path,
            remedy="df -h %s; findmnt -T %s  # then run site.yml again" % (path, path),
        ) from error


def _file(tree: Tree) -> str:
    return tree.below.rstrip("/") + CANN_INSTALL_RECORD


def _kept(tree: Tree) -> str:
    return os.path.join(tree.state_dir, FILE)
