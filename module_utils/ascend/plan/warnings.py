# SPDX-License-Identifier: Apache-2.0
"""What stops nothing and is cured by no step: the operator has to know it, before a change and every night."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Tuple

from ansible.module_utils.ascend import files, rights
from ansible.module_utils.ascend.change.journal import RUN
from ansible.module_utils.ascend.plan.disks import nearly_full
from ansible.module_utils.ascend.plan.forms import (
    STEPS,
    Facts,
    Refusal,
    Step,
    Wanted,
    as_refusal,
    component_of,
    refusal,
)
from ansible.module_utils.ascend.plan.hardware import of_cards_out
from ansible.module_utils.ascend.plan.packages import packages_remarks
from ansible.module_utils.ascend.plan.preconditions import PTP, keepers, look_at_clock, record_in_the_way
from ansible.module_utils.ascend.plan.system import settings_warnings

# A step opens what is ours of the release, a refusal tells of what is not.
_OPENED = (rights.FINDING,)
# A refusal tells it, chip by chip; a refusal or a step, account by account.
_REFUSED = ("card-unhealthy", "device-user-absent", "device-user-shut-out")
# Nobody's fault on this node: users may have a CANN of their own.
_NOT_OURS = ("cann-elsewhere",)


def warnings(found: Facts, wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    """Return what the facts found that no step cures, and what of the release's wishes the system does not fulfil."""
    cured = {STEPS[step["component"]] for step in steps}
    refused = [each["where"] for each in record_in_the_way(found, steps)]
    observed = [each for each in _observed(found, wanted, cured) if each["where"] not in refused]
    observed += _latest(found, wanted, steps)
    observed += packages_remarks(found, wanted, steps) + settings_warnings(found, wanted) + _clock(found)
    return observed + nearly_full(found, wanted, steps) + _unfinished(found, wanted)


def _observed(found: Facts, wanted: Wanted, cured: Any) -> List[Refusal]:
    told = []
    for finding in found["findings"]:
        if finding["name"] in _REFUSED + _OPENED + _NOT_OURS or _of_another(finding, found, wanted):
            continue
        if of_cards_out(finding["name"], found, wanted):
            continue
        # A silent driver is refused: one reason at a time.
        if finding["subset"] in ("npu", "driver", "network") and not found["npu"]["answered"]:
            continue
        # The step's reason says the same; what lies outside of CANN and the environments has no step.
        if (
            finding["subset"] in ("cann", "python")
            and component_of(finding) in cured
            and finding["name"] not in _OUTSIDE
        ):
            continue
        told.append(as_refusal(finding))
    return told


_OUTSIDE = (
    "cann-record-stale",
    "cann-record-unreadable",
    "pythonpath-set",
    "pythonhome-set",
    "ld-preload-set",
    "ld-library-path-set",
    "visible-devices-set",
    "cann-other-set",
)


def _of_another(finding: Dict[str, str], found: Facts, wanted: Wanted) -> bool:
    """Whether it speaks of a version or an environment that lies beside the wanted one and is not used by it."""
    others = [version["path"] for name, version in _others(found["cann"]["versions"], wanted["toolkit"]["version"])]
    others += [python["path"] for name, python in _others(found["pythons"], wanted["python"]["version"])]
    environments = _others(found["environments"]["all"], wanted["environment"]["name"])
    others += [environment["path"] for name, environment in environments]
    where = finding["where"]
    return any(files.is_in(where, path) for path in others)


def _others(there: Dict[str, Any], name: str) -> List[Tuple[str, Any]]:
    return [(other, entry) for other, entry in there.items() if other != name and entry.get("path")]


def _latest(found: Facts, wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    """Another CANN beside ours, or a way back: nothing of ours goes by this link; sessions of users may mean to."""
    latest, version = found["cann"]["latest"], wanted["toolkit"]["version"]
    if not latest or latest == version or any(step["component"] in ("toolkit", "latest") for step in steps):
        return []
    home = wanted["environment"]["cann_home"]
    return [
        refusal(
            "cann",
            "latest-other",
            "CANN's `latest` leads to %s, so sessions that source its set_env.sh get another CANN" % latest,
            version,
            latest,
            "bash %s/create_version_softlink.sh  # CANN's own; ascend-env has the right one anyway" % home,
            str(found["cann"].get("root", "")),
        )
    ]


def _clock(found: Facts) -> List[Refusal]:
    """A node that cannot tell whether its time is synchronised is not judged; systemd knows of NTP alone."""
    if found["system"].get("time_synchronised") is not False:
        return []
    by, own = keepers(found), not found["system"].get("container")
    if by and (set(by).intersection(PTP) or not own):
        return [
            refusal(
                "system",
                "clock-kept-otherwise",
                "whether the time is synchronised is not known: %s keeps the clock" % ", ".join(by),
                "a clock that is kept in step",
                "NTPSynchronized=no, which speaks of NTP" if own else "NTPSynchronized=no, in a container",
                look_at_clock(found),
                "timedatectl",
            )
        ]
    return [
        refusal(
            "system",
            "clock",
            "the time is not synchronised",
            "a clock that NTP keeps",
            "NTPSynchronized=no",
            "%s  # several nodes train together by their clocks" % look_at_clock(found),
            "timedatectl",
        )
    ]


def _unfinished(found: Facts, wanted: Wanted) -> List[Refusal]:
    """What a run that died left behind is ended by the next one, also where the node is right as it is (rollout.py)."""
    change = unfinished(found)
    if not change:
        return []
    return [
        refusal(
            "system",
            "change-unfinished",
            "a change of the node has not ended",
            "no run at work",
            "%(action)s to %(to)s, begun %(began)s by %(who)s from control node %(control)s" % change,
            "wait for its end; what a run that died has left, the next site.yml clears away",
            os.path.join(wanted["places"]["state"], RUN),
        )
    ]


def unfinished(found: Facts) -> Optional[Dict[str, str]]:
    """Return the change that is at work on the node, or was when its run died."""
    change: Optional[Dict[str, str]] = found["changes"]["running"]
    return change
