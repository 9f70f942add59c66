# SPDX-License-Identifier: Apache-2.0
"""How an environment, and a checkout in it, differ from what they were built from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional

from ..finding import Cause, cause
from ..text import listed
from .findings import EDITABLE

if TYPE_CHECKING:
    from ..shapes import Checkout, Damage, Difference


class Built(NamedTuple):
    """What an environment's facts (docs/facts.md) say about what it was built from."""

    state: str
    lock_digest: Optional[str]
    cann_home: Optional[str]
    difference: Difference
    problems: List[Damage]
    editable: Dict[str, str]


def environment_differences(built: Built, lock_digest: str, cann_home: str, editable: bool) -> List[Cause]:
    """Return how an environment differs from its lock, as far as its facts list it.

    The node compares an environment with its receipt, which says what it was built from; here that is compared with the
    lock. ``editable``: LLaMA-Factory should be a checkout.
    """
    complete = built.state == "complete"
    causes = [] if complete else [cause("unfinished", "the environment is not finished", "its receipt", "none")]
    digest, home = built.lock_digest or "unknown", built.cann_home or "no CANN"
    if complete and digest != lock_digest:
        words = "the environment was built from lock %s, not %s" % (digest, lock_digest)
        causes.append(cause("lock", words, lock_digest, digest))
    causes += _distributions(built.difference)
    causes += [_damage(each) for each in built.problems]
    if complete and home != cann_home:
        words = "the environment was built for %s, not %s" % (home, cann_home)
        causes.append(cause("cann-home", words, cann_home, home))
    known = (EDITABLE, "llamafactory") in [(each["name"], each["subject"]) for each in built.problems]
    if editable and "llamafactory" not in built.editable and not known:
        causes.append(cause("editable", "llamafactory is not the editable checkout", "the checkout", "a distribution"))
    return causes


def _damage(each: Damage) -> Cause:
    return cause("damage", each["problem"], subject=("%s %s" % (each["name"], each["subject"])).strip())


def _distributions(difference: Difference) -> List[Cause]:
    causes = []
    for name, version in sorted(difference["missing"].items()):
        causes.append(cause("distribution-missing", "%s is missing" % name, str(version), "absent", name))
    for name, (have, want) in sorted(difference["other"].items()):
        causes.append(cause("distribution-other", "%s is %s, not %s" % (name, have, want), want, have, name))
    for name, version in sorted(difference["extra"].items()):
        problem = "%s %s was added" % (name, version)
        causes.append(cause("distribution-extra", problem, "not in the environment", str(version), name))
    return causes


def checkout_differences(checkout: Checkout, version: str) -> List[Cause]:
    """Return how a checkout differs from what was unpacked; without a record of that, the environment differs."""
    if not checkout["recorded"]:
        return []
    causes = []
    have, want = checkout["commit"] or "none", checkout["recorded_commit"] or "none"
    if have != want:
        words = "the checkout is at commit %s, not %s, which was unpacked" % (have, want)
        causes.append(cause("source-commit", words, want, have))
    if checkout["edited_count"]:
        files = listed(checkout["edited"], checkout["edited_count"])
        words = "files of the checkout were edited: %s" % files
        causes.append(cause("source-edited", words, "the files of %s" % version, files))
    return causes
