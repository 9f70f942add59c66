# SPDX-License-Identifier: Apache-2.0
"""Who may open the cards: the rights on the driver's device files, compared with the accounts that train.

The driver creates them with mode 0660 for the user and group that its installer was given (HwHiAiUser by default), as
vllm-ascend#9490 shows. An account that cannot open them sees no card: ``torch.npu.is_available()`` is False.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .. import accounts, files
from ..command import Account
from ..errors import AscendError
from ..finding import Finding, finding
from ..node import Node

if TYPE_CHECKING:
    from ..shapes import User

MANAGER = "davinci_manager"  # every program that uses a card opens it first
_NAME = re.compile(r"davinci[0-9]{1,4}|%s|devmm_svm|hisi_hdc" % MANAGER)
_BOTH = stat.S_IROTH | stat.S_IWOTH
ROOT = 0


class DeviceFile(NamedTuple):
    """A device file, its owners and rights (``mode`` without the kind)."""

    path: str
    uid: int
    gid: int
    mode: int


def device_files(node: Node) -> List[DeviceFile]:
    """Return the driver's device files; none without a driver, or in a container without them."""
    found = []
    for name in sorted(files.names(node.path("/dev"))):
        if not _NAME.fullmatch(name):
            continue
        try:
            status = os.stat(node.path("/dev/" + name))
        except OSError:
            continue  # it went meanwhile
        found.append(DeviceFile("/dev/" + name, status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)))
    return found


def may_open(account: Account, file: DeviceFile) -> bool:
    """Whether the kernel lets the account read and write it; the first matching class decides, as for open(2)."""
    if account.uid == ROOT:
        return True
    if account.uid == file.uid:
        return file.mode >> 6 & _BOTH == _BOTH
    if file.gid in account.groups:
        return file.mode >> 3 & _BOTH == _BOTH
    return file.mode & _BOTH == _BOTH


def group_helps(account: Account, shut: Sequence[DeviceFile]) -> bool:
    """Whether the account may open all of these once it is in their group. Nobody is added to root's group."""
    groups = {file.gid for file in shut}
    allowed = all(file.mode >> 3 & _BOTH == _BOTH and file.uid != account.uid for file in shut)
    return allowed and len(groups) == 1 and ROOT not in groups


def read_users(node: Node, users: Sequence[str], timeout_s: float) -> Tuple[List[User], List[Finding]]:
    """Return (facts, findings): of each of ``users`` ``{"name", "state", "group", "found"}``.

    ``state``: "ok", "absent" (no such account), "shut-out" (it cannot open device files; ``group`` is the one to join,
    None if that would not help), "unread" (the name service did not say). ``found`` is why, in words.
    """
    device_nodes = device_files(node) if users else []
    states: List[User] = []
    silent = ""
    for name in users if device_nodes else ():
        # One silent directory server costs one time limit, not one for each account.
        known, why = (None, silent) if silent else accounts.account(node, name, min(timeout_s, accounts.ASK_S))
        if known is None:
            silent = why
            states.append(_entry(name, "unread" if why else "absent", None, why or "getent passwd %s: none" % name))
            continue
        shut = [file for file in device_nodes if not may_open(known, file)]
        if not shut:
            states.append(_entry(name, "ok", None, ""))
            continue
        owner, group = (accounts.name_of(node, "passwd", shut[0].uid), accounts.name_of(node, "group", shut[0].gid))
        more = ", and %d more device files" % (len(shut) - 1) if len(shut) > 1 else ""
        words = "%s is %04o %s:%s%s" % (shut[0].path, shut[0].mode, owner, group, more)
        states.append(_entry(name, "shut-out", group if group_helps(known, shut) else None, words))
    return states, [finding_of(user) for user in states if user["state"] != "ok"]


def finding_of(user: User) -> Finding:
    """Return the finding for an entry of ``read_users`` whose state is not "ok"."""
    return _FINDINGS[user["state"]](user)


def admit(node: Node, users: Sequence[str], check: bool) -> List[Dict[str, str]]:
    """Add those of ``users`` who are shut out to the group that may open the cards; return their names and groups.

    With ``check`` nothing is changed. Raises AscendError if one of them is still shut out.
    """
    states, _ = read_users(node, users, accounts.ASK_S)
    joining = [{"name": user["name"], "group": user["group"]} for user in states if user["group"]]
    if check:
        return joining
    program = node.find("gpasswd") or "gpasswd"
    for each in joining:
        # Not usermod: it knows local accounts alone.
        output = node.run([program, "--add", each["name"], each["group"]], accounts.ASK_S).last_lines(2)
        after, _ = read_users(node, [each["name"]], accounts.ASK_S)
        if any(user["state"] == "shut-out" for user in after):
            raise AscendError(
                "%s still cannot open the cards" % each["name"],
                wanted="%s in the group %s" % (each["name"], each["group"]),
                found=output or after[0]["found"],
                where="/etc/group",
                remedy="gpasswd --add %(name)s %(group)s; id %(name)s  # a group from a directory must be changed there"
                % each,
            )
    return joining


def _entry(name: str, state: str, group: Optional[str], found: str) -> User:
    return {"name": name, "state": state, "group": group, "found": found}


def _absent(user: User) -> Finding:
    return finding(
        "driver",
        "device-user-absent",
        "the account %s, which should train, does not exist" % user["name"],
        "an account %s" % user["name"],
        user["found"],
        "ascend_users",
        "useradd --create-home %s  # or join the node to your directory; else correct ascend_users" % user["name"],
    )


def _shut_out(user: User) -> Finding:
    remedy = "gpasswd --add %s %s  # for new sessions" % (user["name"], user["group"])
    if user["group"] is None:
        remedy = (
            "ls -l /dev/davinci*  # install the driver with its own user and group (HwHiAiUser), which then own these"
        )
    return finding(
        "driver",
        "device-user-shut-out",
        "%s cannot open the cards" % user["name"],
        "an account that can read and write the device files",
        user["found"],
        "/dev/davinci*",
        remedy,
    )


def _unread(user: User) -> Finding:
    return finding(
        "driver",
        "device-user-unread",
        "cannot tell whether %s can open the cards" % user["name"],
        "an answer from the node's name service",
        user["found"],
        "ascend_users",
        "time id %s; systemctl status sssd nscd  # does the directory server answer?" % user["name"],
    )


_FINDINGS = {"absent": _absent, "shut-out": _shut_out, "unread": _unread}
