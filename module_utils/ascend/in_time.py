# SPDX-License-Identifier: Apache-2.0
"""Limit the time of reading a node, and say what it hung at.

A single file system that does not answer, or program that hangs in the kernel, would hold up the whole fleet.
"""

from __future__ import annotations

from typing import Any, Callable, Dict

from . import bounded
from .errors import REPORTED, AscendError, from_os_error
from .node import At


def in_time(limit_s: float, read: Callable[[At], Any]) -> Any:
    """Return what ``read(at)`` returns (JSON), read in a child process.

    Raises AscendError if that does not end in time, and for an AscendError or OSError of the reading.
    """

    def work(at: At) -> Dict[str, Any]:
        try:
            return {"read": read(at)}
        except REPORTED as error:
            return {"refused": (from_os_error(error) if isinstance(error, OSError) else error).as_dict()}

    try:
        answer: Dict[str, Any] = bounded.whole(work, limit_s)
    except bounded.HungError as hung:
        place = hung.at if hung.at.startswith("/") else ""
        look = "findmnt -T %s; timeout 5 ls -la %s; " % (place, place) if place else ""
        raise AscendError(
            "the node does not answer: reading %s did not end" % hung.at,
            wanted="an answer within %g s, the time limit of the check" % hung.seconds,
            found="nothing",
            where=hung.at,
            remedy=look + "dmesg | tail; ps -eo pid,stat,wchan:30,args | grep ' D'  # on the node: what hangs?",
        ) from None
    if "refused" in answer:
        raise AscendError(**answer["refused"])
    return answer["read"]
