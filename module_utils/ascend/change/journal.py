# SPDX-License-Identifier: Apache-2.0
"""What was done to a node: one line per change, the newest last, the oldest dropped.

An entry is ``{"began", "ended", "who", "control", "run", "action", "from", "to", "result": "done" | "failed" |
"interrupted", "problem"}``; times are UTC, ``from`` and ``to`` environments or what else the action names.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional

from .. import atomic, files
from ..masking import masked

FILE = "journal.jsonl"
MOST_ENTRIES = 200
MOST_PROBLEM = 600  # characters

Entry = Dict[str, Any]
KEYS = ("began", "ended", "who", "control", "run", "action", "from", "to", "result", "problem")


def entries(state_dir: str) -> List[Entry]:
    """Return the entries, the oldest first; a line that a full disk truncated is left out."""
    found = []
    for line in (files.text(os.path.join(state_dir, FILE)) or "").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in KEYS):
            found.append({key: entry[key] for key in KEYS})
    return found


def last(state_dir: str) -> Optional[Entry]:
    """Return the newest entry, or None."""
    written = entries(state_dir)
    return written[-1] if written else None


def append(state_dir: str, entry: Entry) -> None:
    """Add an entry so that after an interruption either all entries exist or all except this one."""
    path = os.path.join(state_dir, FILE)
    row = {key: masked(str(entry[key])) for key in KEYS}
    row["problem"] = row["problem"][:MOST_PROBLEM]
    kept = [*entries(state_dir)[-(MOST_ENTRIES - 1) :], row]
    atomic.write(path, "".join(json.dumps(each, sort_keys=True) + "\n" for each in kept))
