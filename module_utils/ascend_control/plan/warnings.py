# SPDX-License-Identifier: Apache-2.0
"""What stops nothing and no step cures: the operator has to know it, before a change and every night."""

from __future__ import annotations

import os

from ...ascend import files, rights
from ...ascend.cann.layouts import LATER, OLDER
from ...ascend.finding import Refusal, refusal
from ...ascend.places import BESIDE, DRAINED, RUN
from .asked import Wanted
from .components import STEPS, Step, as_refusal, component_of, names_of
from .disks import nearly_full
from .found import Found
from .hardware import of_cards_out
from .host_certificate import host_certificate_warnings
from .packages import packages_remarks
from .preconditions import PTP, install_record_in_the_way, keepers, look_at_clock
from .services import services_warnings
from .system import settings_warnings

# A step opens what is ours of the release, a refusal tells of what is not.
_OPENED = (rights.FINDING,)
# A refusal tells it, chip by chip; a refusal or a step, account by account.
_REFUSED = ("card-unhealthy", "device-user-absent", "device-user-shut-out")
# Nobody's fault on this node: users may have a CANN of their own.
_NOT_OURS = ("cann-elsewhere",)


def warnings(found: Found, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Return what the facts found that no step cures, and which of the release's settings the system lacks."""
    cured = {STEPS[name] for name in names_of(steps)}
    refused = [each["where"] for each in install_record_in_the_way(found, steps)]
    observed = [each for each in _observed(found, wanted, cured) if each["where"] not in refused]
    observed += _latest(found, wanted, steps)
    observed += packages_remarks(found, wanted, steps) + settings_warnings(found, wanted) + _clock(found)
    observed += nearly_full(found, wanted, steps) + _unfinished(found, wanted) + _drained(found, wanted)
    return observed + services_warnings(found, wanted) + host_certificate_warnings(found, wanted)


def _observed(found: Found, wanted: Wanted, cured: set[str]) -> list[Refusal]:
    observed = []
    for finding in found.findings:
        name, subset, where = finding["name"], finding["subset"], finding["where"]
        if name in _REFUSED + _OPENED + _NOT_OURS or _of_another(where, found, wanted):
            continue
        if of_cards_out(name, found, wanted):
            continue
        # A silent driver is refused: one reason at a time.
        if subset in ("npu", "driver", "network") and not found.npu.answered:
            continue
        # The step's reason says the same; what lies outside of CANN and the environments has no step.
        if subset in ("cann", "python") and component_of(finding) in cured and name not in _OUTSIDE:
            continue
        observed.append(as_refusal(finding))
    return observed


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


def _of_another(where: str, found: Found, wanted: Wanted) -> bool:
    """Whether it is about another version or environment that the wanted one does not use."""
    paths = [version.path for name, version in found.cann.versions.items() if name != wanted.toolkit.version]
    paths += [python.path for name, python in found.pythons.items() if name != wanted.python.version]
    paths += [each.path for name, each in found.environments.all.items() if name != wanted.environment.name]
    return any(path and files.is_in(where, path) for path in paths) or _of_other_links(where, found, wanted)


def _of_other_links(where: str, found: Found, wanted: Wanted) -> bool:
    """Whether it is about the links of a place that does not contain the wanted CANN."""
    cann = found.cann
    names = [LATER.link, *OLDER.shared, *(os.path.join(BESIDE, name) for name in (LATER.link, *LATER.shared))]
    is_link = bool(cann.root) and where in [os.path.join(cann.root, name) for name in names]
    return is_link and cann.is_beside(where) != cann.is_beside(wanted.environment.cann_home)


def _latest(found: Found, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Another CANN beside ours, or a rollback: nothing of ours uses this link, but users' sessions may."""
    version = wanted.toolkit.version
    latest = found.cann.latest_of(wanted.environment.cann_home)
    if not latest or latest == version or any(name in ("toolkit", "latest") for name in names_of(steps)):
        return []
    folder, name = os.path.split(wanted.environment.cann_home)
    remedy = f"bash {folder}/{name}/create_version_softlink.sh  # CANN's own; ascend-env uses the right one anyway"
    if wanted.toolkit.layout == LATER.name:
        remedy = f"ln -sfn {name} {folder}/{LATER.link}  # ascend-env uses the right one anyway"
    return [
        refusal(
            "cann",
            "latest-other",
            f"CANN's `latest` points to {latest}, so sessions that source its set_env.sh get the wrong CANN",
            version,
            latest,
            remedy,
            found.cann.root,
        )
    ]


def _clock(found: Found) -> list[Refusal]:
    """A node that does not know whether its time is synchronised is not judged, because systemd knows only NTP."""
    if found.system.time_synchronised is not False:
        return []
    by, own = keepers(found), not found.system.container
    if by and (set(by).intersection(PTP) or not own):
        return [
            refusal(
                "system",
                "clock-kept-otherwise",
                f"cannot tell whether the time is synchronised: {', '.join(by)} keeps the clock",
                "a synchronised clock",
                "NTPSynchronized=no, which is about NTP only" if own else "NTPSynchronized=no, in a container",
                look_at_clock(found),
                "timedatectl",
            )
        ]
    return [
        refusal(
            "system",
            "clock",
            "the time is not synchronised",
            "a clock synchronised by NTP",
            "NTPSynchronized=no",
            f"{look_at_clock(found)}  # training across nodes needs synchronised clocks",
            "timedatectl",
        )
    ]


def _unfinished(found: Found, wanted: Wanted) -> list[Refusal]:
    """The next run ends what a dead run left behind, even if the node needs nothing (rollout.py)."""
    change = found.changes.running
    if not change:
        return []
    return [
        refusal(
            "system",
            "change-unfinished",
            "a change to the node has not ended",
            "no run in progress",
            f"{change.action} to {change.to}, started {change.began} by {change.who} on control node {change.control}",
            "wait for it to end; the next site.yml cleans up after a run that died",
            os.path.join(wanted.places.state, RUN),
        )
    ]


def _drained(found: Found, wanted: Wanted) -> list[Refusal]:
    """Nobody trains on a node that was drained for a change and not resumed; site.yml or the active run resumes it."""
    drained = found.changes.drained
    if not drained:
        return []
    return [
        refusal(
            "system",
            "node-drained",
            "ascend-fleet drained the node for a change, so it gets no jobs",
            "a node resumed after its change",
            f"drained {drained.began} by {drained.who} from control node {drained.control}",
            "wait for that run to end; if it died: ansible-playbook site.yml --limit NODE  # resumes the node",
            os.path.join(wanted.places.state, DRAINED),
        )
    ]
