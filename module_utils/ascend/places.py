# SPDX-License-Identifier: Apache-2.0
"""Where everything lies on a node."""

from __future__ import annotations

from dataclasses import dataclass

ASCEND_ENV = "/usr/local/bin/ascend-env"

ETC = "/etc/Ascend"  # where CANN's installer writes
CANN_RECORD = ETC + "/ascend_cann_install.info"
INSTALLERS_LOGS = "/var/log/ascend_seclog"


@dataclass(frozen=True)
class Places:
    """Where things lie on a node."""

    cann_root: str
    ascend_root: str
    cache_dir: str
    state_dir: str
    tmp_dir: str


INSTALLER_TMP = "ascend-fleet-"  # cann_install unpacks in <tmp_dir>/ascend-fleet-<pid>-<random>

RUN = "run"  # the file of the run that changes the node now: run_lock.py
