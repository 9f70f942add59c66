# SPDX-License-Identifier: Apache-2.0
"""What a removal chooses, row by row: what is removed, what stays, and what opposes the request."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple

from ..finding import Refusal, refusal
from ..text import listed

PRUNE, RELEASE, EVERYTHING = "prune", "release", "everything"
# In this order things go: never what is needed by something that is still whole.
ORDER = (
    "service",
    "leftover",
    "cache",
    "link",
    "program",
    "environment",
    "kernels",
    "CANN",
    "Python",
    "CANN's file",
    "log",
    "settings",
    "state",
)
COMPONENT = {"service": "env", "environment": "env", "CANN": "cann", "kernels": "cann", "Python": "python"}
_WANTED = {
    "mounted": "nothing mounted there",
    "current": "another current environment",
    "in-use": "no process that uses it",
    "users-files": "only its own files",
}
_FORCE = "-e remove_force=true removes it anyway"

Surveyed = Dict[str, Any]
Row = Dict[str, Any]


class Asked(NamedTuple):
    """What is requested: a ``release`` (else ""), or ``everything``.

    ``keep`` is how many environments pruning leaves beside the current one; ``force`` continues although something is
    current, in use or contains users' files.
    """

    release: str = ""
    everything: bool = False
    keep: int = 2
    force: bool = False

    @property
    def mode(self) -> str:
        return EVERYTHING if self.everything else RELEASE if self.release else PRUNE

    def words(self) -> str:
        """Return the request as text for a journal."""
        return {EVERYTHING: "everything", RELEASE: "release " + self.release, PRUNE: "what is old"}[self.mode]


class _Problem(NamedTuple):
    name: str
    words: str  # "it is current"
    found: str
    remedy: str


class Chosen:
    """Collects the rows of a selection."""

    def __init__(self, surveyed: Surveyed, asked: Asked) -> None:
        self.surveyed = surveyed
        self.asked = asked
        self.remove: List[Row] = []
        self.keep: List[Row] = []
        self.refusals: List[Refusal] = []

    def wanted(self, kind: str, name: str, each: Row, reason: str) -> None:
        """Remove it, unless something opposes that."""
        problems = self._problems(kind, name, each)
        if not problems:
            self.remove.append(row(kind, name, each["path"], reason))
        elif self.asked.mode == PRUNE:
            self.kept(kind, name, each, "; ".join(_kept_because(problem) for problem in problems))
        else:
            self.remove.append(row(kind, name, each["path"], reason))
            self.refusals += [_refusal(kind, name, each["path"], problem) for problem in problems]

    def kept(self, kind: str, name: str, each: Row, reason: str) -> None:
        self.keep.append(row(kind, name, each["path"], reason))

    def removed(self, kind: str) -> List[str]:
        return [each["name"] for each in self.remove if each["kind"] == kind]

    def _problems(self, kind: str, name: str, each: Row) -> List[_Problem]:
        """What nothing can override comes first: a mounted file system is neither ours nor part of the folder."""
        path, found = each["path"], []
        if self.surveyed["mounts"].get(path):
            points = self.surveyed["mounts"][path]
            found.append(_Problem("mounted", "a file system is mounted in it", listed(points), "umount " + points[0]))
        if self.asked.force:
            return found
        if kind == "environment" and name == self.surveyed["current"]:
            remedy = "playbooks/rollback.yml switches to another one; " + _FORCE
            found.append(_Problem("current", "it is current", "jobs start in it", remedy))
        users = self.surveyed["processes"].get(path)
        if users:
            found.append(_Problem("in-use", "processes use it", _users(users), "wait for them to end; " + _FORCE))
        if each.get("belongings"):
            words = "%s in %s" % (listed(each["belongings"]), path)
            found.append(_Problem("users-files", "it contains users' files", words, "move them; " + _FORCE))
        return found


def row(kind: str, name: str, path: str, reason: str) -> Row:
    """Return one item that is removed or stays; its size is measured later."""
    return {"kind": kind, "name": name, "path": path, "size_mb": 0.0, "reason": reason}


def _kept_because(problem: _Problem) -> str:
    return "%s (%s)" % (problem.words, problem.found)


def _refusal(kind: str, name: str, path: str, problem: _Problem) -> Refusal:
    words = "%s %s is not removed: %s" % (kind, name, problem.words)
    wanted, found, remedy = _WANTED[problem.name], problem.found, problem.remedy
    return refusal(COMPONENT[kind], problem.name, words, wanted, found, remedy, where=path, subject=name)


def _users(processes: List[Dict[str, Any]]) -> str:
    words = []
    for each in processes:
        command: str = each["command"] or each["name"]
        who = "pid %d of %s" % (each["pid"], each["user"]) if each["pid"] else str(each["user"])
        words.append("%s: %s (%s)" % (who, command, each["how"]))
    return listed(words)
