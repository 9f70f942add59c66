# SPDX-License-Identifier: Apache-2.0
"""What has to change on a node, in the order in which it is done."""

from __future__ import annotations

from ...ascend.cann.layouts import LAYOUTS
from ...ascend.environment.differences import Built, checkout_differences, environment_differences
from ...ascend.environment.examples import FOLDER
from ...ascend.finding import Cause, cause
from ...ascend.text import listed
from .asked import Wanted, WantedPython
from .components import Step, step
from .crossing import beside_words, cross_step
from .found import Found, Package, Python
from .packages import packages_step
from .system import settings_step
from .users import users_step


def steps(found: Found, wanted: Wanted) -> list[Step]:
    """Return the steps that give the node its wanted state; none for a converged node."""
    todo = packages_step(found, wanted) + settings_step(found, wanted) + _python(found, wanted)
    toolkit = _toolkit(found, wanted)
    cann = cross_step(found, wanted, toolkit) + toolkit + _kernels(found, wanted, toolkit)
    todo += cann or _latest(found, wanted)
    todo += (_environment(found, wanted) or _examples(found, wanted)) + _checkout(found, wanted)
    todo += _ascend_env(found, wanted) + _rights(found, wanted) + users_step(found)
    return todo + _current(found, wanted)


def _python(found: Found, wanted: Wanted) -> list[Step]:
    version = wanted.python.version
    if not version:
        return []  # the depot has none for this architecture: its problems say so
    state = found.pythons.get(version, Python()).state
    if state == "complete":
        return []
    action = "install" if state == "absent" else "repair"
    reason = f"Python {version} is {state}"
    return [step("python", action, reason, state, version, wanted.python.path)]


def _toolkit(found: Found, wanted: Wanted) -> list[Step]:
    version = wanted.toolkit.version
    steps = _package("toolkit", f"toolkit {version}", found.cann.of(version).toolkit, wanted)
    return [{**each, "reason": each["reason"] + beside_words(found, wanted)} for each in steps]


def _kernels(found: Found, wanted: Wanted, toolkit: list[Step]) -> list[Step]:
    version, chip = wanted.toolkit.version, wanted.kernels.chip
    if not chip:
        return []  # no card of a supported chip: the hardware's refusals say so
    name = f"kernels-{chip} {version}"
    if toolkit:
        # Installing or upgrading the toolkit takes its kernels away (Huawei's guide, uninstall and upgrade pages).
        action = toolkit[0]["action"]
        reason = f"{name} follow the toolkit's {action}"
        return [step("kernels", action, reason, "toolkit changes", version, wanted.environment.cann_home)]
    return _package("kernels", name, found.cann.of(version).of_chip(chip), wanted)


def _latest(found: Found, wanted: Wanted) -> list[Step]:
    """CANN's ``latest`` pointed to another version before an interrupted repair; a complete one restores it itself."""
    before = found.cann.repairing
    if not before:
        return _lost_link(found, wanted)
    reason = f"a repair of CANN {before.repaired} was interrupted before `latest` pointed to {before.latest} again"
    return [step("latest", "restore", reason, found.cann.latest or "no version", before.latest, found.cann.root)]


def _lost_link(found: Found, wanted: Wanted) -> list[Step]:
    """A ``latest`` that is a single link is created again; the older layout's is a folder and the installer's."""
    version, home = wanted.toolkit.version, wanted.environment.cann_home
    one_link = LAYOUTS[wanted.toolkit.layout].one_link
    if not one_link or found.cann.of(version).toolkit.state == "absent" or found.cann.latest_of(home):
        return []
    reason = "CANN's link `cann` points to no version, so sessions that source its set_env.sh find no CANN"
    return [step("latest", "link", reason, "no version", version, home.rpartition("/")[0])]


def _package(step_name: str, name: str, package: Package, wanted: Wanted) -> list[Step]:
    # An unproven one was installed; what is left to do is the proof, which comes with "current".
    if package.state in ("complete", "unproven"):
        return []
    action = "install" if package.state == "absent" else "repair"
    reason = f"{name} is {package.state}"
    if package.problems:
        reason += ": " + listed(package.problems, package.problem_count)
    where = wanted.environment.cann_home
    return [step(step_name, action, reason, package.state, wanted.toolkit.version, where)]


def _environment(found: Found, wanted: Wanted) -> list[Step]:
    environment = wanted.environment
    name, where = environment.name, environment.path
    if not name:
        return []  # no lock for this architecture: the problems of the supply say so
    built = found.environments.all.get(name)
    if built is None:
        return [step("environment", "install", f"environment {name} is absent", "absent", name, where)]
    causes = environment_differences(
        Built(built.state, built.lock_digest, built.cann_home, built.difference, built.problems, built.editable),
        environment.lock_digest,
        environment.cann_home,
        bool(environment.source),
    )
    causes += _interpreter(found, wanted.python)
    if not causes:
        return []
    difference = built.difference
    shown = len(difference["missing"]) + len(difference["other"]) + len(difference["extra"])
    unlisted = built.problem_count - len(built.problems) + built.difference_count - shown
    reasons = listed([each["problem"] for each in causes], len(causes) + unlisted)
    reason = f"environment {name}: {reasons}"
    if unlisted > 0:
        causes.append(cause("unlisted", f"{unlisted} more differences than the facts list"))
    return [step("environment", "repair", reason, built.state, name, where, causes)]


