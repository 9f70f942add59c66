# SPDX-License-Identifier: Apache-2.0
"""What forbids a change because of the operating system, the depot, CANN, or what the operator has not allowed."""

from __future__ import annotations

import os
import re

from ...ascend import files, rights
from ...ascend.cann.layouts import version_of
from ...ascend.errors import AscendError
from ...ascend.finding import Refusal, refusal
from ...ascend.places import BESIDE
from ...ascend.times import utc
from ...ascend.versions import compare_cann
from .asked import Wanted
from .components import Step, names_of
from .crossing import cross_refusals
from .disks import disks
from .found import Found
from .host_certificate import host_certificate_refusals
from .packages import packages_refusals

_OF_CANN = ("toolkit", "kernels")
MINIMUM_GLIBC = (2, 28)
# Planning follows reading by minutes in a large fleet, and time zones that were mistaken differ by hours.
MOST_CLOCK_S = 3600


def preconditions(found: Found, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Return the refusals; what the steps do not need is not required."""
    return (
        _system(found)
        + _clock(found, wanted)
        + host_certificate_refusals(found, wanted)
        + _supply(wanted, steps)
        + _downgrade(found, wanted, steps)
        + cross_refusals(found, wanted, steps)
        + _directories(found, wanted)
        + _closed(found)
        + install_record_in_the_way(found, steps)
        + packages_refusals(found, wanted, steps)
        + disks(found, wanted, steps)
        + _eula(wanted, steps)
    )


def _system(found: Found) -> list[Refusal]:
    glibc = found.system.glibc
    numbers = tuple(int(part) for part in re.findall(r"\d+", glibc or "")[:2])
    if numbers >= MINIMUM_GLIBC:
        return []
    minimum = ".".join(str(part) for part in MINIMUM_GLIBC)
    problem = "the C library is too old for the wheels"
    remedy = "upgrade the operating system; supported ones are listed in README.md"
    return [refusal("system", "glibc", problem, f"glibc {minimum} or newer", glibc or "not glibc", remedy)]


def _clock(found: Found, wanted: Wanted) -> list[Refusal]:
    """The node's time is compared with the control node's; a node that does not report its time is not judged."""
    node_s, here = found.system.time_s, wanted.now_s
    if node_s is None or here is None or abs(node_s - here) <= MOST_CLOCK_S:
        return []
    return [
        refusal(
            "system",
            "clock-wrong",
            "the node's clock or the control node's clock is wrong",
            f"{utc(here)}, the control node's time, give or take an hour",
            utc(node_s),
            f"date -u; {_set_clock(found)}  # and on the control node?",
            "date -u",
        )
    ]


PTP = ("ptp4l", "phc2sys", "ts2phc", "timemaster", "ptpd", "ptpd2", "sfptpd", "sptp")
# What tells how a program keeps the clock, and what sets it at once. Two of them beside each other pull it to and fro.
_LOOK = {"chronyd": "chronyc tracking", "ntpd": "ntpq -pn", "systemd-timesyn": "timedatectl timesync-status"}
_SET = {
    "chronyd": "chronyc makestep",
    "ntpd": "systemctl restart ntpd",
    "systemd-timesyn": "systemctl restart systemd-timesyncd",
}
_NONE = "systemctl enable --now chronyd"


def keepers(found: Found) -> list[str]:
    """Return which programs keep the clock of a node that is not synchronised, as far as systemd knows."""
    return found.system.time_keepers


def look_at_clock(found: Found) -> str:
    """Return the command that shows how the clock is synchronised, or the one that enables that if nothing does."""
    for name in keepers(found):
        return f"systemctl status {name}" if name in PTP else _LOOK[name]
    return _NONE + "; chronyc tracking"


def _set_clock(found: Found) -> str:
    for name in keepers(found):
        return f"systemctl restart {name}" if name in PTP else _SET[name]
    return "systemctl restart chronyd && chronyc makestep"


def _supply(wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """What the control node cannot supply; what the depot lacks counts only if these steps need it."""
    todo = names_of(steps)
    needed = [each for each in wanted.problems if each.needed_by is None or todo.intersection(each.needed_by)]
    return [each.refusal() for each in needed]


def _downgrade(found: Found, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """An older release is not made current, nor an older CANN the latest one, unless that was requested.

    A CANN that users installed beside ours does not forbid our repair, after which ``latest`` points to theirs again.
    """
    if wanted.allow_downgrade:
        return []
    version, todo = wanted.toolkit.version, names_of(steps)
    environments, latest = found.environments, found.cann.latest_of(wanted.environment.cann_home)
    current = environments.all.get(environments.current or "")
    current_version = version_of(current.cann_home or "") if current else ""
    if "current" in todo and current_version and _newer(current_version, version):
        problem, have = "a newer release is current", f"{environments.current}, of CANN {current_version}"
        other = current_version
    elif todo.intersection(_OF_CANN) and latest and _newer(latest, version) and not repairs_cann(found, wanted, steps):
        problem, have = "a newer CANN is installed", f"`latest` points to CANN {latest}"
        other = latest
    else:
        return []
    if not _ordered(other, version):
        problem = f"cannot tell whether CANN {version} is older than the installed one"
    remedy = "set ascend_release to the newer release, or ask for the older: -e cann_allow_downgrade=true"
    return [refusal("cann", "downgrade", problem, f"CANN {version}", have, remedy, found.cann.root)]


def repairs_cann(found: Found, wanted: Wanted, steps: list[Step]) -> bool:
    """Whether the steps repair the CANN that the wanted environment uses, rather than install it for the first time.

    During a repair nothing is current; then it counts as a repair if the environment and a part of CANN exist.
    """
    environments, environment = found.environments, wanted.environment
    version, repairing = wanted.toolkit.version, found.cann.repairing
    if names_of(steps).isdisjoint(_OF_CANN):
        return False
    if repairing and repairing.repaired == version:
        return True  # interrupted, perhaps when the installer had taken all of the version away
    built = environments.all.get(environment.name)
    if not built:
        return False
    if environments.current or built.cann_home != environment.cann_home:
        return environments.current == environment.name and built.cann_home == environment.cann_home
    return found.cann.of(version).toolkit.state != "absent"


def _ordered(one: str, other: str) -> bool:
    try:
        compare_cann(one, other)
    except AscendError:
        return False
    return True


def _newer(one: str, other: str) -> bool:
    try:
        return compare_cann(one, other) > 0
    except AscendError:
        return True  # a version nobody knows the order of is not replaced without being asked


def _directories(found: Found, wanted: Wanted) -> list[Refusal]:
    """The folder that the installers are given, and its parents."""
    refusals = []
    for path in found.system.paths:
        if not path.exists or not files.is_in(wanted.cann_base, path.path):
            continue
        owned, wide = path.uid == 0, _wide_enough(path.mode, parent=path.path != wanted.cann_base)
        if owned and wide:
            continue
        cures = ["" if owned else "chown root:root", "" if wide else "chmod 0755"]
        refusals.append(
            refusal(
                "cann",
                "directory",
                f"CANN's installer refuses {path.path}",
                "owner root, mode 0755 or wider",
                f"owner uid {path.uid}, mode {path.mode}",
                " && ".join(f"{cure} {path.path}" for cure in cures if cure),
                path.path,
                path.path,
            )
        )
    return refusals


def _closed(found: Found) -> list[Refusal]:
    """A folder above ours that only root can enter, and that is not ours to open."""
    return [
        refusal(
            "system",
            rights.FINDING,
            f"others cannot get through {each.path} to what is installed",
            "a folder that others can enter",
            f"mode {each.mode}",
            rights.way_remedy(each.path),
            each.path,
            each.path,
        )
        for each in found.closed
        if not each.ours
    ]


def _wide_enough(mode: str | None, parent: bool) -> bool:
    """The installer accepts 0755 and wider, with any of the three special bits; on Red Hat's systems / is 0555."""
    bits = int(mode, 8) if mode and re.fullmatch("[0-7]{3,4}", mode) else 0
    return bits & 0o755 == 0o755 or (parent and bits & 0o777 == 0o555)


def install_record_in_the_way(found: Found, steps: list[Step]) -> list[Refusal]:
    """The installers insist on the path in their record, or stop if they cannot read it."""
    if names_of(steps).isdisjoint(_OF_CANN):
        return []
    root, install_path = found.cann.root, found.cann.record
    other = bool(root and install_path) and os.path.normpath(str(install_path)) != os.path.normpath(root)
    refusals = []
    for finding in found.findings:
        name, have, remedy = finding["name"], finding["found"], finding["remedy"]
        if name == "cann-record-unreadable" or (name == "cann-record-stale" and other):
            if have == install_path:  # it is there
                place = str(install_path).removesuffix(f"/{BESIDE}")
                remedy = f"set cann_root: {place} in the inventory, or else: {remedy}"
            problem, want, where = finding["problem"], finding["wanted"], finding["where"]
            refusals.append(refusal("cann", "cann-record", problem, want, have, remedy, where))
    return refusals


def _eula(wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    if wanted.accept_eula or names_of(steps).isdisjoint(_OF_CANN):
        return []
    return [
        refusal(
            "cann",
            "eula",
            "CANN's licence has not been accepted",
            "cann_accept_eula: true",
            "cann_accept_eula: false",
            "read the licence (bash Ascend-cann-toolkit_*.run --install shows it), then set cann_accept_eula: true",
        )
    ]
