# SPDX-License-Identifier: Apache-2.0
"""Read the environments below /opt/ascend from their files; none of them is started.

An environment is compared with its own receipt, ``.ascend-fleet.json``: what it was built from. So facts contain the
difference, and not two lists of a hundred versions.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .. import files, rights
from ..finding import Finding, finding
from ..node import Node
from ..text import listed
from . import (
    checkout,
    distributions,
    examples,
    files as environment_files,
    findings as environment_findings,
    known_traps,
    site_packages,
    virtualenv,
)
from .distributions import DECIDING, Distribution, Problem, normalise, shown
from .record_file import Corrections

if TYPE_CHECKING:
    from ..shapes import Difference, Environment as EnvironmentFacts, Environments
    from .checkout_manifest import Checkout

RECEIPT = virtualenv.RECEIPT
CANN_HOME = ".cann_home"
CURRENT, PREVIOUS = "current", "previous"
SHOWN = 10  # problems of an environment, and differences of one kind, that facts list
VERSIONS = tuple(sorted((*DECIDING, "transformers")))

Facts = Dict[str, Any]
Place = Callable[[str], str]


class Made(NamedTuple):
    """What an environment is compared with, by its receipt or by a lock.

    ``pins`` are its distributions (name -> version), ``editable`` those of them that are, ``python`` its Python's
    version if that matters, ``corrected`` what ``distributions.corrections`` said when it was built.
    """

    pins: Dict[str, str]
    editable: Sequence[str] = ()
    python: Optional[str] = None
    corrected: Optional[Corrections] = None


class Environment(NamedTuple):
    """What was found in an environment, in full.

    ``problems`` are what a repair cures; ``warnings`` what it cannot, because the environment was built that way.
    ``closed`` is what others cannot use, as text; ``examples`` the sum of ``examples.read``.
    """

    path: str
    receipt: Facts
    made: Optional[Made]
    python: Optional[str]
    cann_home: Optional[str]
    distributions: Dict[str, str]
    editable: Dict[str, str]
    commit: Dict[str, str]
    checkouts: Dict[str, Checkout]
    problems: Tuple[Problem, ...]
    warnings: Tuple[Problem, ...]
    closed: Tuple[str, ...]
    examples: Optional[str]

    def difference(self) -> Difference:
        """Return ``{"missing": {name: wanted}, "other": {name: [found, wanted]}, "extra": {name: found}}``."""
        have, want = self.distributions, self.made.pins if self.made else self.distributions
        both = sorted(set(have) & set(want))
        return {
            "missing": {name: want[name] for name in sorted(set(want) - set(have))},
            "other": {name: [have[name], want[name]] for name in both if have[name] != want[name]},
            "extra": {name: have[name] for name in sorted(set(have) - set(want))},
        }


def read_environments(node: Node, env_dir: str, deep: bool = False) -> Tuple[Environments, List[Finding]]:
    """Return ``{"current", "previous", "all": {name: environment}}`` of the node's folder ``root``, and findings.

    ``current`` is the name to which the link points, ``previous`` the one that was current before; None without a link.

    An environment has the form of ``read_environment``. The current one lists ``distributions`` in full.
    """
    folder = node.path(env_dir)
    current, findings = _current(node, env_dir)
    everything: Dict[str, EnvironmentFacts] = {}
    for name in files.folders(folder):
        if name in (CURRENT, PREVIOUS) or os.path.islink(os.path.join(folder, name)):
            continue
        environment = inspect(os.path.join(env_dir, name), None, deep, node.path, current in (name, None))
        everything[name] = _facts(environment, name == current)
        findings += _findings(name, environment)
    previous = files.link(os.path.join(folder, PREVIOUS))
    facts: Environments = {"current": current, "previous": shown(previous) if previous else None, "all": everything}
    return facts, findings


def read_environment(path: str, made: Optional[Made] = None, deep: bool = False) -> EnvironmentFacts:
    """Return what an environment is, compared with ``made`` or else with its receipt.

    ``{"path", "state", "release", "python", "cann_home", "lock_digest", "distribution_count", "versions",
    "distributions", "difference", "difference_count", "editable", "commit", "sources", "examples", "problems",
    "problem_count"}``: ``distributions`` maps normalised names (PEP 503) to versions; ``difference`` is that of
    ``Environment.difference``, at most SHOWN of a kind, and empty if nothing says what it was built from; ``sources``
    maps the names of the distributions that were built in editable to ``Checkout.facts``. It is complete when its
    receipt is there. ``closed`` is there where others cannot use something, and says what.

    ``deep`` compares every file with the sum in its RECORD.
    """
    return _facts(inspect(path, made, deep), True)


def inspect(
    path: str, made: Optional[Made] = None, deep: bool = False, place: Place = str, by_file: bool = True
) -> Environment:
    """Read an environment; ``place`` maps the node's absolute paths to where they are.

    ``by_file``: also compare its files with what the builder recorded.
    """
    here = place(path)
    receipt = files.mapping(os.path.join(here, RECEIPT))
    by_receipt = _made(receipt)
    corrected = by_receipt.corrected if by_receipt else None
    made = made or by_receipt
    interpreter = virtualenv.read(here, place)
    found, editable, problems = site_packages.read(path, place, interpreter.series, deep, corrected)
    versions = {distribution.name: distribution.version for distribution in found}
    cann_home = (files.text(os.path.join(here, CANN_HOME)) or "").strip() or None
    problems = _receipt_problems(here, by_receipt) + list(interpreter.problems) + problems
    warnings: List[Problem] = []
    if made:
        if not interpreter.problems and made.python not in (None, interpreter.version):
            words = "its Python is %s, not %s" % (interpreter.version, made.python)
            problems.append(Problem(virtualenv.INTERPRETER, shown(words), subject="version"))
        problems += _not_as_made(here, found, editable, made)
    if by_receipt and receipt.get("cann_home") != cann_home:
        warnings.append(
            Problem(environment_findings.HOME_ALTERED, shown("%s names %s" % (CANN_HOME, cann_home or "no CANN")))
        )
    problems += _lost_checkouts(editable, place)
    checkouts = _checkouts(here, receipt if by_receipt else {}, place, deep)
    closed = _closed(here, checkouts, place)
    if by_file and by_receipt:
        different, more = environment_files.verify(here, problems)
        problems += [] if deep else different
        closed = list(dict.fromkeys(closed + more))
    problems += _unrecorded(checkouts)
    for trap in known_traps.find(versions):
        (warnings if made and _meant(trap.names, versions, made) else problems).append(trap.problem)
    commits = {name: checkout.commit(place(source)) for name, source in editable.items()}
    return Environment(
        path=path,
        receipt=receipt if by_receipt else {},
        made=made,
        python=interpreter.version,
        cann_home=shown(cann_home) if cann_home else None,
        distributions=versions,
        editable={name: shown(source) for name, source in sorted(editable.items())},
        commit={name: commit for name, commit in sorted(commits.items()) if commit},
        checkouts=checkouts,
        problems=tuple(problems),
        warnings=tuple(warnings),
        closed=tuple(closed),
        examples=examples.read(here),
    )


def read_receipt(path: str) -> Optional[Made]:
    """Return what an environment was built from, according to its receipt; None if it was not finished."""
    return _made(files.mapping(os.path.join(path, RECEIPT)))


def foreign_paths(environment: Environment) -> List[str]:
    """Return the files and folders to remove before an installer can repair the environment."""
    return sorted({problem.path for problem in environment.problems if problem.path})


def _facts(environment: Environment, full: bool) -> EnvironmentFacts:
    receipt, have, difference = environment.receipt, environment.distributions, environment.difference()
    digest, release = receipt.get("lock_digest"), receipt.get("release")
    facts: EnvironmentFacts = {
        "path": environment.path,
        "state": "complete" if receipt else "half-installed",
        "release": shown(release) if isinstance(release, str) else None,
        "python": environment.python,
        "cann_home": environment.cann_home,
        "lock_digest": shown(digest) if isinstance(digest, str) else None,
        "distribution_count": len(have),
        "versions": {name: have[name] for name in VERSIONS if name in have},
        "difference": {
            "missing": dict(list(difference["missing"].items())[:SHOWN]),
            "other": dict(list(difference["other"].items())[:SHOWN]),
            "extra": dict(list(difference["extra"].items())[:SHOWN]),
        },
        "difference_count": sum(len(difference[kind]) for kind in ("missing", "other", "extra")),
        "editable": environment.editable,
        "commit": environment.commit,
        "sources": {name: source.facts() for name, source in environment.checkouts.items()},
        "examples": environment.examples,
        "problems": [
            {"name": problem.name, "subject": shown(problem.subject), "problem": problem.words}
            for problem in environment.problems[:SHOWN]
        ],
        "problem_count": len(environment.problems),
    }
    if environment.closed:
        facts["closed"] = shown(listed(list(environment.closed)))
    if full:
        facts["distributions"] = have
    return facts


def _findings(name: str, environment: Environment) -> List[Finding]:
    """Return one finding per kind, however many problems of it there are."""
    words: Dict[str, List[str]] = {}
    if not environment.receipt:
        words[environment_findings.HALF] = []
    for problem in environment.problems + environment.warnings:
        words.setdefault(problem.name, []).append(problem.words)
    difference = environment.difference()
    differing = ["%s is missing" % other for other in difference["missing"]]
    differing += ["%s is %s, not %s" % (other, *versions) for other, versions in difference["other"].items()]
    differing += ["%s %s was added" % (other, version) for other, version in difference["extra"].items()]
    if differing:
        words[environment_findings.DIFFERS] = differing
    found = environment_findings.say(name, environment.path, words)
    if environment.closed:
        what = listed(list(environment.closed))
        found.append(rights.closed_finding("python", "environment %s" % shown(name), what, environment.path))
    for distribution, source in environment.checkouts.items():
        found += environment_findings.say(name, source.path, _checkout_words(distribution, source))
    return found


def _checkout_words(name: str, found: Checkout) -> Dict[str, List[str]]:
    words = {}
    if found.edited:
        words[environment_findings.CHECKOUT_EDITED] = [shown(path) for path in found.edited]
    if found.manifest and found.commit != found.manifest.commit:
        text = "%s is at %s, not %s" % (name, found.commit, found.manifest.commit or "in a repository")
        words[environment_findings.CHECKOUT_COMMIT] = [text]
    return words


def _current(node: Node, env_dir: str) -> Tuple[Optional[str], List[Finding]]:
    """Return the name of the environment to which the link points (the link's own text if it points elsewhere)."""
    path = os.path.join(env_dir, CURRENT)
    link_text = files.link(node.path(path))
    problem = ""
    if link_text is None:
        if os.path.lexists(node.path(path)):
            problem = "is not a link"
    else:
        target = os.path.normpath(os.path.join(env_dir, link_text))
        if os.path.dirname(target) == os.path.normpath(env_dir):
            link_text = os.path.basename(target)
        if not os.path.isdir(node.path(target)):
            problem = "points to nothing"
        link_text = shown(link_text)
    if not problem:
        return link_text, []
    remedy = "rm %s  # if it is not a link, rm -r; then: ansible-playbook site.yml" % path
    words = "the link %s %s" % (CURRENT, problem)
    name = "environment-current-dangling"
    return link_text, [
        finding("python", name, words, "a link to an environment", link_text or "a folder or file", path, remedy)
    ]


# --- the parts of an environment ---------------------------------------------------------------------------------


def _receipt_problems(here: str, made: Optional[Made]) -> List[Problem]:
    if made or not os.path.lexists(os.path.join(here, RECEIPT)):
        return []
    words = "its receipt cannot be read, or does not say what it was built from"
    return [Problem(environment_findings.HALF, words, subject=RECEIPT)]


def _made(receipt: Facts) -> Optional[Made]:
    """Return a receipt's content; None if it lacks the version of any distribution."""
    pins, editable, python = receipt.get("distributions"), receipt.get("editable", {}), receipt.get("python")
    if not isinstance(pins, dict) or not isinstance(editable, dict):
        return None
    if not all(isinstance(version, str) for version in pins.values()):
        return None
    names = {normalise(name): version for name, version in pins.items()}
    return Made(names, tuple(editable), python if isinstance(python, str) else None, _corrected(receipt))


def _corrected(receipt: Facts) -> Optional[Corrections]:
    corrected = receipt.get("corrected")
    if not isinstance(corrected, dict):
        return None
    return {path: row for path, row in corrected.items() if isinstance(row, str)}


def _not_as_made(here: str, found: List[Distribution], editable: Dict[str, str], made: Made) -> List[Problem]:
    """What differs from how the distributions were installed, apart from versions."""
    problems = []
    for distribution in found:
        name, info = distribution.name, distribution.info
        if name in editable and name not in made.editable:
            words = "%s is an editable checkout of %s" % (name, editable[name])
            direct = os.path.join(info, checkout.DIRECT_URL)
            to_remove = direct if info.endswith(".dist-info") else ""
            problems.append(Problem(environment_findings.EDITABLE, shown(words), to_remove, name))
        elif name in made.editable and name not in editable:
            words = "%s is not the editable checkout" % name
            problems.append(Problem(environment_findings.EDITABLE, words, subject=name))
        if not info.endswith(".dist-info") and info.startswith(here + "/"):
            words = "%s was not installed from a wheel: it has no RECORD" % name
            problems.append(Problem(distributions.BROKEN, words, info, "%s egg" % name))
    return problems


def _checkouts(here: str, receipt: Facts, place: Place, deep: bool) -> Dict[str, Checkout]:
    """Return the checkouts that were built in; one that is gone is a problem of its own."""
    editable = receipt.get("editable", {})
    if not editable:
        return {}
    from . import checkout_manifest  # most environments need none of it

    found = {}
    for name, path in sorted(editable.items()):
        name = normalise(name)
        if isinstance(path, str) and path.startswith("/") and "\0" not in path + name and os.path.isdir(place(path)):
            manifest = os.path.join(here, checkout_manifest.MANIFEST % name)
            found[name] = checkout_manifest.read(path, place(path), manifest, deep)
    return found


def _closed(here: str, checkouts: Dict[str, Checkout], place: Place) -> List[str]:
    """Return, as text, which of the deciding folders and files others cannot use."""
    folders = ["", "bin", "lib", virtualenv.CONFIG, CANN_HOME]
    paths = [os.path.join(here, name) for name in folders] + distributions.sites(here)
    paths += [os.path.dirname(site) for site in distributions.sites(here)]
    for source in checkouts.values():
        inside = source.folders()
        paths += [os.path.dirname(place(source.path))] + [os.path.join(place(source.path), name) for name in inside]
    found = rights.closed(paths)
    return [each._replace(path=os.path.relpath(each.path, here)).words() for each in found]


def _unrecorded(checkouts: Dict[str, Checkout]) -> List[Problem]:
    """An environment built before checkouts were recorded is repaired once because of that."""
    names = [name for name, source in checkouts.items() if not source.manifest]
    return [
        Problem(environment_findings.HALF, shown("%s: its checkout has no manifest" % name), subject=name)
        for name in names
    ]


def _lost_checkouts(editable: Dict[str, str], place: Place) -> List[Problem]:
    return [
        Problem(
            environment_findings.EDITABLE_MISSING, shown("%s: its source %s is missing" % (name, source)), subject=name
        )
        for name, source in sorted(editable.items())
        if not source.startswith("/") or not os.path.isdir(place(source))
    ]


def _meant(names: Sequence[str], versions: Dict[str, str], made: Made) -> bool:
    """Whether the environment was built with exactly these versions, which no repair changes."""
    return all(versions.get(name) == made.pins.get(name) for name in names)
