# SPDX-License-Identifier: Apache-2.0
"""The fleet's own known_hosts: which key is pinned for a node, and adding keys to the file, atomically."""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...ascend import atomic
from .host_keys import HostKey

SSH_PORT = 22
AUTHORITY = "@cert-authority"
_HEAD = "# Host keys of the fleet, pinned by playbooks/enroll.yml; ssh reads them by ansible.cfg.\n"


def name_of(host: str, port: int) -> str:
    """Return the name by which OpenSSH looks a host up: another port than 22 is part of it."""
    return host.lower() if port == SSH_PORT else f"[{host.lower()}]:{port}"


def _entry(line: str) -> tuple[list[str], HostKey] | None:
    """Return a line's names and key; None for a comment, a marker (@cert-authority) and anything else."""
    words = line.split()
    if len(words) < 3 or words[0].startswith(("#", "@", "|")):
        return None
    try:
        return words[0].split(","), HostKey(words[1], base64.b64decode(words[2], validate=True))
    except binascii.Error:
        return None


def _entries(text: str) -> Iterator[tuple[list[str], HostKey]]:
    yield from filter(None, map(_entry, text.splitlines()))


def pinned(text: str, name: str) -> list[HostKey]:
    """Return the keys that are pinned for this name."""
    return [key for names, key in _entries(text) if name in names]


def keys_of_hosts(text: str) -> dict[str, set[bytes]]:
    """Return host -> blobs of the keys that are pinned for it, on whichever port."""
    found: dict[str, set[bytes]] = {}
    for names, key in _entries(text):
        for name in names:
            found.setdefault(name.partition("]:")[0].lstrip("["), set()).add(key.blob)
    return found


def names_with(text: str, key: HostKey) -> list[str]:
    """Return the names for which this key is pinned."""
    return [name for names, other in _entries(text) if other.blob == key.blob for name in names]


def merged(text: str, pins: Mapping[str, HostKey]) -> str:
    """Return the file with these keys, name -> key. Older pins of a name with a new key are removed."""
    new = {name: key for name, key in pins.items() if key not in pinned(text, name)}
    if not new:
        return text
    lines = []
    for line in text.splitlines() or [_HEAD.rstrip()]:
        entry = _entry(line)
        kept = [name for name in entry[0] if name not in new] if entry else []
        if entry and len(kept) < len(entry[0]):
            lines += [f"{','.join(kept)} {line.split(None, 1)[1]}"] if kept else []
        else:
            lines.append(line)
    lines += [f"{name} {key.line}" for name, key in new.items()]
    return "\n".join(lines) + "\n"


def with_authority(text: str, key: HostKey) -> str:
    """Return the file with the line that makes OpenSSH trust what this authority signed, only for the names in it."""
    return _with_lines(text, [f"{AUTHORITY} * {key.line}"])


def with_revoked(text: str, keys: Sequence[HostKey]) -> str:
    """Return the file without pins of these keys, and with lines that refuse them and their certificates."""
    blobs = {key.blob for key in keys}
    lines = [line for line in text.splitlines() if not ((entry := _entry(line)) and entry[1].blob in blobs)]
    return _with_lines("".join(f"{line}\n" for line in lines), [f"@revoked * {key.line}" for key in keys])


def _with_lines(text: str, lines: Sequence[str]) -> str:
    new = [line for line in dict.fromkeys(lines) if line not in text.splitlines()]
    return "".join(f"{line}\n" for line in [*(text.splitlines() or [_HEAD.rstrip()]), *new]) if new else text


def read(path: Path) -> str:
    """Return the file's text, "" if there is none. Raises OSError."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Prevent other enrolments from writing the file meanwhile. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(f"{path}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pin(path: Path, pins: Mapping[str, HostKey]) -> tuple[str, str]:
    """Write the file with these keys, atomically; return its text before and after. Raises OSError."""
    return edit(path, lambda text: merged(text, pins))


def edit(path: Path, change: Callable[[str], str]) -> tuple[str, str]:
    """Write the file with the text that ``change`` makes from its own, atomically; return both. Raises OSError."""
    with alone(path):
        before = read(path)
        after = change(before)
        if after != before:
            # A link stays one: the file may lie in a checkout of its own.
            atomic.write(os.path.realpath(path), after)
    return before, after
