# SPDX-License-Identifier: Apache-2.0
"""What the operator chose for the nodes' system, and the names of packages for each package manager."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...ascend.errors import AscendError
from ..depot.transport import TRANSPORTS
from ..release.read import read_document
from . import crossing, packages as plan_packages, system as plan_system

NAMES = Path(__file__).resolve().parents[3] / "roles" / "system" / "vars" / "main.yml"
_VALUES = {
    "ascend_busy_policy": ("skip", "wait", "ignore"),
    "ascend_driver_policy": ("fail", "warn"),
    "ascend_health_policy": ("fail", "warn"),
    "ascend_python": ("depot", "system"),
    "ascend_system_settings": (plan_system.APPLY, plan_system.CHECK, plan_system.IGNORE),
    "ascend_system_packages": (plan_packages.CHECK, plan_packages.INSTALL),
    "depot_transport": TRANSPORTS,
    "cann_cross": (crossing.BESIDE, crossing.REPLACE),
}
_ARCHITECTURES = ("aarch64", "x86_64")


# As directories have them, too: CORP\\alice, alice@corp.test.
_ACCOUNT = re.compile(r"[A-Za-z_][\w.@\\-]{0,255}\$?", re.ASCII)
_BATCH = re.compile(r"[1-9][0-9]{0,5}|(?:[1-9][0-9]?|100)%")
_PERCENT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})?")


def one_of(variable: str, value: Any) -> str:
    """Return the value of a policy. Raises AscendError for one that it does not have."""
    values = _VALUES[variable]
    if value not in values:
        raise AscendError(
            f"{variable} has an unknown value",
            wanted=", ".join(values),
            found=repr(value),
            remedy=f"set {variable} to one of them in the inventory; the default is {values[0]}",
        )
    return str(value)


def number(variable: str, value: Any) -> int:
    """Return a number from the inventory, 0 or more; with ``-e`` it is text. Raises AscendError for anything else."""
    words = str(value).strip()
    if not (words.isascii() and words.isdigit()):
        raise AscendError(
            f"{variable} is not a number",
            wanted="a whole number, 0 or more",
            found=repr(value),
            where="the inventory, or -e",
            remedy=f"correct {variable} in the inventory; 0 requires no particular number",
        )
    return int(words)


def users(given: Any) -> list[str]:
    """Return the accounts that train; with ``-e`` a list is text, as in "alice,bob". Raises AscendError otherwise."""
    listed = [word for word in _words(given) if word not in ("", None)]
    wrong = [word for word in listed if not isinstance(word, str) or not _ACCOUNT.fullmatch(word)]
    if wrong:
        raise AscendError(
            "ascend_users has an entry that is not an account name",
            wanted="names of accounts, not their numbers, such as [alice, bob]; [] names nobody",
            found=", ".join(repr(word) for word in wrong),
            where="the inventory, or -e",
            remedy="correct ascend_users in the inventory, "
            + with_e("ascend_users", '["alice", "bob"]')
            + "; getent passwd  # on a node, shows the names that it knows",
        )
    return list(dict.fromkeys(listed))


def architectures(given: Any) -> list[str]:
    """Return the depot's architectures; with ``-e`` a list is text ("[x86_64]"). Raises AscendError for others."""
    listed = [word.strip("\"'") if isinstance(word, str) else word for word in _words(given)]
    listed = [word for word in listed if word not in ("", None)]
    if not all(word in _ARCHITECTURES for word in listed):
        raise AscendError(
            "depot_architectures is not a list of known architectures",
            wanted=", ".join(_ARCHITECTURES),
            found=repr(given),
            where="the inventory, or -e",
            remedy="correct depot_architectures in the inventory, " + with_e("depot_architectures", '["x86_64"]'),
        )
    return list(dict.fromkeys(listed))


def batches(given: Any) -> list[int | str]:
    """Return the batches of a rollout as Ansible's ``serial`` takes them. Raises AscendError for invalid ones."""
    listed = [str(word).strip(" \"'") for word in _words(given)]
    if not listed or not all(_BATCH.fullmatch(word) for word in listed):
        raise AscendError(
            "rollout_batches is not a list of batch sizes",
            wanted='numbers of nodes from 1 on, or percentages of those that need a change, such as [1, "10%", "100%"]',
            found=repr(given),
            where="the inventory, or -e",
            remedy="correct rollout_batches in group_vars/all.yml, "
            + with_e("rollout_batches", '[1, "10%", "100%"]')
            + "; the default is in roles/rollout/defaults/main.yml",
        )
    return [int(word) if word.isdigit() else word for word in listed]


def require_one_way(variable: str, values: Sequence[Any]) -> None:
    """Raise AscendError unless all nodes of a rollout have the same value of this; None does not count."""
    ways = list(dict.fromkeys("not set" if value is None else str(value) for value in values))
    if len(ways) > 1:
        raise AscendError(
            f"the nodes of a rollout have several values of {variable}",
            wanted=f"one value of {variable} for all nodes of a rollout",
            found=" and ".join(ways),
            where="the inventory",
            remedy=f"set {variable} once, in group_vars/all.yml; or roll out group by group, with --limit",
        )


def _words(given: Any) -> list[Any]:
    """Return the items of an inventory's list; with ``-e`` it may be text, and a single value is accepted."""
    is_text = isinstance(given, str) and is_whole(given)
    words = re.split(r"[\s,]+", given.strip("[] ")) if is_text else given
    return words if isinstance(words, list) else [words]


def is_whole(text: str) -> bool:
    """Whether a list that is text is complete: Ansible splits ``-e`` at spaces, which leaves "[4," of "[4, 6]"."""
    text = text.strip()
    return not text.endswith(",") and text.startswith("[") == text.endswith("]")


def with_e(variable: str, example: str) -> str:
    """Return how a list is given in a command; ``example`` is JSON."""
    return f"""or with -e '{{"{variable}": {example}}}'"""


def percent(variable: str, given: Any) -> float:
    """Return a part in percent, given as a number or as "30%". Raises AscendError for anything else."""
    words = str(given).strip().rstrip("% ")
    if not _PERCENT.fullmatch(words) or float(words) > 100:
        raise AscendError(
            f"{variable} is not a percentage",
            wanted='0 to 100, or "30%"',
            found=repr(given),
            where="the inventory, or -e",
            remedy=f"correct {variable} in group_vars/all.yml",
        )
    return float(words)


def packages(policy: Any) -> dict[str, Any]:
    """Return the policy, and the names of packages by their manager and by need."""
    return {"policy": one_of("ascend_system_packages", policy), "names": _names()}


def _names() -> dict[str, dict[str, str]]:
    names: dict[str, dict[str, str]] = read_document(NAMES)["system_packages"]
    return names
