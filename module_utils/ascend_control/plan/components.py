# SPDX-License-Identifier: Apache-2.0
"""The forms of what a plan holds, and the components of a node to which each belongs.

* a step is ``{"component", "action", "reason", "found", "wanted", "where", "causes"}``; its component names the role's
  part that does it (STEPS); ``causes`` are what is wrong in particular, ``{"name", "subject", "problem", "wanted",
  "found"}``, empty where the reason says all;
* a refusal is ``{"component", "check", "subject", "problem", "wanted", "found", "where", "remedy"}``; ``check`` is a
  stable name, ``subject`` says which one where a check can fail several times (a card); a warning has the same form,
  and so has a remark: a warning whose name stands in REMARKS (``split``).
"""

from __future__ import annotations

from typing import Any

from ...ascend.finding import Cause, Refusal, refusal
from ...ascend.masking import masked_values

Facts = dict[str, Any]
Wanted = dict[str, Any]
Step = dict[str, Any]

# What of a node is looked at, in the order of what stands on what: without access nothing is known.
COMPONENTS = ("access", "driver", "cards", "network", "system", "cann", "python", "env", "llamafactory")
# Step -> component.
STEPS = {
    "packages": "system",
    "system": "system",
    "python": "python",
    "toolkit": "cann",
    "kernels": "cann",
    "latest": "cann",
    "environment": "env",
    "source": "llamafactory",
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
    component: str,
    action: str,
    reason: str,
    found: str,
    wanted: str,
    where: str = "",
    causes: list[Cause] | None = None,
) -> Step:
    """Return a step (see the module's description)."""
    words = {"reason": reason, "found": found, "wanted": wanted, "where": where}
    return {"component": component, "action": action, **masked_values(words), "causes": causes or []}


def as_refusal(finding: dict[str, str]) -> Refusal:
    """Return a finding of the facts (module_utils/ascend/finding.py) in the form of a refusal."""
    keys = ("problem", "wanted", "found", "remedy", "where")
    return refusal(component_of(finding), finding["name"], **{key: finding[key] for key in keys})


def split(told: list[Refusal]) -> tuple[list[Refusal], list[Refusal]]:
    """Return (warnings, remarks) of what is told of a node without a step or a refusal: the name decides."""
    return [each for each in told if each["check"] not in REMARKS], [each for each in told if each["check"] in REMARKS]


def component_of(finding: dict[str, str]) -> str:
    """Return the component of which a finding of the facts speaks."""
    if finding["name"] in _OF_CARDS:
        return "cards"
    if finding["name"] == "python-half-installed":
        return "python"
    return _SUBSETS.get(finding["subset"], "driver")
