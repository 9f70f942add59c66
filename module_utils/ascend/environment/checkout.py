# SPDX-License-Identifier: Apache-2.0
"""Where an editable distribution's source is, and at which commit, read from files without running git.

An editable installation is known by ``direct_url.json`` (PEP 610) in its dist-info, an older one by an ``egg-link``
file in site-packages. Formats of git's files: gitrepository-layout(5), git-pack-refs(1).
"""

from __future__ import annotations

import os
import re
from typing import Optional

from .. import files

DIRECT_URL = "direct_url.json"
MOST_LINKS = 5  # symbolic references that lead to another one

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")  # SHA-1 or SHA-256
_REFERENCE = re.compile(r"refs/[^\0\s]+")


def editable_path(info: str) -> Optional[str]:
    """Return the folder of an editable distribution's source; None for one that was installed from a wheel.

    If ``direct_url.json`` names no local folder, its text is returned as it is.
    """
    direct = files.mapping(os.path.join(info, DIRECT_URL))
    folder = direct.get("dir_info")
    if not isinstance(folder, dict) or not folder.get("editable"):
        return None
    from urllib.parse import unquote, urlsplit  # most environments have no editable one: it costs 2 ms

    url = direct.get("url")
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
    except ValueError:
        return str(url)
    path = unquote(parts.path)
    return path if parts.scheme == "file" and path.startswith("/") and "\0" not in path else str(url)


def linked_path(link: str) -> Optional[str]:
    """Return the folder that an ``egg-link`` file names in its first line."""
    lines = (files.text(link) or "").splitlines()
    path = lines[0].strip() if lines else ""
    return path if path.startswith("/") and "\0" not in path else None


def commit(path: str) -> Optional[str]:
    """Return the commit of a git checkout; None if it is not one, or has an unknown form."""
    git = os.path.join(path, ".git")
    if os.path.isfile(git):  # a worktree or a submodule
        pointer = (files.text(git) or "").partition("gitdir:")[2].strip()
        git = os.path.join(path, pointer) if pointer and "\0" not in pointer else git
    common = (files.text(os.path.join(git, "commondir")) or "").strip()
    common = os.path.join(git, common) if common and "\0" not in common else git
    pointer = (files.text(os.path.join(git, "HEAD")) or "").strip()
    for _ in range(MOST_LINKS):
        if not pointer.startswith("ref:"):
            break
        pointer = _reference(git, common, pointer[len("ref:") :].strip())
    return as_commit(pointer)


def as_commit(text: str) -> Optional[str]:
    """Return the text if it is a full commit id, else None."""
    return text if _COMMIT.fullmatch(text) else None


def _reference(git: str, common: str, name: str) -> str:
    """Return a reference's value; its own file overrides the packed ones."""
    if not _REFERENCE.fullmatch(name) or ".." in name:
        return ""
    for folder in (git, common):
        content = (files.text(os.path.join(folder, name)) or "").strip()
        if content:
            return content
    for line in (files.text(os.path.join(common, "packed-refs")) or "").splitlines():
        value, _, reference = line.partition(" ")
        if reference.strip() == name:
            return value
    return ""
