# SPDX-License-Identifier: Apache-2.0
"""What a killed run of ours leaves: partial downloads, folders of dead installers, half-built environments and Pythons.

All are recognised by their names, which nothing else uses there. Hold the node's lock when you call ``clean``, because
the files of a running change look the same. What other people's installers left (``selfgz*`` in /root or /tmp) belongs
to them.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Iterator, List, Tuple

from .. import atomic, files
from ..places import ASCEND_ENV, BESIDE, CANN_INSTALL_RECORD, ETC, INSTALLER_TMP, Places
from ..settings import drop_ins

_PARTIAL = r".+\.part"
_DIGEST = r"[0-9a-f]{16}"  # a folder of the cache: depot_file.py


def leftovers(places: Places) -> List[str]:
    """Return the paths, sorted, that dead runs left; those of this process and of other users are left out."""
    found = [
        os.path.join(folder, name)
        for folder, pattern in _patterns(places)
        for name in files.names(folder)
        if re.fullmatch(pattern, name)
    ]
    mine = os.path.join(places.tmp_dir, "%s%d-" % (INSTALLER_TMP, os.getpid()))
    return sorted(path for path in found if not path.startswith(mine) and _own(path))


def clean(places: Places) -> List[str]:
    """Remove the leftovers and return their paths. Raises AscendError if one of them stays."""
    removed = leftovers(places)
    for path in removed:
        # Whoever removed it meanwhile did what was wanted.
        with atomic.removing(path, "cannot remove what an interrupted run left"), suppress(FileNotFoundError):
            atomic.remove(path)
    return removed


def _patterns(places: Places) -> Iterator[Tuple[str, str]]:
    """Yield folders, and what the names of leftovers in them look like."""
    yield places.tmp_dir, re.escape(INSTALLER_TMP) + r"\d+-.*"
    for name in files.names(places.cache_dir):
        if re.fullmatch(_DIGEST, name):
            yield os.path.join(places.cache_dir, name), _PARTIAL
    yield os.path.join(places.ascend_root, "env"), r"\.(?:building|removing)-.+|(?:current|previous)\.part"
    yield os.path.join(places.ascend_root, "python"), r"\.(?:partial|removing|replaced)-.+"
    for name in ("", "ascend-toolkit", BESIDE):
        yield os.path.join(places.cann_root, name), r"\.removing-.+|cann\.part"
    yield ETC, re.escape(os.path.basename(CANN_INSTALL_RECORD) + atomic.PARTIAL)
    yield places.state_dir, _PARTIAL
    yield os.path.join(places.state_dir, "manifests"), _PARTIAL
    for path in (drop_ins.SYSCTL, drop_ins.LIMITS):
        folder, name = os.path.split(path)
        yield folder, re.escape(name + atomic.PARTIAL)
    # Ansible's copy writes beside its target.
    folder, program = os.path.split(ASCEND_ENV)
    yield folder, r"\.ansible_tmp.+" + re.escape(program)


def _own(path: str) -> bool:
    """Whether it belongs to the current user, because anybody can write into a folder for temporary files."""
    try:
        return os.lstat(path).st_uid == os.geteuid()
    except OSError:
        return False
