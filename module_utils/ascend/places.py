# SPDX-License-Identifier: Apache-2.0
"""Where everything is on a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

ASCEND_ENV = "/usr/local/bin/ascend-env"

# What the account of the drift check may run as root (helper.py), and beside it what it is to ask.
HELPER = "/usr/local/libexec/ascend-fleet/facts"
HELPER_CONFIG = HELPER + ".json"
HELPER_RULE = "/etc/sudoers.d/ascend-drift"

ETC = "/etc/Ascend"  # where CANN's installer writes
CANN_INSTALL_RECORD = ETC + "/ascend_cann_install.info"
INSTALLERS_LOGS = "/var/log/ascend_seclog"
BESIDE = "beside"  # within CANN's root: a CANN of another line, with links and environment files of its own

# Of every module that reads or changes a node; plugins/doc_fragments/places.py says the same.
SPEC = {
    "cann_root": {"type": "path", "default": "/usr/local/Ascend"},
    "ascend_root": {"type": "path", "default": "/opt/ascend"},
    "cache_dir": {"type": "path", "default": "/var/cache/ascend-fleet"},
    "state_dir": {"type": "path", "default": "/var/lib/ascend-fleet"},
    "tmp_dir": {"type": "path", "default": "/var/tmp"},
}


@dataclass(frozen=True)
class Places:
    """Where things are on a node."""

    cann_root: str
    ascend_root: str
    cache_dir: str
    state_dir: str
    tmp_dir: str

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Places:
        """Return the places among a module's options."""
        return cls(**{name: options[name] for name in SPEC})


INSTALLER_TMP = "ascend-fleet-"  # cann_install unpacks in <tmp_dir>/ascend-fleet-<pid>-<random>

RUN = "run"  # the file of the run that changes the node now: run_lock.py
DRAINED = "drained"  # the file of the run for which the scheduler gives the node no job: drained.py
