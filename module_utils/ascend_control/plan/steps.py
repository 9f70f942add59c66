# SPDX-License-Identifier: Apache-2.0
"""What has to change on a node, in the order in which it is done."""

from __future__ import annotations

from typing import Any

from ...ascend.environment.differences import environment_differences, source_differences
from ...ascend.finding import Cause, cause, listed
from .components import Facts, Step, Wanted, step
from .packages import packages_step
from .system import settings_step
from .users import users_step


def steps(found: Facts, wanted: Wanted) -> list[Step]:
    """Return the steps that make the node what is wanted; none for a converged node."""
    todo = packages_step(found, wanted) + settings_step(found, wanted) + _python(found, wanted)
    toolkit = _toolkit(found, wanted)
    cann = toolkit + _kernels(found, wanted, toolkit)
    todo += cann or _latest(found)
    todo += _environment(found, wanted) + _source(found, wanted)
    todo += _ascend_env(found, wanted) + _rights(found, wanted) + users_step(found)
    return todo + _current(found, wanted)


def _python(found: Facts, wanted: Wanted) -> list[Step]:
    version = wanted["python"]["version"]
    if not version:
        return []  # the depot has none for this architecture: its problems say so
    state = found["pythons"].get(version, {}).get("state", "absent")
    if state == "complete":
        return []
    action = "install" if state == "absent" else "repair"
    reason = f"Python {version} is {state}"
    return [step("python", action, reason, state, version, wanted["python"].get("path", ""))]


def _toolkit(found: Facts, wanted: Wanted) -> list[Step]:
    version = wanted["toolkit"]["version"]
    package = found["cann"]["versions"].get(version, {}).get("toolkit", _ABSENT)
    return _package("toolkit", f"toolkit {version}", package, wanted)


def _kernels(found: Facts, wanted: Wanted, toolkit: list[Step]) -> list[Step]:
    version, chip = wanted["toolkit"]["version"], wanted["kernels"]["chip"]
    if not chip:
        return []  # no card of a supported chip: the hardware's refusals say so
    name = f"kernels-{chip} {version}"
    if toolkit:
        # Installing or upgrading the toolkit takes its kernels away (Huawei's guide, uninstall and upgrade pages).
        action = toolkit[0]["action"]
        reason = f"{name} follow the toolkit's {action}"
        return [step("kernels", action, reason, "toolkit changes", version, toolkit[0]["where"])]
    package = found["cann"]["versions"].get(version, {}).get("kernels", {}).get(chip, _ABSENT)
    return _package("kernels", name, package, wanted)


def _latest(found: Facts) -> list[Step]:
    """CANN's ``latest`` led to another one before a repair that was interrupted; a repair leads it back itself."""
    before = found["cann"].get("repairing")
    if not before:
        return []
    reason = f"a repair of CANN {before['repaired']} was interrupted before `latest` led to {before['latest']} again"
    where = str(found["cann"].get("root", ""))
    return [step("latest", "lead back", reason, found["cann"]["latest"] or "no version", before["latest"], where)]


_ABSENT = {"state": "absent", "problems": [], "problem_count": 0}


def _package(component: str, name: str, package: dict[str, Any], wanted: Wanted) -> list[Step]:
    # An unproven one was installed; what is left to do is the proof, which comes with "current".
    if package["state"] in ("complete", "unproven"):
        return []
    action = "install" if package["state"] == "absent" else "repair"
    reason = f"{name} is {package['state']}"
    if package["problems"]:
        reason += ": " + listed(package["problems"], package["problem_count"])
    where = wanted["environment"]["cann_home"]
    return [step(component, action, reason, package["state"], wanted["toolkit"]["version"], where)]


def _environment(found: Facts, wanted: Wanted) -> list[Step]:
    environment = wanted["environment"]
    name, where = environment["name"], environment.get("path", "")
    if not name:
        return []  # no lock for this architecture: the problems of the supply say so
    there = found["environments"]["all"].get(name)
    if there is None:
        return [step("environment", "install", f"environment {name} is absent", "absent", name, where)]
    causes = environment_differences(there, environment) + _interpreter(found, wanted["python"])
    if not causes:
        return []
    unlisted = there["problem_count"] - len(there["problems"]) + there["difference_count"]
    unlisted -= sum(len(names) for names in there["difference"].values())
    reasons = listed([each["problem"] for each in causes], len(causes) + unlisted)
    reason = f"environment {name}: {reasons}"
    if unlisted > 0:
        causes.append(cause("unlisted", f"{unlisted} differences more than the facts list"))
    return [step("environment", "repair", reason, there["state"], name, where, causes)]


