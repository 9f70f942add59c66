# SPDX-License-Identifier: Apache-2.0
"""What the operator chose for the system of the nodes, and how packages are called by those who install them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.ascend.errors import AscendError
from ansible.module_utils.ascend.plan import packages as plan_packages
from ansible.module_utils.ascend.plan import system as plan_system

NAMES = Path(__file__).resolve().parents[2] / "roles" / "system" / "vars" / "main.yml"
_VALUES = {
    "ascend_driver_policy": ("fail", "warn"),
    "ascend_health_policy": ("fail", "warn"),
    "ascend_system_settings": (plan_system.APPLY, plan_system.CHECK, plan_system.IGNORE),
    "ascend_system_packages": (plan_packages.CHECK, plan_packages.INSTALL),
}


def one_of(variable: str, value: Any) -> str:
    """Return the value of a policy. Raises AscendError for one that it does not have."""
    values = _VALUES[variable]
    if value not in values:
        raise AscendError(
            f"{variable} has no such value",
            wanted=", ".join(values),
            found=repr(value),
            remedy=f"set {variable} to one of them in the inventory; the default is {values[0]}",
        )
    return str(value)


def number(variable: str, value: Any) -> int:
    """Return a number of the inventory's, 0 or more; with ``-e`` it is text. Raises AscendError for what is none."""
    words = str(value).strip()
    if not (words.isascii() and words.isdigit()):
        raise AscendError(
            f"{variable} is no number",
            wanted="a whole number, 0 or more",
            found=repr(value),
            where="the inventory, or -e",
            remedy=f"mend {variable} in the inventory; 0 asks for none in particular",
        )
    return int(words)


def packages(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the policy, and the names of packages by their manager and by what is needed."""
    return {"policy": one_of("ascend_system_packages", settings["system_packages"]), "names": _names()}


@functools.lru_cache(maxsize=1)
def _names() -> dict[str, dict[str, str]]:
    names: dict[str, dict[str, str]] = yaml.safe_load(NAMES.read_text(encoding="utf-8"))["system_packages"]
    return names
