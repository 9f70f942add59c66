# SPDX-License-Identifier: Apache-2.0
"""What has to change on a node, in the order in which it is done."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from ansible.module_utils.ascend.plan.forms import Cause, Facts, Step, Wanted, cause, listed, step
from ansible.module_utils.ascend.plan.packages import packages_step
from ansible.module_utils.ascend.plan.system import settings_step
from ansible.module_utils.ascend.plan.users import users_step


def steps(found: Facts, wanted: Wanted) -> List[Step]:
    """Return the steps that make the node what is wanted; none for a converged node."""
    todo = packages_step(found, wanted) + settings_step(found, wanted) + _python(found, wanted)
    toolkit = _toolkit(found, wanted)
    cann = toolkit + _kernels(found, wanted, toolkit)
    todo += cann or _latest(found)
    todo += _environment(found, wanted) + _source(found, wanted)
    todo += _ascend_env(found, wanted) + _rights(found, wanted) + users_step(found)
    return todo + _current(found, wanted)


def _python(found: Facts, wanted: Wanted) -> List[Step]:
    version = wanted["python"]["version"]
    if not version:
        return []  # the depot has none for this architecture: its problems say so
    state = found["pythons"].get(version, {}).get("state", "absent")
    if state == "complete":
        return []
    action = "install" if state == "absent" else "repair"
    reason = "Python %s is %s" % (version, state)
    return [step("python", action, reason, state, version, wanted["python"].get("path", ""))]


def _toolkit(found: Facts, wanted: Wanted) -> List[Step]:
    version = wanted["toolkit"]["version"]
    package = found["cann"]["versions"].get(version, {}).get("toolkit", _ABSENT)
    return _package("toolkit", "toolkit %s" % version, package, wanted)


def _kernels(found: Facts, wanted: Wanted, toolkit: List[Step]) -> List[Step]:
    version, chip = wanted["toolkit"]["version"], wanted["kernels"]["chip"]
    if not chip:
        return []  # no card of a supported chip: the hardware's refusals say so
    name = "kernels-%s %s" % (chip, version)
    if toolkit:
        # Installing or upgrading the toolkit takes its kernels away (Huawei's guide, uninstall and upgrade pages).
        action = toolkit[0]["action"]
        reason = "%s follow the toolkit's %s" % (name, action)
        return [step("kernels", action, reason, "toolkit changes", version, toolkit[0]["where"])]
    package = found["cann"]["versions"].get(version, {}).get("kernels", {}).get(chip, _ABSENT)
    return _package("kernels", name, package, wanted)


def _latest(found: Facts) -> List[Step]:
    """CANN's ``latest`` led to another one before a repair that was interrupted; a repair leads it back itself."""
    before = found["cann"].get("repairing")
    if not before:
        return []
    reason = "a repair of CANN %(repaired)s was interrupted before `latest` led to %(latest)s again" % before
    where = str(found["cann"].get("root", ""))
    return [step("latest", "lead back", reason, found["cann"]["latest"] or "no version", before["latest"], where)]


_ABSENT = {"state": "absent", "problems": [], "problem_count": 0}  # type: Dict[str, Any]


def _package(component: str, name: str, package: Dict[str, Any], wanted: Wanted) -> List[Step]:
    # An unproven one was installed; what is left to do is the proof, which comes with "current".
    if package["state"] in ("complete", "unproven"):
        return []
    action = "install" if package["state"] == "absent" else "repair"
    reason = "%s is %s" % (name, package["state"])
    if package["problems"]:
        reason += ": " + listed(package["problems"], package["problem_count"])
    where = wanted["environment"]["cann_home"]
    return [step(component, action, reason, package["state"], wanted["toolkit"]["version"], where)]


def _environment(found: Facts, wanted: Wanted) -> List[Step]:
    environment = wanted["environment"]
    name, where = environment["name"], environment.get("path", "")
    if not name:
        return []  # no lock for this architecture: the problems of the supply say so
    there = found["environments"]["all"].get(name)
    if there is None:
        return [step("environment", "install", "environment %s is absent" % name, "absent", name, where)]
    causes = environment_differences(there, environment) + _interpreter(found, wanted["python"])
    if not causes:
        return []
    unlisted = there["problem_count"] - len(there["problems"]) + there["difference_count"]
    unlisted -= sum(len(names) for names in there["difference"].values())
    reasons = listed([each["problem"] for each in causes], len(causes) + unlisted)
    reason = "environment %s: %s" % (name, reasons)
    if unlisted > 0:
        causes.append(cause("unlisted", "%d differences more than the facts list" % unlisted))
    return [step("environment", "repair", reason, there["state"], name, where, causes)]


