# SPDX-License-Identifier: Apache-2.0
"""Read small files of a node without raising: what is absent, unreadable or odd is None or empty, never an error."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Dict, List, Optional, Union

_BLOCK = 1024 * 1024
MOST_BYTES = 16 * 1024 * 1024  # a text file of the driver's or CANN's has a few KB: no other fills the memory


def text(path: str, most: int = MOST_BYTES) -> Optional[str]:
    """Return the file's text (UTF-8, odd bytes replaced), or None if there is no regular file to read.

    ``most`` characters are read.
    """
    try:
        if not os.path.isfile(path):
            return None
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(most)
    except OSError:
        return None


def pairs(content: Optional[str]) -> Dict[str, str]:
    """Return the ``key=value`` lines of a text; comments and other lines left out, quotes around a value removed."""
    found = {}
    for line in (content or "").splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith("#"):
            found[key.strip()] = value.strip().strip("\"'")
    return found


def mapping(path: str) -> Dict[str, Any]:
    """Return the JSON object in a file; empty if there is none."""
    content = text(path)
    try:
        value = json.loads(content) if content else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def names(folder: str) -> List[str]:
    """Return the sorted names in a folder; empty when it cannot be listed."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def folders(folder: str) -> List[str]:
    """Return the sorted names of the folders in a folder, without those that begin with a dot."""
    return [name for name in names(folder) if name[0] != "." and os.path.isdir(os.path.join(folder, name))]


def is_program(path: str) -> bool:
    """Whether a path, or the target of a link there, is an executable file."""
    return os.path.isfile(path) and os.access(path, os.X_OK)


def is_in(path: str, folder: str) -> bool:
    """Whether a path is a folder or below it, judged only by the names."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def link(path: str) -> Optional[str]:
    """Return a link's text as it is; None if there is no link."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def sha256(path: Union[str, "os.PathLike[str]"]) -> str:
    """Return the sha256 of a file in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()