def _interpreter(found: Facts, python: dict[str, Any]) -> list[Cause]:
    """The Python below the environment was damaged, and the depot has no longer its version; or it is not accepted."""
    replaces = python.get("replaces")
    if not replaces:
        return []
    state = found["pythons"].get(replaces, {}).get("state", "absent")
    why = "the release does not accept (release.yml, python.accepted)" if state == "complete" else "is " + state
    have = python["version"] or "none that it accepts"
    words = f"it runs Python {replaces}, which {why}, and the depot has {have}"
    return [cause("python", words, have, replaces)]


def _source(found: Facts, wanted: Wanted) -> list[Step]:
    """The checkout of LLaMA-Factory, where one is wanted and is there."""
    environment = wanted["environment"]
    there = found["environments"]["all"].get(environment["name"], {}).get("sources", {}).get("llamafactory")
    if not environment.get("source") or not there:
        return []
    version = environment["source"]["version"]
    causes = source_differences(there, version)
    if not causes:
        return []
    reason = "; ".join(each["problem"] for each in causes)
    return [step("source", "repair", reason, "edited", version, there["path"], causes)]


def _ascend_env(found: Facts, wanted: Wanted) -> list[Step]:
    have, want = found["ascend_env"]["sha256"], wanted["ascend_env"]["sha256"]
    if have == want:
        return []
    action, state = ("repair", "altered") if have else ("install", "absent")
    path = wanted["ascend_env"]["path"]
    return [step("ascend-env", action, f"{path} is {state}", state, want, path)]


def _rights(found: Facts, wanted: Wanted) -> list[Step]:
    """What is complete, and which others than root cannot use; above our folders nothing is changed."""
    closed = [
        (f"{each['path']} ({each['mode']})", each["path"], each["mode"]) for each in found["closed"] if each["ours"]
    ]
    for name, where, there in _trees(found, wanted):
        words = there.get("closed", "")
        closed += [(f"{name}: {words}", where, words)] if words else []
    if not closed:
        return []
    want = "rights to read, run and enter for others"
    causes = [cause("closed", "others cannot use " + words, want, have, where) for words, where, have in closed]
    reason = "others cannot use " + listed([words for words, _, _ in closed])
    return [step("rights", "repair", reason, "closed to others", want, wanted["places"]["env"], causes)]


def _trees(found: Facts, wanted: Wanted) -> list[tuple[str, str, dict[str, Any]]]:
    """Return name, place and facts of what the release wants, and the node has."""
    python, version, environment = wanted["python"], wanted["toolkit"]["version"], wanted["environment"]
    cann = found["cann"]["versions"].get(version, {})
    kernels = cann.get("kernels", {}).get(wanted["kernels"]["chip"])
    there = [
        (f"Python {python['version']}", python.get("path", ""), found["pythons"].get(python["version"])),
        (f"toolkit {version}", environment["cann_home"], cann.get("toolkit")),
        (f"kernels-{wanted['kernels']['chip']} {version}", environment["cann_home"], kernels),
        (
            f"environment {environment['name']}",
            environment.get("path", ""),
            found["environments"]["all"].get(environment["name"]),
        ),
    ]
    return [(name, where, facts) for name, where, facts in there if facts]


def _current(found: Facts, wanted: Wanted) -> list[Step]:
    have, want = found["environments"]["current"], wanted["environment"]["name"]
    if not want:
        return []
    if have == want:
        return _unproven(found, wanted)
    leads = f"leads to {have}" if have else "is absent"
    where = wanted["environment"].get("path", "").rpartition("/")[0] + "/current"
    return [step("current", "switch", f"the link current {leads}", have or "absent", want, where)]


def _unproven(found: Facts, wanted: Wanted) -> list[Step]:
    """A CANN whose layout is not the documented one is complete once its environment has run on the cards."""
    version, chip = wanted["toolkit"]["version"], wanted["kernels"]["chip"]
    there = found["cann"]["versions"].get(version, {})
    packages = {"toolkit": there.get("toolkit", _ABSENT), "kernels": there.get("kernels", {}).get(chip, _ABSENT)}
    names = [name for name, package in packages.items() if package["state"] == "unproven"]
    if not names:
        return []
    reason = f"CANN {version} ({', '.join(names)}) was installed, and no card has proven it yet"
    return [step("current", "prove", reason, "unproven", "proven on the cards", wanted["environment"]["cann_home"])]
