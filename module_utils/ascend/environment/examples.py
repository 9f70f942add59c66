# SPDX-License-Identifier: Apache-2.0
"""Examples and small data sets for LLaMA-Factory, whose wheel has none: ``share/llamafactory`` of each environment.

They are files of the role torch_npu. A list beside them says which are ours; other files are ignored and kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import List, Mapping, Optional

from .. import atomic, files
from ..errors import AscendError

FOLDER = os.path.join("share", "llamafactory")
LIST = ".ascend-fleet.json"
MOST_FILES = 100
MOST_BYTES = 64 * 1024


def digest(contents: Mapping[str, Optional[str]]) -> str:
    """Return one sum (sha256) of files by their names below FOLDER; None stands for a missing one."""
    lines = []
    for name, content in sorted(contents.items()):
        lines.append("%s  %s\n" % ("absent" if content is None else hashlib.sha256(content.encode()).hexdigest(), name))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read(environment: str) -> Optional[str]:
    """Return the sum of an environment's examples as they are; None if none of ours exist."""
    names = ours(environment)
    if not names:
        return None
    return digest({name: files.text(os.path.join(environment, FOLDER, name), MOST_BYTES) for name in names})


def ours(environment: str) -> List[str]:
    """Return the names in the list, below FOLDER, without any that point outside."""
    listed = files.mapping(os.path.join(environment, FOLDER, LIST)).get("files")
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    return sorted(name for name in names if ".." not in name.split("/") and not name.startswith("/"))[:MOST_FILES]


def write(environment: str, contents: Mapping[str, str]) -> None:
    """Write the examples into an environment; those of ours that are no longer wanted are removed.

    Raises OSError, and AscendError if there is no environment.

    The list is written last, so after an interruption the sum differs from the wanted one, and the next run writes them
    again.
    """
    if not os.path.isdir(environment):
        raise AscendError("examples belong in an environment", wanted="a folder", found="none", where=environment)
    folder = os.path.join(environment, FOLDER)
    gone = sorted(set(ours(environment)) - set(contents))
    for name in gone:
        atomic.remove(os.path.join(folder, name))
    for name, text in sorted(contents.items()):
        place = os.path.join(folder, name)
        os.makedirs(os.path.dirname(place), mode=0o755, exist_ok=True)
        atomic.write(place, text)
    atomic.write(os.path.join(folder, LIST), json.dumps({"files": sorted(contents)}, sort_keys=True) + "\n")
