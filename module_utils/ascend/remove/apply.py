# SPDX-License-Identifier: Apache-2.0
"""Remove what was selected, so that an interruption at any line leaves each item complete, or named as a leftover.

An environment and a Python are first renamed to ``.removing-<name>``, after which nothing counts them, nobody can start
in them, and any later change clears away the rest. A link is removed before its target. CANN's versions are removed by
their own uninstallers. What a release needed is recorded before the first step.
"""

from __future__ import annotations

import errno
import json
import os
from typing import Any, Callable, Dict, List

from .. import atomic, files, mounts
from ..change import fault_points, origin
from ..command import Result
from ..environment import read as environment_read
from ..errors import AscendError
from ..node import Node
from ..places import Places
from ..serve import server
from ..settings import drop_ins, node_settings
from . import cann, in_use, survey
from .chosen import EVERYTHING, Asked
from .selection import kernels, select

Run = Callable[..., Result]
Row = Dict[str, Any]


def apply(node: Node, places: Places, asked: Asked, run: Run, timeout_s: int) -> List[str]:
    """Remove what ``asked`` selects, with the module lock taken; return notes for the operator.

    ``timeout_s`` is the longest time of each uninstaller. Raises AscendError, also if something came into use
    meanwhile; can be repeated at any point.
    """
    surveyed = survey.read(node, places)
    selection = select(surveyed, asked)
    if selection["refusals"]:
        raise AscendError(selection["refusals"][0]["problem"], found=selection["refusals"][0]["found"])
    rows = selection["remove"]
    if not rows:
        return []
    intent = _intend(node, places, asked, surveyed, rows)
    uninstallers = cann.Uninstallers(node, places, _python_bin(node, surveyed), run, timeout_s)
    _unlink_links(node, places, rows)
    for row in rows:
        if row["kind"] == "kernels":
            uninstallers.remove_kernels(*kernels(surveyed["cann"])[row["name"]])
        elif row["path"] != os.path.join(places.state_dir, survey.INTENT):
            _take(node, places, row, asked.force, uninstallers, run)
        fault_points.reached("remove." + row["kind"])
    if intent["versions"]:
        uninstallers.drop_links(intent["versions"])
        current = surveyed["environments"].get(surveyed["current"] or "", {}).get("cann")
        uninstallers.lead_latest(current)
    _finish(node, places, asked, [row["name"] for row in selection["keep"] if row["kind"] == "CANN"])
    return uninstallers.notes


def _take(node: Node, places: Places, row: Row, force: bool, uninstallers: cann.Uninstallers, run: Run) -> None:
    """Remove one thing that was selected."""
    if row["kind"] in ("environment", "Python"):
        _set_aside(node, row, force)
    elif row["kind"] == "CANN":
        _require_unused(node, row, [row["path"]], force)
        uninstallers.remove(row["name"], row["path"])
    elif row["kind"] == "service":
        server.end(node.path(places.state_dir), row["name"], run)
    elif row["kind"] == "state":
        for name in set(files.names(node.path(row["path"]))).difference(survey.AT_WORK):
            delete(node, os.path.join(row["path"], name))
    elif row["path"] == drop_ins.SYSCTL:
        uninstallers.notes += node_settings.restore(node)
        delete(node, row["path"])
    else:
        delete(node, row["path"])


def delete(node: Node, path: str) -> None:
    """Remove what is at a path, if anything, and nothing that is mounted below it. Raises AscendError."""
    here = node.path(path)
    with atomic.removing(path, "cannot remove %s" % path):
        if os.path.isdir(here) and not os.path.islink(here):
            _require_unmounted(node, here, path)
        atomic.remove(here)


def _require_unmounted(node: Node, here: str, path: str) -> None:
    points_within = mounts.within(mounts.read(node.path("/proc/self/mountinfo")), os.path.realpath(here))
    if points_within:
        raise AscendError(
            "a file system is mounted inside what you asked to remove",
            wanted="nothing mounted there",
            found=", ".join(points_within),
            where=path,
            remedy="umount %s  # then run it again" % points_within[0],
        )


