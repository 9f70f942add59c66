# SPDX-License-Identifier: Apache-2.0
"""Remember what a node had before the first change, so that a removal takes away what came with us and nothing else."""

from __future__ import annotations

import json
import os
from typing import Dict, List

from ansible.module_utils.ascend import atomic
from ansible.module_utils.ascend.change import held

FILE = "origin.json"


def remember(state_dir: str, places: List[str], cann: Dict[str, List[str]]) -> None:
    """Write down, once, which of the places do not exist yet, and which CANN versions, with kernels of which chips, do.

    ``{"schema": 1, "absent": [...], "cann": {version: [chip]}}``: what was there before is somebody else's.
    """
    path = os.path.join(state_dir, FILE)
    if os.path.exists(path):
        return
    absent = [place for place in places if not os.path.lexists(place)]
    with held.alone(state_dir):  # which makes the folder
        if not os.path.exists(path):
            atomic.write(path, json.dumps({"schema": 1, "absent": absent, "cann": cann}) + "\n")
