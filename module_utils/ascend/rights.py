# SPDX-License-Identifier: Apache-2.0
"""What is installed is for everybody who uses the node, whatever root's umask: others can read, run and enter it.

Only the modes of files and folders are checked and changed, not ACLs or SELinux.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Callable, Iterable, Iterator, List, NamedTuple, Tuple

from . import files, text
from .errors import AscendError
from .finding import Finding, finding

if TYPE_CHECKING:
    from .shapes import Closed as ClosedFact

UMASK = 0o022
ENTER = 0o055  # of a folder of ours, for group and others: to list and to enter
PASS = 0o001  # of a folder above, which need not be listed
MOST_LINKS = 40  # the kernel follows as many
SHOWN = 3
FINDING = "closed-to-others"
WANTED = "rights to read, run and enter for others"
REMEDY = "ansible-playbook site.yml --limit NODE  # opens it; or by hand: chmod -R go+rX"

Place = Callable[[str], str]


class Closed(NamedTuple):
    """A file or folder that others cannot use."""

    path: str
    mode: int

    def words(self) -> str:
        """Return the path and its mode; a name that is not UTF-8 must not prevent sending the facts."""
        path = self.path.encode("utf-8", "backslashreplace").decode("utf-8")
        return "%s (%04o)" % ("itself" if path == os.curdir else path, self.mode)


def closed_finding(subset: str, what: str, found: str, where: str, remedy: str = "") -> Finding:
    """Return the finding that others cannot use something; ``found`` says which of its files and folders."""
    return finding(subset, FINDING, "others cannot use %s" % what, WANTED, found, where, remedy or REMEDY)


def begin() -> None:
    """Make everything that this process and its programs create readable for others from now on."""
    os.umask(UMASK)


def missing_rights(mode: int) -> int:
    """Return the rights that group and others lack: to read and run what the owner can, and to enter any folder."""
    if stat.S_ISDIR(mode):
        return ENTER & ~mode
    own = mode >> 6 & 0o5
    return (own << 3 | own) & ~mode


def closed(paths: Iterable[str], place: Place = str) -> List[Closed]:
    """Return those of the paths that others cannot use; missing ones are left out, links are followed."""
    found = []
    for path in paths:
        try:
            mode = os.stat(place(path)).st_mode
        except (OSError, ValueError):
            continue
        if missing_rights(mode):
            found.append(Closed(path, stat.S_IMODE(mode)))
    return found


def listed(found: List[Closed]) -> str:
    """Return the first of them as text, and how many more there are; "" for none."""
    return text.listed([each.words() for each in found], most=SHOWN)


def shut(path: str, place: Place = str) -> List[Closed]:
    """Return the folders on the way to ``path``, including itself, that others cannot enter; links are followed."""
    found = []
    for folder in _way(path, place)[1:]:  # "/" lets everybody pass, or nothing works
        try:
            mode = os.stat(place(folder)).st_mode
        except OSError:
            break
        if not mode & PASS:
            found.append(Closed(folder, stat.S_IMODE(mode)))
    return found


def _way(path: str, place: Place) -> List[str]:
    """Return "/" and every folder on the way to ``path``, which comes last; none of them is a link."""
    way, left, links = ["/"], path.split("/")[::-1], 0
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            way.append(os.path.dirname(way[-1]))
            continue
        step = os.path.join(way[-1], part)
        target = files.link(place(step))
        if target is None or links == MOST_LINKS:
            way.append(step)
            continue
        links += 1
        left += target.split("/")[::-1]
        if target.startswith("/"):
            way.append("/")
    return way


def read(ascend_root: str, program: str, place: Place = str) -> List[ClosedFact]:
    """Return which of our folders, their parents and ``program`` are closed to others, outermost first.

    ``{"path", "mode": "0700", "ours": whether site.yml may open it}``: folders above our root are not ours, nor is a
    file system that somebody mounted there.
    """
    lie = [ascend_root, os.path.join(ascend_root, "env"), os.path.join(ascend_root, "python"), program]
    lie = [_way(path, place)[-1] for path in lie]
    own = [path for path in lie if path == lie[-1] or not os.path.ismount(place(path))]
    above = dict.fromkeys(each for path in lie for each in shut(path, place) if each.path not in own)
    return [_fact(each, False) for each in above] + [_fact(each, True) for each in closed(own, place)]


def _fact(each: Closed, ours: bool) -> ClosedFact:
    return {"path": each.path, "mode": "%04o" % each.mode, "ours": ours}


def findings(found: List[ClosedFact]) -> List[Finding]:
    """Return a finding for each that ``read`` returned."""
    return [
        closed_finding(
            "python", each["path"], each["mode"], each["path"], "" if each["ours"] else way_remedy(each["path"])
        )
        for each in found
    ]


def way_remedy(path: str) -> str:
    """Return the command for a folder that is not ours."""
    return "chmod o+rx %s" % path


def require_way(path: str, what: str) -> None:
    """Raise AscendError if others cannot reach ``path`` because of a folder above it; ``what`` says who should."""
    for each in shut(os.path.dirname(path)):
        raise AscendError(
            "%s cannot reach %s" % (what, path),
            wanted="folders that others can enter",
            found="%s has mode %04o" % (each.path, each.mode),
            where=each.path,
            remedy=way_remedy(each.path),
        )


def closed_below(top: str, without: Tuple[str, ...] = ()) -> Iterator[Closed]:
    """Yield what is closed to others below and including ``top`` and may be opened by this user; links are skipped.

    ``without`` are names directly below it to leave out.
    """
    for folder, folders, names in os.walk(top):
        if folder == top:
            folders[:] = [name for name in folders if name not in without]
            yield from own([top])
        yield from own(os.path.join(folder, name) for name in (*folders, *names))


def own(paths: Iterable[str]) -> Iterator[Closed]:
    """Yield those of the paths that are files or folders, not links, which this user may open and others cannot use."""
    for path in paths:
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue  # what is at work there removed it
        if _may_open(status) and missing_rights(status.st_mode):
            yield Closed(path, stat.S_IMODE(status.st_mode))


def _may_open(status: os.stat_result) -> bool:
    regular = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    return regular and os.geteuid() in (0, status.st_uid)


def open_to_all(found: Iterable[Closed]) -> int:
    """Give others the rights that they lack; return the number of files and folders changed. Raises OSError.

    A link that somebody put in place of one is not followed, because it may point anywhere.
    """
    count = 0
    for each in found:
        handle = os.open(each.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            status = os.fstat(handle)
            if _may_open(status):
                os.fchmod(handle, stat.S_IMODE(status.st_mode) | missing_rights(status.st_mode))
        finally:
            os.close(handle)
        count += 1
    return count
