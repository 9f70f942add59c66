# SPDX-License-Identifier: Apache-2.0
"""The distribution's packages that the node lacks, by the policy ``ascend_system_packages``: install or check."""

from __future__ import annotations

from typing import Any

from ...ascend.finding import Refusal, cause, refusal
from ...ascend.needs import NEEDS, Need
from ...ascend.text import listed
from .asked import Wanted
from .components import Step, names_of, step
from .found import Found

INSTALL, CHECK = "install", "check"


def packages_step(found: Found, wanted: Wanted) -> list[Step]:
    """Return the step that installs what is missing, if that is wanted and the node has a known package manager."""
    names = _names(found, wanted)
    if wanted.packages.policy != INSTALL or names is None:
        return []
    causes = [
        cause("package-missing", _problem(need), names[need.name], "absent", need.name) for need in _lacking(found)
    ]
    if not causes:
        return []
    absent = [each["wanted"] for each in causes]
    return [
        step("packages", "install", "packages are missing: " + listed(absent), "absent", ", ".join(absent), "", causes)
    ]


def packages_refusals(found: Found, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Return a refusal for each thing without which one of the steps would fail."""
    todo = names_of(steps)
    if "packages" in todo:
        return []
    return [
        _refusal("package-missing", [need], found, wanted) for need in _lacking(found) if todo.intersection(need.steps)
    ]


def packages_remarks(found: Found, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Return what training may need as a single remark, because we do not know whether this fleet's does."""
    needs = [need for need in _lacking(found) if not need.steps]
    if not needs or "packages" in names_of(steps):
        return []
    return [_refusal("packages-for-training", needs, found, wanted)]


def _lacking(found: Found) -> list[Need]:
    return [need for need in NEEDS if need.name in found.system.lacking]


def _names(found: Found, wanted: Wanted) -> dict[str, str] | None:
    return wanted.packages.names.get(found.system.package_manager or "")


def _problem(need: Need) -> str:
    return f"{need.name} is missing: {need.why}"


def _refusal(name: str, needs: list[Need], found: Found, wanted: Wanted) -> Refusal:
    names: Any = _names(found, wanted)
    if names is None:
        remedy = f"install {', '.join(need.name for need in needs)} with the distribution's package manager"
    else:
        packages = " ".join(sorted(names[need.name] for need in needs))
        remedy = f"{found.system.package_manager} install {packages}"
        remedy += "  # or ascend_system_packages: install in the inventory, and site.yml installs them"
    problem = "; ".join(_problem(need) for need in needs)
    subject = ", ".join(need.name for need in needs)
    return refusal("system", name, problem, f"{subject} on the node", "absent", remedy, "", subject)
