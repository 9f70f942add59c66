# SPDX-License-Identifier: Apache-2.0
"""Refuse an inventory with misspelt variables of ours, or with values that they cannot have, before all else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...ascend.errors import AscendError
from .places import places
from .spelling import meant
from .values import specs, wrong

_MOST = 10  # problems in one message
_ANSIBLES = "ansible_"


@dataclass(frozen=True)
class Given:
    """The raw variables that a host or a group has of its own, or that were given with ``-e``; ``owner`` says which."""

    owner: str
    variables: Mapping[str, Any]


def require_right(given: Iterable[Given], sources: Iterable[str]) -> None:
    """Raise AscendError with every misspelt name and wrong value, the nearest right name, and where each stands."""
    options = specs()
    owners: dict[tuple[str, str], list[str]] = {}
    unknown: dict[str, str | None] = {}
    for each in given:
        for name, value in each.variables.items():
            if name in options:
                problem = wrong(value, options[name])
            elif name.startswith(_ANSIBLES):
                continue
            else:
                if name not in unknown:
                    near = meant(name, options)
                    unknown[name] = f"no such variable, did you mean {near}?" if near else None
                problem = unknown[name]
            if problem:
                owners.setdefault((name, problem), []).append(each.owner)
    if owners:
        raise _refused(owners, list(sources))


def _refused(owners: Mapping[tuple[str, str], list[str]], sources: list[str]) -> AscendError:
    lines = []
    for (name, problem), of in list(owners.items())[:_MOST]:
        where = places(name, sources) or [*of[:3], *([f"and {len(of) - 3} more"] if len(of) > 3 else [])]
        lines.append(f"{name} ({', '.join(where)}): {problem}")
    more = [f"and {len(owners) - _MOST} more"] if len(owners) > _MOST else []
    name = next(iter(owners))[0]
    return AscendError(
        "the inventory has variables that are misspelt, or have a value that they cannot have; nothing was touched",
        wanted="names and values as the roles take them",
        found="; ".join([*lines, *more]),
        where=", ".join(source for source in sources if not source.endswith("_vars")) or "-e",
        remedy=f"mend {name} where it stands; every variable of ours: roles/*/defaults/main.yml",
    )
