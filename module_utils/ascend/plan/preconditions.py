# SPDX-License-Identifier: Apache-2.0
"""What forbids a change because of the operating system, the disk, the depot, or what the operator has not allowed."""

from __future__ import annotations

import re
from typing import Dict, List

from ansible.module_utils.ascend.errors import AscendError
from ansible.module_utils.ascend.plan.forms import Facts, Refusal, Step, Wanted, refusal
from ansible.module_utils.ascend.versions import compare_cann

MINIMUM_GLIBC = (2, 28)


def preconditions(found: Facts, wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    """Return the refusals; what the steps do not need is not asked for."""
    return (
        _system(found)
        + list(wanted["problems"])
        + _downgrade(found, wanted)
        + _directories(found)
        + _disk(found, wanted, steps)
        + _eula(wanted, steps)
    )


def _system(found: Facts) -> List[Refusal]:
    glibc = found["system"]["glibc"]
    numbers = tuple(int(part) for part in re.findall(r"\d+", glibc or "")[:2])
    if numbers >= MINIMUM_GLIBC:
        return []
    minimum = ".".join(str(part) for part in MINIMUM_GLIBC)
    problem = "the C library is too old for the wheels"
    remedy = "upgrade the operating system; supported ones are listed in README.md"
    return [refusal("system", "glibc", problem, "glibc %s or newer" % minimum, glibc or "not glibc", remedy)]


def _downgrade(found: Facts, wanted: Wanted) -> List[Refusal]:
    latest, version = found["cann"]["latest"], wanted["toolkit"]["version"]
    if wanted["allow_downgrade"] or not latest:
        return []
    try:
        newer = compare_cann(latest, version) > 0
    except AscendError:
        newer = True  # a version nobody knows the order of is not replaced without being asked
    if not newer:
        return []
    return [
        refusal(
            "cann",
            "downgrade",
            "a newer CANN is installed",
            "CANN %s" % version,
            "CANN %s is what `latest` leads to" % latest,
            "set ascend_release to the newer release, or ask for the older: -e cann_allow_downgrade=true",
            str(found["cann"].get("root", "")),
        )
    ]


def _directories(found: Facts) -> List[Refusal]:
    """CANN's own folder comes first in ``paths``, then its parents; Red Hat's kin have / and /usr as 0555."""
    refusals = []
    for position, path in enumerate(found["system"]["paths"]):
        modes = ("0755",) if position == 0 else ("0755", "0555")
        if not path["exists"] or (path["uid"] == 0 and path["mode"] in modes):
            continue
        refusals.append(
            refusal(
                "cann",
                "directory",
                "CANN's installer refuses %s" % path["path"],
                "owner root, mode 0755",
                "owner uid %s, mode %s" % (path["uid"], path["mode"]),
                "chown root:root %s && chmod 0755 %s" % (path["path"], path["path"]),
                path["path"],
                path["path"],
            )
        )
    return refusals


# Which places a step fills, by the names that release.yml gives their needs (disk_mb).
_ROOM = {"toolkit": ("cann", "tmp", "cache"), "kernels": ("cann", "tmp", "cache"), "environment": ("env",)}


def _disk(found: Facts, wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    """Places on one file system share its free space, so their needs are added up before they are compared."""
    places = sorted({place for step in steps for place in _ROOM.get(step["component"], ())})
    needs: Dict[int, List[str]] = {}
    for place in places:
        disk = found["system"]["disk"][wanted["places"][place]]
        needs.setdefault(disk["device"], []).append(place)
    refusals = []
    for together in needs.values():
        need = sum(int(wanted["disk_mb"][place]) for place in together)
        paths = ", ".join(sorted({wanted["places"][place] for place in together}))
        free = found["system"]["disk"][wanted["places"][together[0]]]["free_mb"]
        if free < need:
            remedy = "free some space or mount a larger disk there: df -h %s" % paths.replace(",", "")
            problem = "too little room for %s" % paths
            refusals.append(
                refusal("system", "disk", problem, "%d MB free" % need, "%d MB free" % free, remedy, paths, paths)
            )
    return refusals


def _eula(wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    packages = [step["component"] for step in steps if step["component"] in ("toolkit", "kernels")]
    if wanted["accept_eula"] or not packages:
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