def _interpreter(found: Facts, python: Dict[str, Any]) -> List[Cause]:
    """The Python below the environment was damaged, and the depot has no longer its version; or it is not accepted."""
    replaces = python.get("replaces")
    if not replaces:
        return []
    state = found["pythons"].get(replaces, {}).get("state", "absent")
    why = "the release does not accept (release.yml, python.accepted)" if state == "complete" else "is " + state
    have = python["version"] or "none that it accepts"
    words = "it runs Python %s, which %s, and the depot has %s" % (replaces, why, have)
    return [cause("python", words, have, replaces)]


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


def _source(found: Facts, wanted: Wanted) -> List[Step]:
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


def _ascend_env(found: Facts, wanted: Wanted) -> List[Step]:
    have, want = found["ascend_env"]["sha256"], wanted["ascend_env"]["sha256"]
    if have == want:
        return []
    action, state = ("repair", "altered") if have else ("install", "absent")
    path = wanted["ascend_env"]["path"]
    return [step("ascend-env", action, "%s is %s" % (path, state), state, want, path)]


def _rights(found: Facts, wanted: Wanted) -> List[Step]:
    """What is complete, and which others than root cannot use; above our folders nothing is changed."""
    closed = [("%(path)s (%(mode)s)" % each, each["path"], each["mode"]) for each in found["closed"] if each["ours"]]
    for name, where, there in _trees(found, wanted):
        words = there.get("closed", "")
        closed += [("%s: %s" % (name, words), where, words)] if words else []
    if not closed:
        return []
    want = "rights to read, run and enter for others"
    causes = [cause("closed", "others cannot use " + words, want, have, where) for words, where, have in closed]
    reason = "others cannot use " + listed([words for words, _, _ in closed])
    return [step("rights", "repair", reason, "closed to others", want, wanted["places"]["env"], causes)]


def _trees(found: Facts, wanted: Wanted) -> List[Tuple[str, str, Dict[str, Any]]]:
    """Return name, place and facts of what the release wants, and the node has."""
    python, version, environment = wanted["python"], wanted["toolkit"]["version"], wanted["environment"]
    cann = found["cann"]["versions"].get(version, {})
    kernels = cann.get("kernels", {}).get(wanted["kernels"]["chip"])
    there = [
        ("Python %s" % python["version"], python.get("path", ""), found["pythons"].get(python["version"])),
        ("toolkit %s" % version, environment["cann_home"], cann.get("toolkit")),
        ("kernels-%s %s" % (wanted["kernels"]["chip"], version), environment["cann_home"], kernels),
        (
            "environment %s" % environment["name"],
            environment.get("path", ""),
            found["environments"]["all"].get(environment["name"]),
        ),
    ]
    return [(name, where, facts) for name, where, facts in there if facts]


def _current(found: Facts, wanted: Wanted) -> List[Step]:
    have, want = found["environments"]["current"], wanted["environment"]["name"]
    if not want:
        return []
    if have == want:
        return _unproven(found, wanted)
    leads = "leads to %s" % have if have else "is absent"
    where = wanted["environment"].get("path", "").rpartition("/")[0] + "/current"
    return [step("current", "switch", "the link current %s" % leads, have or "absent", want, where)]


def _unproven(found: Facts, wanted: Wanted) -> List[Step]:
    """A CANN whose layout is not the documented one is complete once its environment has run on the cards."""
    version, chip = wanted["toolkit"]["version"], wanted["kernels"]["chip"]
    there = found["cann"]["versions"].get(version, {})
    packages = {"toolkit": there.get("toolkit", _ABSENT), "kernels": there.get("kernels", {}).get(chip, _ABSENT)}
    names = [name for name, package in packages.items() if package["state"] == "unproven"]
    if not names:
        return []
    reason = "CANN %s (%s) was installed, and no card has proven it yet" % (version, ", ".join(names))
    return [step("current", "prove", reason, "unproven", "proven on the cards", wanted["environment"]["cann_home"])]
