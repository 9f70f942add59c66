# SPDX-License-Identifier: Apache-2.0
"""What stops nothing and is cured by no step: the operator has to know it, before a change and every night."""

from __future__ import annotations

import os
from typing import Any

from ...ascend import files, rights
from ...ascend.finding import Refusal, refusal
from ...ascend.places import RUN
from .components import STEPS, Facts, Step, Wanted, as_refusal, component_of
from .disks import nearly_full
from .hardware import of_cards_out
from .packages import packages_remarks
from .preconditions import PTP, keepers, look_at_clock, record_in_the_way
from .system import settings_warnings

# A step opens what is ours of the release, a refusal tells of what is not.
_OPENED = (rights.FINDING,)
# A refusal tells it, chip by chip; a refusal or a step, account by account.
_REFUSED = ("card-unhealthy", "device-user-absent", "device-user-shut-out")
# Nobody's fault on this node: users may have a CANN of their own.
_NOT_OURS = ("cann-elsewhere",)


def warnings(found: Facts, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Return what the facts found that no step cures, and what of the release's wishes the system does not fulfil."""
    cured = {STEPS[step["component"]] for step in steps}
    refused = [each["where"] for each in record_in_the_way(found, steps)]
    observed = [each for each in _observed(found, wanted, cured) if each["where"] not in refused]
    observed += _latest(found, wanted, steps)
    observed += packages_remarks(found, wanted, steps) + settings_warnings(found, wanted) + _clock(found)
    return observed + nearly_full(found, wanted, steps) + _unfinished(found, wanted)


def _observed(found: Facts, wanted: Wanted, cured: Any) -> list[Refusal]:
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


def _of_another(finding: dict[str, str], found: Facts, wanted: Wanted) -> bool:
    """Whether it speaks of a version or an environment that lies beside the wanted one and is not used by it."""
    others = [version["path"] for name, version in _others(found["cann"]["versions"], wanted["toolkit"]["version"])]
    others += [python["path"] for name, python in _others(found["pythons"], wanted["python"]["version"])]
    environments = _others(found["environments"]["all"], wanted["environment"]["name"])
    others += [environment["path"] for name, environment in environments]
    where = finding["where"]
    return any(files.is_in(where, path) for path in others)


def _others(there: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    return [(other, entry) for other, entry in there.items() if other != name and entry.get("path")]


def _latest(found: Facts, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Another CANN beside ours, or a way back: nothing of ours goes by this link; sessions of users may mean to."""
    latest, version = found["cann"]["latest"], wanted["toolkit"]["version"]
    if not latest or latest == version or any(step["component"] in ("toolkit", "latest") for step in steps):
        return []
    home = wanted["environment"]["cann_home"]
    return [
        refusal(
            "cann",
            "latest-other",
            f"CANN's `latest` leads to {latest}, so sessions that source its set_env.sh get another CANN",
            version,
            latest,
            f"bash {home}/create_version_softlink.sh  # CANN's own; ascend-env has the right one anyway",
            str(found["cann"].get("root", "")),
        )
    ]


def _clock(found: Facts) -> list[Refusal]:
    """A node that cannot tell whether its time is synchronised is not judged; systemd knows of NTP alone."""
    if found["system"].get("time_synchronised") is not False:
        return []
    by, own = keepers(found), not found["system"].get("container")
    if by and (set(by).intersection(PTP) or not own):
        return [
            refusal(
                "system",
                "clock-kept-otherwise",
                f"whether the time is synchronised is not known: {', '.join(by)} keeps the clock",
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
            f"{look_at_clock(found)}  # several nodes train together by their clocks",
            "timedatectl",
        )
    ]


def _unfinished(found: Facts, wanted: Wanted) -> list[Refusal]:
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
            f"{change['action']} to {change['to']}, begun {change['began']} by {change['who']} "
            f"from control node {change['control']}",
            "wait for its end; what a run that died has left, the next site.yml clears away",
            os.path.join(wanted["places"]["state"], RUN),
        )
    ]


def unfinished(found: Facts) -> dict[str, str] | None:
    """Return the change that is at work on the node, or was when its run died."""
    change: dict[str, str] | None = found["changes"]["running"]
    return change
