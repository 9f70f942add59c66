# SPDX-License-Identifier: Apache-2.0
"""Decide what a node needs: ``plan(found, wanted)`` is the project's one definition of "right".

``found`` is what the module ``ascend_facts`` returned for a node, ``wanted`` what the control node resolved for it
(``ascend_control.wanted``). The result depends on nothing else, changes nothing and never raises on what a node says:

``{"steps": [...], "refusals": [...], "warnings": [...]}``

* a step is ``{"component", "action", "reason", "found", "wanted"}``; steps are in the order in which they are applied;
* a refusal is ``{"check", "problem", "wanted", "found", "remedy"}``: the node must not be changed until it is cured;
* a warning has the form of a refusal and stops nothing.

Drift is what this function returns, and ``site.yml`` applies what this function returns: they cannot disagree.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List

from ansible.module_utils.ascend.errors import AscendError
from ansible.module_utils.ascend.versions import compare_cann, compare_driver

Facts = Dict[str, Any]
Wanted = Dict[str, Any]
Step = Dict[str, str]
Refusal = Dict[str, str]

MINIMUM_GLIBC = (2, 28)
SHOWN = 5  # how many names a reason lists before it counts the rest


def plan(found: Facts, wanted: Wanted) -> Dict[str, List[Dict[str, str]]]:
    """Return the steps, refusals and warnings for one node (see the module's description for their form)."""
    steps = _steps(found, wanted)
    refusals, warnings = _driver_age(found, wanted)
    refusals = (
        _hardware(found, wanted)
        + refusals
        + _system(found)
        + _supply(wanted)
        + _downgrade(found, wanted)
        + _directories(found)
        + _disk(found, wanted, steps)
        + _eula(wanted, steps)
    )
    return {"steps": steps, "refusals": refusals, "warnings": warnings + _observed(found)}


# --- what would change -------------------------------------------------------------------------------------------


def _steps(found: Facts, wanted: Wanted) -> List[Step]:
    steps = _python_step(found, wanted)
    toolkit = _toolkit_step(found, wanted)
    steps += toolkit + _kernels_step(found, wanted, toolkit)
    steps += _environment_step(found, wanted)
    steps += _ascend_env_step(found, wanted)
    steps += _current_step(found, wanted)
    return steps


def _step(component: str, action: str, reason: str, found: str, wanted: str) -> Step:
    return {"component": component, "action": action, "reason": reason, "found": found, "wanted": wanted}


def _python_step(found: Facts, wanted: Wanted) -> List[Step]:
    version = wanted["python"]["version"]
    if not version:
        return []  # the depot has none for this architecture: _supply says so
    state = found["pythons"].get(version, {}).get("state", "absent")
    if state == "complete":
        return []
    action = "install" if state == "absent" else "repair"
    return [_step("python", action, "Python %s is %s" % (version, state), state, version)]


def _toolkit_step(found: Facts, wanted: Wanted) -> List[Step]:
    version = wanted["toolkit"]["version"]
    return _package_step("toolkit", "toolkit %s" % version, toolkit_found(found["cann"], version), version)


def _kernels_step(found: Facts, wanted: Wanted, toolkit: List[Step]) -> List[Step]:
    version, chip = wanted["toolkit"]["version"], wanted["kernels"]["chip"]
    if not chip:
        return []  # no card of a supported chip: _hardware says so
    name = "kernels-%s %s" % (chip, version)
    if toolkit:
        # Installing or upgrading the toolkit takes its kernels away (Huawei's guide, uninstall and upgrade pages).
        action = toolkit[0]["action"]
        return [_step("kernels", action, "%s follow the toolkit's %s" % (name, action), "toolkit changes", version)]
    return _package_step("kernels", name, kernels_found(found["cann"], version, chip), version)


def _package_step(component: str, name: str, package: Dict[str, Any], version: str) -> List[Step]:
    if package["state"] == "complete":
        return []
    action = "install" if package["state"] == "absent" else "repair"
    reason = "%s is %s" % (name, package["state"])
    if package["problems"]:
        reason += ": " + _listed(package["problems"], package.get("problem_count"))
    return [_step(component, action, reason, package["state"], version)]


def toolkit_found(cann: Dict[str, Any], version: str) -> Dict[str, Any]:
    """Return the state of that version's toolkit: ``{"state", "problems", "problem_count"}``."""
    package: Dict[str, Any] = cann["versions"].get(version, {}).get("toolkit", _ABSENT)
    return package


def kernels_found(cann: Dict[str, Any], version: str, chip: str) -> Dict[str, Any]:
    """Return the state of that version's kernels for ``chip`` ("910b"), in the same form as the toolkit's."""
    package: Dict[str, Any] = cann["versions"].get(version, {}).get("kernels", {}).get(chip, _ABSENT)
    return package


_ABSENT = {"state": "absent", "problems": [], "problem_count": 0}  # type: Dict[str, Any]


def _environment_step(found: Facts, wanted: Wanted) -> List[Step]:
    environment = wanted["environment"]
    if not environment["name"]:
        return []  # no lock for this architecture: _supply says so
    there = found["environments"]["all"].get(environment["name"])
    if there is None:
        reason = "environment %s is absent" % environment["name"]
        return [_step("environment", "install", reason, "absent", environment["name"])]
    reasons = environment_problems(there, environment)
    if not reasons:
        return []
    unlisted = there["problem_count"] - len(there["problems"]) + there["difference_count"]
    unlisted -= sum(len(names) for names in there["difference"].values())
    reason = "environment %s: %s" % (environment["name"], _listed(reasons, len(reasons) + unlisted))
    return [_step("environment", "repair", reason, there["state"], environment["name"])]


def environment_problems(there: Dict[str, Any], environment: Dict[str, Any]) -> List[str]:
    """Return in words how an environment differs from its lock, as far as its facts list it; empty when it does not.

    The node holds an environment to the record of what it was built from; here the record is held to the lock.
    """
    complete = there["state"] == "complete"
    reasons = [] if complete else ["it was not finished"]
    if complete and there["lock_digest"] != environment["lock_digest"]:
        reasons.append("it was built from lock %s, not %s" % (there["lock_digest"], environment["lock_digest"]))
    difference = there["difference"]
    reasons += ["%s is missing" % name for name in sorted(difference["missing"])]
    reasons += ["%s is %s, not %s" % (name, *versions) for name, versions in sorted(difference["other"].items())]
    reasons += ["%s %s is extra" % (name, version) for name, version in sorted(difference["extra"].items())]
    reasons += list(there["problems"])
    if complete and there["cann_home"] != environment["cann_home"]:
        reasons.append("it belongs to %s, not %s" % (there["cann_home"], environment["cann_home"]))
    editable = "llamafactory is not the editable checkout"
    if environment.get("source") and "llamafactory" not in there["editable"] and editable not in reasons:
        reasons.append(editable)
    return reasons


def _ascend_env_step(found: Facts, wanted: Wanted) -> List[Step]:
    have, want = found["ascend_env"]["sha256"], wanted["ascend_env"]["sha256"]
    if have == want:
        return []
    action, state = ("repair", "altered") if have else ("install", "absent")
    return [_step("ascend-env", action, "%s is %s" % (wanted["ascend_env"]["path"], state), state, want)]


def _current_step(found: Facts, wanted: Wanted) -> List[Step]:
    have, want = found["environments"]["current"], wanted["environment"]["name"]
    if not want or have == want:
        return []
    leads = "leads to %s" % have if have else "is absent"
    return [_step("current", "switch", "the link current %s" % leads, have or "absent", want)]


# --- what forbids a change ---------------------------------------------------------------------------------------


def _refusal(check: str, problem: str, wanted: str, found: str, remedy: str) -> Refusal:
    return {"check": check, "problem": problem, "wanted": wanted, "found": found, "remedy": remedy}


def as_refusal(finding: Dict[str, str]) -> Refusal:
    """Return a finding of the facts (module_utils/ascend/node.py) in the form of a refusal."""
    return _refusal(finding["name"], finding["problem"], finding["wanted"], finding["found"], finding["remedy"])


# Findings that stop nothing and that the operator should know before the first change.
_WARNINGS = (
    "driver-half-installed",
    "driver-reboot-pending",
    "firmware-incompatible",
    "npu-smi-unread",
    "fewer-chips-visible",
    "device-files-missing",
    "cann-record-stale",
    "pythonpath-set",
    "pythonhome-set",
)


def _observed(found: Facts) -> List[Refusal]:
    if not found["npu"]["answered"]:
        return []  # refused: one reason at a time
    return [as_refusal(finding) for finding in found["findings"] if finding["name"] in _WARNINGS]


def _hardware(found: Facts, wanted: Wanted) -> List[Refusal]:
    npu = found["npu"]
    if not npu["answered"]:
        return [as_refusal(finding) for finding in found["findings"] if finding["subset"] == "npu"][:1]
    if not npu["devices"]:
        return [
            _refusal(
                "card",
                "npu-smi shows no card",
                "at least one card",
                "none",
                "npu-smi info -l; lspci | grep -i d802  # are the cards seated and bound to the driver?",
            )
        ]
    return _chips(npu["devices"], wanted) + _health(npu["devices"])


def _chips(devices: List[Dict[str, Any]], wanted: Wanted) -> List[Refusal]:
    names = sorted({str(device["name"]) for device in devices})
    supported = ", ".join(sorted(family for family, chip in wanted["chips"].items() if chip["supported"]))
    refusals = []
    for name in names:
        family, chip = chip_family(name, wanted["chips"])
        if chip and chip["supported"]:
            continue
        why = chip["reason"] if chip else "release %s does not know it" % wanted["release"]
        refusals.append(
            _refusal(
                "chip",
                "chip %s is not supported: %s" % (name, why),
                "cards of %s" % supported,
                "%s (%s)" % (name, family or "unknown"),
                "take the node out of the inventory, or give it a release that supports the chip",
            )
        )
    return refusals


def chip_family(name: str, chips: Dict[str, Any]) -> Any:
    """Return (family, chip) of the release's chip table whose ``names`` match npu-smi's name, or (None, None)."""
    for family, chip in sorted(chips.items()):
        if re.fullmatch(chip["names"], name):
            return family, chip
    return None, None


def _health(devices: List[Dict[str, Any]]) -> List[Refusal]:
    bad = ["NPU %s chip %s: %s" % (d["npu_id"], d["chip_id"], _sick(d)) for d in devices if d["health"] != "OK"]
    if not bad:
        return []
    remedy = "npu-smi info -t health -i %s  # then the vendor's service" % bad[0].split()[1]
    return [_refusal("health", "cards are not healthy", "health OK on every card", _listed(bad), remedy)]


def _sick(device: Dict[str, Any]) -> str:
    return (device["health"] or "unread") + "".join(" " + code for code in device["errors"])


def _driver_age(found: Facts, wanted: Wanted) -> Any:
    """Return (refusals, warnings) about the driver's version, by the policy "fail" or "warn"."""
    # The driver that runs, not the one on disk, which may wait for a reboot.
    version = found["npu"]["driver_version"] or found["driver"]["version"]
    minimum = wanted["driver"]["minimum"]
    if not found["npu"]["answered"] and not version:
        return [], []  # already refused for npu-smi
    try:
        if version and compare_driver(version, minimum) >= 0:
            return [], []
        problem = "the driver is older than release %s needs" % wanted["release"]
    except AscendError as error:
        problem = str(error)
    refusal = _refusal(
        "driver",
        problem,
        "driver %s or newer (firmware %s)" % (minimum, wanted["driver"]["firmware"]),
        str(version or "no version"),
        "install Ascend HDK %s, reboot; to go on regardless: -e ascend_driver_policy=warn" % minimum,
    )
    return ([], [refusal]) if wanted["driver"]["policy"] == "warn" else ([refusal], [])


def _system(found: Facts) -> List[Refusal]:
    glibc = found["system"]["glibc"]
    numbers = tuple(int(part) for part in re.findall(r"\d+", glibc or "")[:2])
    if numbers >= MINIMUM_GLIBC:
        return []
    minimum = ".".join(str(part) for part in MINIMUM_GLIBC)
    return [
        _refusal(
            "glibc",
            "the C library is too old for the wheels",
            "glibc %s or newer" % minimum,
            glibc or "not glibc",
            "upgrade the operating system; supported ones are listed in README.md",
        )
    ]


def _supply(wanted: Wanted) -> List[Refusal]:
    return list(wanted["problems"])


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
        _refusal(
            "downgrade",
            "a newer CANN is installed",
            "CANN %s" % version,
            "CANN %s is what `latest` leads to" % latest,
            "set ascend_release to the newer release, or ask for the older: -e cann_allow_downgrade=true",
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
            _refusal(
                "directory",
                "CANN's installer refuses %s" % path["path"],
                "owner root, mode 0755",
                "owner uid %s, mode %s" % (path["uid"], path["mode"]),
                "chown root:root %s && chmod 0755 %s" % (path["path"], path["path"]),
            )
        )
    return refusals


# Which places a component fills, by the names that release.yml gives their needs (disk_mb).
_ROOM = {"toolkit": ("cann", "tmp", "cache"), "kernels": ("cann", "tmp", "cache"), "environment": ("env",)}


def _disk(found: Facts, wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    """Places on one file system share its free space, so their needs are added up before they are compared."""
    places = sorted({place for step in steps for place in _ROOM.get(step["component"], ())})
    needs = {}  # type: Dict[int, List[str]]
    for place in places:
        disk = found["system"]["disk"][wanted["places"][place]]
        needs.setdefault(disk["device"], []).append(place)
    refusals = []
    for together in needs.values():
        need = sum(int(wanted["disk_mb"][place]) for place in together)
        paths = ", ".join(sorted({wanted["places"][place] for place in together}))
        free = found["system"]["disk"][wanted["places"][together[0]]]["free_mb"]
        if free < need:
            refusals.append(
                _refusal(
                    "disk",
                    "too little room for %s" % paths,
                    "%d MB free" % need,
                    "%d MB free" % free,
                    "free some space or mount a larger disk there: df -h %s" % paths.replace(",", ""),
                )
            )
    return refusals


def _eula(wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    packages = [step["component"] for step in steps if step["component"] in ("toolkit", "kernels")]
    if wanted["accept_eula"] or not packages:
        return []
    return [
        _refusal(
            "eula",
            "CANN's licence has not been accepted",
            "cann_accept_eula: true",
            "cann_accept_eula: false",
            "read the licence (bash Ascend-cann-toolkit_*.run --install shows it), then set cann_accept_eula: true",
        )
    ]


def _listed(items: List[str], count: Any = None) -> str:
    total = len(items) if count is None else int(count)
    shown = ", ".join(items[:SHOWN])
    return shown if total <= SHOWN else "%s and %d more" % (shown, total - SHOWN)
