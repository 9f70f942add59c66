# SPDX-License-Identifier: Apache-2.0
"""What others own on a node, above all users' homes. We look only at local file systems, and with a time limit.

A home on a dead network mount never answers. Such a mount is recognised by its type (proc(5), /proc/<pid>/mountinfo);
anything else that hangs costs only its own answer.

Files in a home are read with the owner's rights, not root's, so that a link cannot make root read, and a finding quote,
a file that the owner could not read.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import bounded, files, mounts
from .finding import Finding, finding
from .node import Node

MOST_HOMES = 500
MOST_LINKS = 40  # of one path, as the kernel's own limit
MOST_FILE = 64 * 1024  # characters of what a shell runs at its start
# What a session begins with: bash(1), zsh(1), tcsh(1), fish(1), pam_env(8).
START_FILES = (
    ".bashrc", ".profile", ".bash_profile", ".bash_login", ".zshenv", ".zprofile", ".zshrc", ".zlogin", ".cshrc",
    ".tcshrc", ".login", ".pam_environment", ".config/fish/config.fish",
)  # fmt: skip
ENVIRONMENT = ".config/environment.d"  # environment.d(5), of systemd's user sessions
# Where CANN is installed to by hand: Ascend, CANN, CANN9.0.0, ascend-toolkit, cann-8.5.0.
CANN_NAME = re.compile(r"(?:ascend|cann)[-_.0-9a-z]*", re.IGNORECASE)
FIRST_USER = 500  # the number of a person's account; lower ones are the system's, but for root
# File systems that may wait for another machine, or for a program. autofs mounts one of these when it is looked at.
_REMOTE = re.compile(
    r"nfs[0-9]*|cifs|smb.*|ncpfs|afs|coda|9p|autofs|lustre|gpfs|mmfs|ceph|glusterfs|beegfs.*|orangefs|pvfs2?|panfs|wekafs"
    r"|dpc|yrfs|cpfs|quobyte|ocfs2|gfs2?|fuse(?:\..*)?"
)


Owner = Tuple[int, int]  # numbers of the user and of the group
NOBODY = (65534, 65534)


class Homes(NamedTuple):
    """``profiles``: (path, text) of what users' shells run; ``cann``: folders with a name like CANN's.

    ``hung``: places that did not answer; ``left``: how many were skipped because of them; ``owners`` by home.
    """

    profiles: List[Tuple[str, str]]
    cann: List[str]
    hung: List[str]
    left: int
    owners: Mapping[str, Owner] = {}

    def owner(self, path: str) -> Optional[Owner]:
        """Return the owner of the home that contains a path, judged by its name; None if it is in none."""
        homes = [home for home in self.owners if files.is_in(path, home)]
        return self.owners[max(homes, key=len)] if homes else None


def look(node: Node) -> Homes:
    """Look into the homes of root and of the users, as /etc/passwd and /home name them."""
    names = each(node, ["/home"], lambda path: files.names(node.path(path)))
    listed = ["/home/" + name for name in names.found.get("/home", [])]
    accounts = _of_accounts(node)
    homes = list(dict.fromkeys(["/root", *accounts, *listed]))[:MOST_HOMES]
    homes = [home for home in homes if not any(files.is_in(home, place) for place in names.hung)]
    looked = each(node, homes, lambda home: _home(node, home, accounts.get(home)))
    found = list(looked.found.values())
    profiles = [(path, text) for home in found for path, text in home["profiles"]]
    cann = [path for home in found for path in home["cann"]]
    owners = {home: (about["owner"][0], about["owner"][1]) for home, about in looked.found.items()}
    return Homes(profiles, cann, names.hung + looked.hung, len(looked.left), owners)


@contextmanager
def acting_as(node: Node, owner: Optional[Owner]) -> Iterator[None]:
    """Read with an owner's rights; no effect for None, or if we are not the node's root.

    It has only the owner's first group, because the others may come from a directory server that does not answer.
    """
    if owner is None or owner[0] == 0 or node.root != "/" or os.geteuid() != 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([owner[1]])
    os.setegid(owner[1])
    os.seteuid(owner[0])
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def each(node: Node, places: Sequence[str], read: Any) -> bounded.Looked:
    """Return what ``read`` says about each place that is not on a network mount (``bounded.each``).

    The child also finds out whether it is, because a folder above may hang.
    """
    mounted = mounts.read(node.path("/proc/self/mountinfo"))
    looked = bounded.each(places, lambda place: [read(place)] if is_local(node, mounted, place) else [])
    found = {place: answer[0] for place, answer in looked.found.items() if answer}
    return bounded.Looked(found, looked.hung, looked.left)


def hung_findings(homes: Homes) -> List[Finding]:
    """Return one finding for all places that did not answer, if there are any."""
    hung = list(dict.fromkeys(homes.hung))
    if not hung:
        return []
    more = "; %d more were not checked" % homes.left if homes.left else ""
    return [
        finding(
            "system",
            "place-hangs",
            "a path does not answer, so nothing below it was checked",
            "an answer within %g s" % bounded.PLACE_S,
            ", ".join(hung) + more,
            hung[0],
            "findmnt -T %s; timeout 5 ls -la %s; dmesg | tail  # a dead mount? umount -f -l TARGET"
            % (hung[0], hung[0]),
        )
    ]


def is_local(node: Node, mounted: List[mounts.Mount], path: str) -> bool:
    """Whether a path crosses no network mount. Links are followed one by one, and only local ones are read."""
    parts, here = _parts(path), "/"
    for _ in range(MOST_LINKS * 10):
        if _REMOTE.fullmatch(mounts.of(mounted, here).kind):
            return False
        if not parts:
            return True
        name = parts.pop(0)
        here = os.path.dirname(here) if name == ".." else os.path.join(here, name)
        if _REMOTE.fullmatch(mounts.of(mounted, here).kind):
            return False
        target = files.link(node.path(here))
        if target is not None:
            parts = _parts(target) + parts
            here = "/" if os.path.isabs(target) else os.path.dirname(here)
    return False


def _parts(path: str) -> List[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _of_accounts(node: Node) -> Dict[str, Owner]:
    """Return the homes of root and of people; an account with a program instead of a shell has one, too."""
    found: Dict[str, Owner] = {}
    for line in (files.text(node.path("/etc/passwd")) or "").splitlines():
        fields = line.split(":")
        if len(fields) != 7 or not fields[2].isdigit() or not fields[3].isdigit():
            continue
        home = os.path.normpath(fields[5])
        if (
            (fields[2] == "0" or int(fields[2]) >= FIRST_USER)
            and home.count("/") > (fields[2] != "0")
            and len(home) > 1
        ):
            found.setdefault(home, (int(fields[2]), int(fields[3])))
    return found


def _home(node: Node, home: str, account: Optional[Owner]) -> Dict[str, Any]:
    owner = account or _owner(node, home)
    with acting_as(node, owner):
        return {"owner": owner, **_read_home(node, home)}


def _owner(node: Node, home: str) -> Owner:
    """Return the owner of a folder that no account names, but a directory server may; nobody if root's is for all."""
    if home == "/root":
        return 0, 0
    try:
        about = os.stat(node.path(home))
    except OSError:
        return NOBODY
    return (about.st_uid, about.st_gid) if about.st_uid else NOBODY


def _read_home(node: Node, home: str) -> Dict[str, Any]:
    place = node.path(home)
    profiles = []
    units = [os.path.join(ENVIRONMENT, name) for name in files.names(os.path.join(place, ENVIRONMENT))]
    for name in [*START_FILES, *(unit for unit in units if unit.endswith(".conf"))]:
        text = files.text(os.path.join(place, name), MOST_FILE)
        if text:
            profiles.append([os.path.join(home, name), text])
    names = [name for name in files.names(place) if CANN_NAME.fullmatch(name)]
    cann = [os.path.join(home, name) for name in names if os.path.isdir(os.path.join(place, name))]
    return {"profiles": profiles, "cann": cann}
