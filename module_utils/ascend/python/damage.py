# SPDX-License-Identifier: Apache-2.0
"""What a builder has to know of an environment's distributions beyond the facts: every file that is not as it was."""

from __future__ import annotations

import os
from typing import Dict, List, Optional

from ansible.module_utils.ascend.python import dist_record
from ansible.module_utils.ascend.python.dist_record import INFO_SUMS, Corrections
from ansible.module_utils.ascend.python.distributions import LEFTOVER, name_version, other_name, sites


def lost_files(path: str, corrected: Optional[Corrections] = None, sums: int = INFO_SUMS) -> Dict[str, List[str]]:
    """Return name -> files of an environment that are missing, or not of the size (or sum) that RECORD says.

    Reads every RECORD and looks at every file: some 30,000 for an environment with torch.
    """
    lost: Dict[str, List[str]] = {}
    for info in _infos(path):
        name, _ = name_version(os.path.join(info, "METADATA"))
        data = dist_record.content(os.path.join(info, "RECORD"))
        bad = [file for file, _ in dist_record.unlike(os.path.dirname(info), data, sums, corrected or {})]
        if name and bad:
            lost.setdefault(name, []).extend(bad)
    return lost


def corrections(path: str) -> Corrections:
    """Return how files that were just installed really are, where RECORD says something else.

    Some wheels are not as their own RECORD: METADATA of torch-npu 2.1.0.post3 was edited after it was summed. Without
    these the difference would look like damage for ever.
    """
    right: Corrections = {}
    for info in _infos(path):
        site = os.path.dirname(info)
        data = dist_record.content(os.path.join(info, "RECORD"))
        for file, _ in dist_record.unlike(site, data, INFO_SUMS, {}):
            right[file] = dist_record.as_it_is(os.path.join(site, file))
    return right


def broken_infos(path: str) -> List[str]:
    """Return the dist-info folders by which an installer can do nothing.

    They have no METADATA or another distribution's, or a RECORD that is lost, cut or speaks of another folder.
    """
    broken = []
    for info in _infos(path):
        name, _ = name_version(os.path.join(info, "METADATA"))
        data = dist_record.content(os.path.join(info, "RECORD"))
        if not name or other_name(info, name) or dist_record.fault(os.path.basename(info), data):
            broken.append(info)
    return broken


def _infos(path: str) -> List[str]:
    found = []
    for site in sites(path):
        try:
            names = sorted(os.listdir(site))
        except OSError:
            continue
        infos = [name for name in names if name.endswith(".dist-info") and not name.startswith(LEFTOVER)]
        found += [os.path.join(site, name) for name in infos]
    return found