def _interpreter(found: Found, python: WantedPython) -> list[Cause]:
    """The environment's Python was damaged, and the depot no longer has its version; or it is not accepted."""
    replaces = python.replaces
    if not replaces:
        return []
    state = found.pythons.get(replaces, Python()).state
    why = "the release does not accept (release.yml, python.accepted)" if state == "complete" else "is " + state
    have = python.version or "none that it accepts"
    words = f"the environment runs Python {replaces}, which {why}, and the depot has {have}"
    return [cause("python", words, have, replaces)]


def _checkout(found: Found, wanted: Wanted) -> list[Step]:
    """The checkout of LLaMA-Factory, if one is wanted and exists."""
    environment = wanted.environment
    built = found.environments.all.get(environment.name)
    checkout = built.sources.get("llamafactory") if built else None
    if not environment.source or not checkout:
        return []
    version = environment.source.version
    causes = checkout_differences(checkout, version)
    if not causes:
        return []
    reason = "; ".join(each["problem"] for each in causes)
    return [step("source", "repair", reason, "edited", version, checkout["path"], causes)]


def _examples(found: Found, wanted: Wanted) -> list[Step]:
    """The environment's examples for its users; building or repairing it writes them, too."""
    environment = wanted.environment
    built = found.environments.all.get(environment.name)
    have = built.examples or "" if built else environment.examples
    if have == environment.examples:
        return []
    action, state = ("repair", "altered, or of an earlier version") if have else ("install", "absent")
    path = f"{environment.path}/{FOLDER}"
    reason = f"the examples for LLaMA-Factory are {state}"
    return [step("examples", action, reason, have or "absent", environment.examples, path)]


def _ascend_env(found: Found, wanted: Wanted) -> list[Step]:
    have, want = found.ascend_env.sha256, wanted.ascend_env.sha256
    if have == want:
        return []
    action, state = ("repair", "altered") if have else ("install", "absent")
    path = wanted.ascend_env.path
    return [step("ascend-env", action, f"{path} is {state}", state, want, path)]


def _rights(found: Found, wanted: Wanted) -> list[Step]:
    """What is complete but only root can use; above our folders nothing is changed."""
    closed = [(f"{each.path} ({each.mode})", each.path, each.mode) for each in found.closed if each.ours]
    for name, where, words in _closed_trees(found, wanted):
        closed.append((f"{name}: {words}", where, words))
    if not closed:
        return []
    want = "rights to read, run and enter for others"
    causes = [cause("closed", "others cannot use " + words, want, have, where) for words, where, have in closed]
    reason = "others cannot use " + listed([words for words, _, _ in closed])
    return [step("rights", "repair", reason, "closed to others", want, wanted.places.env, causes)]


def _closed_trees(found: Found, wanted: Wanted) -> list[tuple[str, str, str]]:
    """Return name and place of what the release wants, and which parts of it others cannot use."""
    python, version, environment = wanted.python, wanted.toolkit.version, wanted.environment
    cann, chip, home = found.cann.of(version), wanted.kernels.chip, environment.cann_home
    trees = [
        (f"Python {python.version}", python.path, found.pythons.get(python.version)),
        (f"toolkit {version}", home, cann.toolkit),
        (f"kernels-{chip} {version}", home, cann.of_chip(chip)),
        (f"environment {environment.name}", environment.path, found.environments.all.get(environment.name)),
    ]
    return [(name, where, tree.closed) for name, where, tree in trees if tree and tree.closed]


def _current(found: Found, wanted: Wanted) -> list[Step]:
    have, want = found.environments.current, wanted.environment.name
    if not want:
        return []
    if have == want:
        return _unproven(found, wanted)
    leads = f"points to {have}" if have else "is absent"
    where = wanted.environment.path.rpartition("/")[0] + "/current"
    return [step("current", "switch", f"the link current {leads}", have or "absent", want, where)]


def _unproven(found: Found, wanted: Wanted) -> list[Step]:
    """A CANN whose layout is not the documented one is complete once its environment has run on the cards."""
    version, chip = wanted.toolkit.version, wanted.kernels.chip
    version_found = found.cann.of(version)
    packages = {"toolkit": version_found.toolkit, "kernels": version_found.of_chip(chip)}
    names = [name for name, package in packages.items() if package.state == "unproven"]
    if not names:
        return []
    reason = f"CANN {version} ({', '.join(names)}) was installed, and no card has proven it yet"
    return [step("current", "prove", reason, "unproven", "proven on the cards", wanted.environment.cann_home)]
