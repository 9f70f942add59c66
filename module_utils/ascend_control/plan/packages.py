# SPDX-License-Identifier: Apache-2.0
"""What the node lacks of its distribution's packages, by the policy ``ascend_system_packages``: install or check."""

from __future__ import annotations

from typing import Any

from ...ascend.finding import Refusal, cause, listed, refusal
from ...ascend.needs import NEEDS, Need
from .components import Facts, Step, Wanted, step

INSTALL, CHECK = "install", "check"


def packages_step(found: Facts, wanted: Wanted) -> list[Step]:
    """Return the step that installs what is missing, where that was asked for and the node has a known way to do it."""
    names = _names(found, wanted)
    if wanted["packages"]["policy"] != INSTALL or names is None:
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


def packages_refusals(found: Facts, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Return a refusal for each thing without which one of the steps would fail."""
    todo = {step["component"] for step in steps}
    if "packages" in todo:
        return []
    return [
        _told("package-missing", [need], found, wanted) for need in _lacking(found) if todo.intersection(need.steps)
    ]


def packages_remarks(found: Facts, wanted: Wanted, steps: list[Step]) -> list[Refusal]:
    """Return what training may need, all in one: nobody knows whether this fleet's does."""
    needs = [need for need in _lacking(found) if not need.steps]
    if not needs or any(step["component"] == "packages" for step in steps):
        return []
    return [_told("packages-for-training", needs, found, wanted)]


def _lacking(found: Facts) -> list[Need]:
    lacking = found["system"].get("lacking") or []
    return [need for need in NEEDS if need.name in lacking]


def _names(found: Facts, wanted: Wanted) -> dict[str, str] | None:
    names: dict[str, str] | None = wanted["packages"]["names"].get(found["system"].get("package_manager"))
    return names


def _problem(need: Need) -> str:
    return f"{need.name} is missing: {need.why}"


def _told(check: str, needs: list[Need], found: Facts, wanted: Wanted) -> Refusal:
    names: Any = _names(found, wanted)
    if names is None:
        remedy = f"install {', '.join(need.name for need in needs)} by the distribution's own means"
    else:
        packages = " ".join(sorted(names[need.name] for need in needs))
        remedy = f"{found['system']['package_manager']} install {packages}"
        remedy += "  # or ascend_system_packages: install in the inventory, and site.yml does it"
    problem = "; ".join(_problem(need) for need in needs)
    subject = ", ".join(need.name for need in needs)
    return refusal("system", check, problem, f"{subject} on the node", "absent", remedy, "", subject)
