# SPDX-License-Identifier: Apache-2.0
"""What the node lacks of its distribution's packages, by the policy ``ascend_system_packages``: install or check."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ansible.module_utils.ascend.needs import NEEDS, Need
from ansible.module_utils.ascend.plan.forms import Facts, Refusal, Step, Wanted, cause, listed, refusal, step

INSTALL, CHECK = "install", "check"


def packages_step(found: Facts, wanted: Wanted) -> List[Step]:
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


def packages_refusals(found: Facts, wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    """Return a refusal for each thing without which one of the steps would fail."""
    todo = {step["component"] for step in steps}
    if "packages" in todo:
        return []
    return [
        _told("package-missing", [need], found, wanted) for need in _lacking(found) if todo.intersection(need.steps)
    ]


def packages_remarks(found: Facts, wanted: Wanted, steps: List[Step]) -> List[Refusal]:
    """Return what training may need, all in one: nobody knows whether this fleet's does."""
    needs = [need for need in _lacking(found) if not need.steps]
    if not needs or any(step["component"] == "packages" for step in steps):
        return []
    return [_told("packages-for-training", needs, found, wanted)]


def _lacking(found: Facts) -> List[Need]:
    lacking = found["system"].get("lacking") or []
    return [need for need in NEEDS if need.name in lacking]


def _names(found: Facts, wanted: Wanted) -> Optional[Dict[str, str]]:
    names: Optional[Dict[str, str]] = wanted["packages"]["names"].get(found["system"].get("package_manager"))
    return names


def _problem(need: Need) -> str:
    return "%s is missing: %s" % (need.name, need.why)


def _told(check: str, needs: List[Need], found: Facts, wanted: Wanted) -> Refusal:
    names: Any = _names(found, wanted)
    if names is None:
        remedy = "install %s by the distribution's own means" % ", ".join(need.name for need in needs)
    else:
        packages = " ".join(sorted(names[need.name] for need in needs))
        remedy = "%s install %s" % (found["system"]["package_manager"], packages)
        remedy += "  # or ascend_system_packages: install in the inventory, and site.yml does it"
    problem = "; ".join(_problem(need) for need in needs)
    subject = ", ".join(need.name for need in needs)
    return refusal("system", check, problem, "%s on the node" % subject, "absent", remedy, "", subject)
