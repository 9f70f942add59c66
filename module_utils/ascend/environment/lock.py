# SPDX-License-Identifier: Apache-2.0
"""Read a lock: a requirements file in which every distribution is pinned and hashed."""

from __future__ import annotations

import hashlib
import re
from typing import Dict, List

from ..errors import AscendError
from .distributions import normalise

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)(.*)")


def parse(text: str) -> Dict[str, str]:
    """Return normalised name -> version of every distribution. Raises AscendError for any line but a hashed pin."""
    versions: Dict[str, str] = {}
    for line in entries(text):
        match = _PIN.fullmatch(line)
        if not match or "--hash=" not in line:
            raise AscendError(
                "a lock has a line that is not a pinned, hashed distribution",
                wanted="name==version --hash=sha256:...",
                found=line[:80],
                remedy="write the lock with uv pip compile --generate-hashes (releases/README.md)",
            )
        versions[normalise(match.group(1))] = match.group(2)
    return versions


def digest(text: str) -> str:
    """Return 12 hexadecimal digits that identify the lock's content, without comments, order and line breaks."""
    content = "\n".join(sorted(" ".join(line.split()) for line in entries(text)))
    return hashlib.sha256(content.encode("utf-8")).hexdigest()[:12]


def without(text: str, name: str) -> str:
    """Return the lock without one distribution, which is installed in another way."""
    kept = [line for line in entries(text) if normalise(re.split(r"[\[=]", line, maxsplit=1)[0]) != name]
    return "\n".join(kept) + "\n"


def entries(text: str) -> List[str]:
    """Return one line per distribution: continuation lines joined, comments and blank lines left out."""
    plain = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    lines = re.sub(r"\\\n", " ", plain).splitlines()
    return [" ".join(line.split()) for line in lines if line.strip()]
