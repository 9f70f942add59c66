# SPDX-License-Identifier: Apache-2.0
"""Which account proves an environment, and where it may write meanwhile.

An environment that only root can use is useless. So an account that is not root proves it, without a password or a
shell, because that of the driver's user may be nologin, and in a private home, because its own may not exist.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from typing import Dict, Iterator, NamedTuple, Optional, Sequence

from .. import accounts
from ..command import Account
from ..node import Node
from ..places import INSTALLER_TMP
from . import device_users

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Prover(NamedTuple):
    """``account`` is None if it is the caller's own; ``name`` and ``why`` are for the operator."""

    account: Optional[Account]
    name: str
    why: str


def prover(node: Node, users: Sequence[str]) -> Prover:
    """Return the proving account: the first known one of ``users``, else the owner of the device files, else root."""
    if os.geteuid() != device_users.ROOT:
        return Prover(None, str(os.geteuid()), "the login account, because become: true is not set")
    unknown = ""
    for name in users:
        account, why = accounts.account(node, name)
        if account:
            return Prover(account, account.name, "of ascend_users" + unknown)
        unknown = "; unknown: %s" % (why or "the account %s" % name)
    files = sorted(device_users.device_files(node), key=lambda file: not file.path.endswith(device_users.MANAGER))
    if not files:
        return Prover(None, "root", "no device files show who owns the cards" + unknown)
    if files[0].uid == device_users.ROOT:
        return Prover(
            None, "root", "%s belongs to root: name the accounts that train in ascend_users" % files[0].path + unknown
        )
    account, why = accounts.account(node, str(files[0].uid))
    if account is None:
        gone = why or "the owner of %s, %d, has no account" % (files[0].path, files[0].uid)
        return Prover(None, "root", gone + unknown)
    why = "the owner of the device files%s" % (unknown or "; ascend_users names nobody")
    return Prover(account, account.name, why)


@contextmanager
def private_home(account: Optional[Account], tmp_dir: str) -> Iterator[str]:
    """Yield a private folder of the account, and remove it with everything written there.

    The folder around it belongs to root and is named like our temporary ones, so what a killed run leaves is cleared
    away.
    """
    outer = tempfile.mkdtemp(prefix="%s%d-" % (INSTALLER_TMP, os.getpid()), dir=tmp_dir)
    try:
        os.chmod(outer, 0o711)
        home = os.path.join(outer, "home")
        os.mkdir(home)
        os.chmod(home, 0o700)
        if account:
            os.chown(home, account.uid, account.gid)
        yield home
    finally:
        # What cannot be removed now, since a program writes there still, is cleared away by the next change.
        shutil.rmtree(outer, ignore_errors=True)


def variables(account: Optional[Account], name: str, home: str, environment: str) -> Dict[str, str]:
    """Return the complete environment of the proof, which must mean the same in every session and not use a network.

    CANN writes its logs and caches below the home in the password database unless these variables name another place.
    """
    return {
        "PATH": PATH,
        "HOME": home,
        "TMPDIR": home,
        "USER": account.name if account else name,
        "LOGNAME": account.name if account else name,
        "ASCEND_PROCESS_LOG_PATH": os.path.join(home, "log"),
        "ASCEND_WORK_PATH": home,
        "ASCEND_CACHE_PATH": home,
        "HF_HUB_OFFLINE": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "ASCEND_FLEET_ENVIRONMENT": environment,
    }
