# SPDX-License-Identifier: Apache-2.0
"""The file and line of an inventory that set a variable. Used only after an error, because it may take time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_BESIDE = ("group_vars", "host_vars")
_MOST_BYTES = 4_000_000
_MOST = 3  # places that are named


def places(name: str, sources: Iterable[str]) -> list[str]:
    """Return where a variable is set ("path:line") in inventory sources and beside them; [] if that is not found."""
    # As a key of YAML or JSON, or with "=" after a host's name or on a line of its own.
    sign = re.compile(r"(?:^|[\s{,\"'-])" + re.escape(name) + r"[\"']?\s*[:=]")
    found: list[str] = []
    for path in _files(sources):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            if not line.lstrip().startswith("#") and sign.search(line):
                found.append(f"{path}:{number}")
                if len(found) == _MOST:
                    return found
    return found


def _files(sources: Iterable[str]) -> Iterator[Path]:
    seen = set()
    for source in sources:
        path = Path(source)
        if not path.exists():
            continue  # a list of hosts, or no group_vars beside the playbook
        folder = path if path.is_dir() else path.parent
        roots = [path, *(folder / name for name in _BESIDE)]
        for file in (file for root in roots for file in ([root] if root.is_file() else sorted(root.rglob("*")))):
            hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
            if file not in seen and not hidden and file.is_file() and file.stat().st_size <= _MOST_BYTES:
                seen.add(file)
                yield file
