# SPDX-License-Identifier: Apache-2.0
"""Which environment a node is rolled back to, and whether that works without installing anything.

It depends only on the node's facts, not on the depot or the release's folder.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from ...ascend.cann.layouts import version_of
from ...ascend.environment.distributions import DECIDING
from ...ascend.finding import Refusal, refusal
from ...ascend.npu.chips import kernels_families
from ...ascend.text import listed
from .documents import Document
from .found import Cann, CannVersion, Environment, Environments, Npu, part_of
from .rollout import CONVERGED, REFUSED, TO_CHANGE


class Target(TypedDict):
    """``switch`` if another one is current, ``lead_latest`` if CANN's ``latest`` points to another version."""

    name: str
    path: str
    release: str
    cann_version: str
    versions: dict[str, str]
    switch: bool
    lead_latest: bool


# "from" is a word of Python; ``group`` is that of the playbook's plays (rollout.py).
Rollback = TypedDict("Rollback", {"target": Target | None, "refusals": list[Refusal], "from": str, "group": str})


@dataclass(frozen=True)
class _Node:
    """What a way back depends on."""

    environments: Environments
    cann: Cann
    npu: Npu


def rollback(facts: Document, to: str, ascend_root: str = "/opt/ascend") -> Rollback:
    """Return what a node is rolled back to, and what prevents that.

    ``root`` is the folder above the environments; ``to`` a release, an environment's name, or "" for the previous one.
    """
    node = part_of(_Node, facts)
    current = node.environments.current
    name, refusals = _chosen(node, to, ascend_root)
    target: Target | None = None
    if name:
        refusals = _keeps_from(node, name)
        environment = node.environments.all[name]
        version = _cann_version(environment)
        target = {
            "name": name,
            "path": environment.path,
            "release": environment.release or "",
            "cann_version": version,
            "versions": {key: environment.versions[key] for key in DECIDING if key in environment.versions},
            "switch": current != name,
            "lead_latest": node.cann.latest_of(environment.cann_home or "") != version,
        }
    todo = target and (target["switch"] or target["lead_latest"])
    group = REFUSED if refusals else TO_CHANGE if todo else CONVERGED
    return {"target": target, "refusals": refusals, "from": current or "none", "group": group}


def _chosen(node: _Node, to: str, ascend_root: str) -> tuple[str, list[Refusal]]:
    environments = node.environments
    existing, current, previous = environments.all, environments.current, environments.previous
    if not to:
        if previous in existing and previous != current:
            return previous, []
        return "", [
            _nothing(
                "the node has no environment that was current before", "a previous environment", existing, ascend_root
            )
        ]
    fit = [name for name in sorted(existing) if to in (name, existing[name].release)]
    if not fit:
        return "", [_nothing(f"the node has no environment of {to}", to, existing, ascend_root)]
    # Several locks of one release: what can be gone back to, and of that what is or was in use.
    fit.sort(key=lambda name: (bool(_keeps_from(node, name)), name != current, name != previous, name))
    return fit[0], []


def _keeps_from(node: _Node, name: str) -> list[Refusal]:
    environment = node.environments.all[name]
    return _incomplete(name, environment) + _without_cann(node, name, environment) + _without_cards(node.npu)


def _cann_version(environment: Environment) -> str:
    return version_of(environment.cann_home or "")


def _nothing(problem: str, wanted: str, names: Iterable[str], ascend_root: str) -> Refusal:
    remedy = "ansible-playbook site.yml -e ascend_release=RELEASE  # installs what is missing"
    where = posixpath.join(ascend_root, "env")
    return refusal("env", "rollback", problem, wanted, listed(sorted(names)) or "no environment", remedy, where)


def _incomplete(name: str, environment: Environment) -> list[Refusal]:
    words = [] if environment.state == "complete" else [environment.state]
    if environment.problem_count:
        words.append(listed([each["problem"] for each in environment.problems], environment.problem_count))
    if environment.difference_count:
        words.append(f"{environment.difference_count} distributions differ from its lock")
    if environment.closed:
        words.append(f"others cannot use {environment.closed}")
    if not words:
        return []
    problem = f"environment {name} is not intact"
    remedy = f"ansible-playbook site.yml -e ascend_release={environment.release or 'RELEASE'}  # repairs it"
    return [refusal("env", "rollback", problem, "a complete environment", "; ".join(words), remedy, environment.path)]


def _without_cann(node: _Node, name: str, environment: Environment) -> list[Refusal]:
    version = _cann_version(environment)
    missing = ["the environment does not say which CANN it was built for"]
    if version:
        missing = _missing_of_cann(version, node, environment.cann_home or "")
    if not missing:
        return []
    problem = f"the CANN of environment {name} is not intact"
    release = environment.release or "RELEASE"
    remedy = f"ansible-playbook site.yml -e ascend_release={release} -e cann_allow_downgrade=true"
    if version and node.cann.others_in_place(environment.cann_home or ""):
        remedy += " -e cann_cross=replace  # installs it again"
    wanted, where = f"CANN {version or '?'}, complete", environment.cann_home or environment.path
    return [refusal("cann", "rollback", problem, wanted, "; ".join(missing), remedy, where)]


def _missing_of_cann(version: str, node: _Node, home: str) -> list[str]:
    """Return the missing packages; the same version elsewhere is not the one that the environment was built for."""
    installed = node.cann.of(version)
    if installed.path not in ("", home):
        installed = CannVersion()
    packages = {f"toolkit {version}": installed.toolkit}
    for chip in kernels_families(device.name for device in node.npu.devices):
        packages[f"kernels-{chip} {version}"] = installed.of_chip(chip)
    return [f"{name}: {package.state}" for name, package in packages.items() if package.state != "complete"]


def _without_cards(npu: Npu) -> list[Refusal]:
    """What becomes current is verified on the cards first."""
    if npu.answered and npu.devices:
        return []
    problem = "the environment cannot be verified: npu-smi shows no card"
    remedy = "npu-smi info; dmesg | tail"
    return [refusal("driver", "rollback", problem, "cards that answer", "none", remedy, "npu-smi info")]
