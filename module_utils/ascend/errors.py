# SPDX-License-Identifier: Apache-2.0
"""The project's only exception, and what the operating system's errors mean for the operator."""

from __future__ import annotations

import errno
import os
from typing import Dict

from .masking import masked, masked_values


class AscendError(Exception):
    """Something that the operator must know: what was wanted, what was found, where, and the next command to type."""

    def __init__(self, problem: str, wanted: str = "", found: str = "", where: str = "", remedy: str = "") -> None:
        # A depot's address, or a tool's words, may hold a password.
        self.problem, self.wanted, self.found, self.where, self.remedy = (
            masked(words) for words in (problem, wanted, found, where, remedy)
        )
        super().__init__(self.problem)

    def as_dict(self) -> Dict[str, str]:
        """Return the parts, for a module's result."""
        return {
            "problem": self.problem,
            "wanted": self.wanted,
            "found": self.found,
            "where": self.where,
            "remedy": self.remedy,
        }

    def __str__(self) -> str:
        parts = [("wanted", self.wanted), ("found", self.found), ("where", self.where), ("next", self.remedy)]
        return "; ".join([self.problem] + ["%s: %s" % (name, text) for name, text in parts if text])


# What a module's main() catches, and gives to ``failure``.
REPORTED = (AscendError, OSError)

# (problem, wanted, remedy with the place, errors of the operating system, words by which programs tell of it)
_DISKS = (
    (
        "a disk is full",
        "room for what is written",
        "df -h %(place)s; df -i %(place)s  # make room, then run the same command again",
        (errno.ENOSPC, errno.EDQUOT),
        ("no space left on device", "not enough space left", "disk quota exceeded"),
    ),
    (
        "a file system is read-only",
        "a writable file system",
        "findmnt -no TARGET,OPTIONS -T %(place)s; dmesg | tail -n 30  # did disk errors cause this?",
        (errno.EROFS,),
        ("read-only file system",),
    ),
    (
        "a disk or its file system returned an error",
        "files that can be read and written",
        "dmesg | tail -n 30; findmnt -T %(place)s  # then have the disk or the file server serviced",
        (errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.ESTALE),
        ("input/output error", "structure needs cleaning", "stale file handle"),
    ),
    (
        "no permission to change a file or folder",
        "the rights of root, and no attribute that forbids changes",
        "ls -lad %(place)s; lsattr -d %(place)s; id -u  # Ansible needs become: true",
        (errno.EACCES, errno.EPERM),
        (),
    ),
)


def disk_remedy(words: str, place: str) -> str:
    """Return the next command if a program's output blames the disk of ``place``, else an empty text."""
    lowered = words.lower()
    for _, _, remedy, _, known in _DISKS:
        if any(word in lowered for word in known):
            return remedy % {"place": place}
    return ""


def from_os_error(error: OSError, place: str = "/") -> AscendError:
    """Return what the operator must know about an OSError; ``place`` is the path, which writes do not name."""
    named = error.filename if isinstance(error.filename, str) else ""
    for problem, wanted, remedy, numbers, _ in _DISKS:
        if error.errno in numbers:
            return AscendError(
                problem, wanted, str(error), named or place, remedy % {"place": _nearest(named or place)}
            )
    return AscendError(
        "the system call failed",
        wanted="a call that succeeds",
        found="%s: %s" % (type(error).__name__, error),
        where=named or place,
        remedy="dmesg | tail -n 30; ls -lad %s  # then run the same command again" % _nearest(named or place),
    )


def _nearest(path: str) -> str:
    """Return the path, or its existing part, because df and findmnt accept nothing else."""
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path or "."


def failure(error: Exception, place: str = "/") -> Dict[str, str]:
    """Return the arguments of ``fail_json`` for one of ``REPORTED``, so that no operator is shown a traceback."""
    cause = from_os_error(error, place) if isinstance(error, OSError) else error
    # A subclass tells more than AscendError masks.
    return dict(masked_values(cause.as_dict()) if isinstance(cause, AscendError) else {}, msg=masked(str(cause)))
