# SPDX-License-Identifier: Apache-2.0
"""The forms of a plan's parts, and the components of a node to which each belongs.

* a step is ``{"component", "action", "reason", "found", "wanted", "where", "causes"}``; its component names the role's
  part that does it (STEPS); ``causes`` are the particular problems, ``{"name", "subject", "problem", "wanted",
  "found"}``, empty if the reason says all;
* a refusal is ``{"component", "check", "subject", "problem", "wanted", "found", "where", "remedy"}``; ``check`` is a
  stable name, ``subject`` says which one where a check can fail several times (a card); a warning has the same form,
  and so has a remark: a warning whose name stands in REMARKS (``split``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from ...ascend.finding import Cause, Finding, Refusal, refusal
from ...ascend.masking import masked


class Step(TypedDict):
    component: str
    action: str
    reason: str
    found: str
    wanted: str
    where: str
    causes: list[Cause]


class Plan(TypedDict):
    steps: list[Step]
    refusals: list[Refusal]
    warnings: list[Refusal]
    remarks: list[Refusal]


# What of a node is looked at, in the order of what stands on what: without access nothing is known.
COMPONENTS = ("access", "driver", "cards", "network", "system", "cann", "python", "env", "llamafactory")
# Step -> component.
STEPS = {
    "packages": "system",
    "system": "system",
    "python": "python",
    "cross": "cann",
    "toolkit": "cann",
    "kernels": "cann",
    "latest": "cann",
    "environment": "env",
    "source": "llamafactory",
    "examples": "llamafactory",
    "ascend-env": "env",
    "rights": "system",
    "users": "cards",
    "current": "env",
}
# Findings of the facts that speak of cards; the others of their subsets speak of the driver.
_OF_USERS = ("device-user-absent", "device-user-shut-out", "device-user-unread")
_OF_CARDS = ("card-unhealthy", "fewer-chips-visible", "device-files-missing", *_OF_USERS)
_SUBSETS = {"network": "network", "cann": "cann", "python": "env", "system": "system"}

# What is shown and is no drift: nothing is wrong, or nobody knows that something is. A check or a finding of the facts
# whose name stands here is a remark, whoever tells it.
REMARKS = (
    "clock-kept-otherwise",
    "cann-changes-itself",
    "cann-layout-unknown",
    "device-user-unread",
    "driver-unordered",
    "drivers-not-alike",
    "firmware-of-another-driver",
    "firmware-unordered",
    "latest-other",
    "limit-of-session",
    "network-busy",
    "packages-for-training",
    "place-hangs",
)
# What keeps a node from being looked at for the moment: site.yml does not change it, and drift has not checked it.
NOT_KNOWN = ("npu-smi-busy",)


def step(
    name: str,
    action: str,
    reason: str,
    found: str,
    wanted: str,
    where: str = "",
    causes: list[Cause] | None = None,
) -> Step:
    """Return a step (see the module's description)."""
    return {
        "component": name,
        "action": action,
        "reason": masked(reason),
        "found": masked(found),
        "wanted": masked(wanted),
        "where": masked(where),
        "causes": causes or [],
    }


def names_of(steps: Iterable[Step]) -> set[str]:
    """Return the names of the steps."""
    return {step["component"] for step in steps}


def as_refusal(finding: Finding, subject: str = "") -> Refusal:
    """Return a finding of the facts (module_utils/ascend/finding.py) in the form of a refusal."""
    name, problem, wanted, found = finding["name"], finding["problem"], finding["wanted"], finding["found"]
    component, remedy, where = component_of(finding), finding["remedy"], finding["where"]
    return refusal(component, name, problem, wanted, found, remedy, where, subject)


def split(found: list[Refusal]) -> tuple[list[Refusal], list[Refusal]]:
    """Return (warnings, remarks) from a node's findings without a step or a refusal; the name decides."""
    return [each for each in found if each["check"] not in REMARKS], [
        each for each in found if each["check"] in REMARKS
    ]


def component_of(finding: Finding) -> str:
    """Return the component of a finding of the facts."""
    name, subset = finding["name"], finding["subset"]
    if name in _OF_CARDS:
        return "cards"
    return "python" if name == "python-half-installed" else _SUBSETS.get(subset, "driver")
