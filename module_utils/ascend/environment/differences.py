# SPDX-License-Identifier: Apache-2.0
"""How an environment, and a checkout in it, differ from what they were built from."""

from __future__ import annotations

from typing import Any, Dict, List

from ..finding import Cause, cause, listed


def environment_differences(there: Dict[str, Any], environment: Dict[str, Any]) -> List[Cause]:
    """Return how an environment differs from its lock, as far as its facts list it; nothing when it does not.

    The node holds an environment to the record of what it was built from; here the record is held to the lock.
    """
    complete = there["state"] == "complete"
    causes = [] if complete else [cause("unfinished", "it was not finished", "its record", "none")]
    digest, wanted_digest = str(there["lock_digest"]), environment["lock_digest"]
    if complete and digest != wanted_digest:
        words = "it was built from lock %s, not %s" % (digest, wanted_digest)
        causes.append(cause("lock", words, wanted_digest, digest))
    causes += _distributions(there["difference"])
    causes += [cause("damage", problem, subject=problem) for problem in there["problems"]]
    home = str(there["cann_home"])
    if complete and home != environment["cann_home"]:
        words = "it belongs to %s, not %s" % (home, environment["cann_home"])
        causes.append(cause("cann-home", words, environment["cann_home"], home))
    editable = "llamafactory is not the editable checkout"
    known = [each["problem"] for each in causes]
    if environment.get("source") and "llamafactory" not in there["editable"] and editable not in known:
        causes.append(cause("editable", editable, "the checkout", "a distribution"))
    return causes


def _distributions(difference: Dict[str, Dict[str, Any]]) -> List[Cause]:
    causes = []
    for name, version in sorted(difference["missing"].items()):
        causes.append(cause("distribution-missing", "%s is missing" % name, str(version), "absent", name))
    for name, (have, want) in sorted(difference["other"].items()):
        causes.append(cause("distribution-other", "%s is %s, not %s" % (name, have, want), want, have, name))
    for name, version in sorted(difference["extra"].items()):
        problem = "%s %s is extra" % (name, version)
        causes.append(cause("distribution-extra", problem, "not in the environment", str(version), name))
    return causes


def source_differences(there: Dict[str, Any], version: str) -> List[Cause]:
    """Return how a checkout differs from what was unpacked; where that was not recorded, the environment differs."""
    if not there["recorded"]:
        return []
    causes = []
    have, want = there["commit"] or "none", there["recorded_commit"] or "none"
    if have != want:
        words = "the checkout is at commit %s, unpacked was %s" % (have, want)
        causes.append(cause("source-commit", words, want, have))
    if there["edited_count"]:
        files = listed(there["edited"], there["edited_count"])
        words = "files of the checkout were edited: %s" % files
        causes.append(cause("source-edited", words, "the files of %s" % version, files))
    return causes
