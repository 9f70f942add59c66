# SPDX-License-Identifier: Apache-2.0
"""Which files of the cache stay: those that repairs of what stays need, and packages for a coming change."""

from __future__ import annotations

from typing import List, Tuple

from ..errors import AscendError
from ..versions import compare_cann
from .chosen import EVERYTHING, RELEASE, Chosen, Row, row


def choose(chosen: Chosen) -> None:
    """Choose from the cache, after environments, CANN versions and Pythons are chosen."""
    for each in chosen.surveyed["cache"]:
        name = ", ".join(each["files"]) or each["name"]
        if not each["ours"]:
            if chosen.asked.mode != RELEASE:
                chosen.kept("cache", each["name"], each, "was not stored by this project")
            continue
        needed, reason = _cached(chosen, each)
        if needed:
            chosen.kept("cache", name, each, reason)
        else:
            chosen.remove.append(row("cache", name, each["path"], reason))


def _cached(chosen: Chosen, each: Row) -> Tuple[bool, str]:
    """Return whether a folder of the cache stays, and why; repairs of what stays need their packages."""
    surveyed, asked = chosen.surveyed, chosen.asked
    if asked.mode == EVERYTHING:
        return False, "taken from the depot by this project"
    if not each["files"]:
        return False, "left by an interrupted run"
    owner, stays = _owner(chosen, each)
    if stays:
        return True, "for repairs of " + owner
    if asked.mode == RELEASE:
        gone = owner in ("CANN " + asked.release, *_owners_removed(chosen))
        return not gone, "of release " + asked.release if gone else "not of release " + asked.release
    if each["cann"] and _is_to_come(each["cann"][0], list(surveyed["cann"])):
        return True, "CANN %s is not installed yet" % each["cann"][0]
    return False, "nothing that remains needs it"


def _owner(chosen: Chosen, each: Row) -> Tuple[str, bool]:
    """Return what a folder of the cache is for, and whether that exists and stays; "" if unknown."""
    surveyed = chosen.surveyed
    for version in each["cann"]:
        stays = version in surveyed["cann"] and version not in chosen.removed("CANN")
        return "CANN " + version, stays
    of = each.get("environment")
    if of:
        names = [name for name in sorted(surveyed["environments"]) if name == of or name.startswith(of + "-")]
        staying = [name for name in names if name not in chosen.removed("environment")]
        return (staying or names or [of])[0], bool(staying)
    for version, python in sorted(surveyed["pythons"].items()):
        if python["archive"][:16] == each["name"]:
            return "Python " + version, version not in chosen.removed("Python")
    removed = chosen.removed("environment")
    owners = [
        name for name, one in sorted(surveyed["environments"].items()) if (one["source"] or "")[:16] == each["name"]
    ]
    if owners:
        staying = [name for name in owners if name not in removed]
        return (staying or owners)[0], bool(staying)
    if any(name.split("-")[0].split(".")[0] == "uv" for name in each["files"]):
        return "environments", any(
            one["ours"] and name not in removed for name, one in surveyed["environments"].items()
        )
    return "", False


def _owners_removed(chosen: Chosen) -> List[str]:
    return [
        *("CANN " + version for version in chosen.removed("CANN")),
        *("Python " + version for version in chosen.removed("Python")),
        *chosen.removed("environment"),
    ]


def _is_to_come(version: str, installed: List[str]) -> bool:
    """Whether a package is newer than all installed versions, and so was taken for a coming change."""
    try:
        return all(compare_cann(version, other) > 0 for other in installed)
    except AscendError:
        return False
