# SPDX-License-Identifier: Apache-2.0
"""Remember what a node had before the first change, so that a removal deletes only what came with us.

``origin.json``: ``{"schema": 1, "absent": [path], "cann": {version: [chip]}, "toolkits": [version]}``. ``absent`` and
``cann`` are of the time before: places that did not exist, and CANN versions that did, with kernels of which chips.
``toolkits`` are those whose installer this project has started: others came by somebody else's hand, also later.
Versions are named as ``cann.layout.Tree.name`` does: "beside/9.0.0" is another one than "9.0.0".
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List

from .. import atomic, files
from . import module_lock

FILE = "origin.json"


def read(state_dir: str) -> Dict[str, Any]:
    """Return what was remembered; fields of the wrong type are empty, and so is everything without a file."""
    content = files.mapping(os.path.join(state_dir, FILE))
    kinds = {"absent": list, "cann": dict, "toolkits": list}
    return {key: content[key] if isinstance(content.get(key), kind) else kind() for key, kind in kinds.items()}


def ours(state_dir: str) -> List[str]:
    """Return the CANN versions that this project installed; somebody else installed the others."""
    remembered = read(state_dir)
    return [version for version in remembered["toolkits"] if version not in remembered["cann"]]


def parents(place: str) -> List[str]:
    """Return the folders above a place, the inner ones first."""
    found = []
    while os.path.dirname(place) != place:
        place = os.path.dirname(place)
        found.append(place)
    return found


def remember(state_dir: str, places: List[str], cann: Dict[str, List[str]]) -> None:
    """Record, once, which of the places do not exist yet, and which CANN versions (``cann``) do."""
    absent = [place for place in places if not os.path.lexists(place)]
    with module_lock.alone(state_dir):  # which makes the folder
        if not os.path.lexists(os.path.join(state_dir, FILE)):
            _write(state_dir, {"absent": absent, "cann": cann, "toolkits": []})


def installs(state_dir: str, version: str) -> None:
    """Record that our installation of a toolkit starts; call it with the module lock taken."""
    known = read(state_dir)
    if version not in known["toolkits"]:
        _write(state_dir, dict(known, toolkits=sorted([*known["toolkits"], version])))


def keep(state_dir: str, versions: List[str]) -> None:
    """Forget the toolkits that are gone, all except ``versions``; the next one of that name may be somebody else's."""
    known = read(state_dir)
    stay = [version for version in known["toolkits"] if version in versions]
    if stay != known["toolkits"]:
        _write(state_dir, dict(known, toolkits=stay))


def _write(state_dir: str, known: Dict[str, Any]) -> None:
    os.makedirs(state_dir, mode=0o755, exist_ok=True)
    atomic.write(os.path.join(state_dir, FILE), json.dumps(dict(known, schema=1), sort_keys=True) + "\n")