def _intend(node: Node, places: Places, asked: Asked, surveyed: survey.Surveyed, rows: List[Row]) -> Dict[str, Any]:
    """Record what the next run could not know after an interruption; return it."""
    going = [surveyed["environments"][row["name"]] for row in rows if row["kind"] == "environment"]
    before = surveyed["intent"]
    same = before.get("release") == asked.release
    intent: Dict[str, Any] = {"schema": 1, "release": asked.release}
    for key in ("cann", "python"):
        known = before.get(key) if same and isinstance(before.get(key), list) else []
        intent[key] = sorted({each[key] for each in going if each[key]} | set(known or []))
    known = before.get("versions")
    going_too = set(known) if isinstance(known, list) else set()
    intent["versions"] = sorted(going_too | {row["name"] for row in rows if row["kind"] == "CANN"})
    atomic.write(node.path(os.path.join(places.state_dir, survey.INTENT)), json.dumps(intent, sort_keys=True) + "\n")
    fault_points.reached("remove.begun")
    return intent


def _unlink_links(node: Node, places: Places, rows: List[Row]) -> None:
    """No link may point to a partly removed environment."""
    going = [row["name"] for row in rows if row["kind"] == "environment"]
    for name in (environment_read.CURRENT, environment_read.PREVIOUS):
        link = node.path(os.path.join(places.ascend_root, "env", name))
        if os.path.basename(os.path.normpath(files.link(link) or "")) in going:
            os.unlink(link)
    fault_points.reached("remove.unlinked")


def _set_aside(node: Node, row: Row, force: bool) -> None:
    path = row["path"]
    aside = os.path.join(os.path.dirname(path), survey.REMOVING + os.path.basename(path))
    _require_unmounted(node, node.path(path), path)
    try:
        os.rename(node.path(path), node.path(aside))
        fault_points.reached("remove.set-aside")
        try:
            _require_unused(node, row, [path, aside], force)
        except AscendError:
            os.rename(node.path(aside), node.path(path))
            raise
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise AscendError("cannot move %s aside" % path, wanted=aside, found=str(error), where=path) from error
        _unfinish(node, row, force)
        aside = path
    delete(node, aside)


def _unfinish(node: Node, row: Row, force: bool) -> None:
    """Mark something as half-installed that cannot be renamed, such as a folder of an overlay's lower layer."""
    _require_unused(node, row, [row["path"]], force)
    receipt = node.path(os.path.join(row["path"], environment_read.RECEIPT))
    if os.path.exists(receipt):
        os.unlink(receipt)


def _require_unused(node: Node, row: Row, paths: List[str], force: bool) -> None:
    """Somebody may have started in it since it was selected. After the renaming nobody can."""
    users = [] if force else [each for found in in_use.users(node, paths).values() for each in found]
    if users:
        raise AscendError(
            "%s %s has just come into use" % (row["kind"], row["name"]),
            wanted="no process that uses it",
            found="pid %d of %s: %s" % (users[0]["pid"], users[0]["user"], users[0]["command"]),
            where=row["path"],
            remedy="wait for it to end, then run it again",
        )


def _python_bin(node: Node, surveyed: survey.Surveyed) -> str:
    """Return where CANN's uninstaller finds the Python that its installer was given; "" for the system's."""
    paths = [os.path.join(each["path"], "bin") for each in surveyed["pythons"].values() if each["ours"]]
    return next((node.path(path) for path in paths if os.path.isdir(node.path(path))), "")


def _finish(node: Node, places: Places, asked: Asked, cann_kept: List[str]) -> None:
    """Remove what goes with the last item; the state folder comes last, because it says what is ours."""
    intent = os.path.join(places.state_dir, survey.INTENT)
    if asked.mode != EVERYTHING:
        delete(node, intent)
        return
    for part in survey.parts(node, places):  # uninstallers make links and write logs, too
        if part["ours"] and (part["kind"] == "log" or (part["kind"] == "CANN" and not cann_kept)):
            delete(node, part["path"])
    for path in survey.folders(node, places):
        _remove_empty(node.path(path))
    fault_points.reached("remove.emptied")
    absent = origin.read(node.path(places.state_dir))["absent"]
    for name in (origin.FILE, survey.INTENT):
        delete(node, os.path.join(places.state_dir, name))
    delete(node, places.state_dir)
    for path in origin.parents(places.state_dir):
        if path in absent:
            _remove_empty(node.path(path))


def _remove_empty(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        return  # absent, or others have something in it
