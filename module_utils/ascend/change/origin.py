# SPDX-License-Identifier: Apache-2.0
"""Remember what a node had before the first change, so that a removal takes away what came with us and nothing else."""

from __future__ import annotations

import json
import os
from typing import List

from ansible.module_utils.ascend import atomic

FILE = "origin.json"


def remember(state_dir: str, places: List[str]) -> None:
    """Write down, once, which of the places do not exist yet: ``{"schema": 1, "absent": [...]}``."""
    path = os.path.join(state_dir, FILE)
    if os.path.exists(path):
        return
    absent = [place for place in places if not os.path.lexists(place)]
    os.makedirs(state_dir, mode=0o755, exist_ok=True)
    atomic.write(path, json.dumps({"schema": 1, "absent": absent}) + "\n")
