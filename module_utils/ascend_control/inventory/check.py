# SPDX-License-Identifier: Apache-2.0
"""Refuse an inventory with misspelt variables of ours, or with impossible values, before anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...ascend.errors import AscendError
from .places import places
from .spelling import meant
from .values import specs, wrong

_MOST = 10  # problems in one message
_ANSIBLES = "ansible_"
# What ssh is given as words: no option, and nothing that a shell reads. An account of a directory may be CORP\\alice.
_ADDRESS = re.compile(r"[^-\s;|&$`<>(){}'\"\\][^\s;|&$`<>(){}'\"\\]*")
_REACHED_BY = ("inventory_hostname", "ansible_host", "ansible_ssh_host")
_ACCOUNT = re.compile(r"[^-\s;|&$`<>(){}'\"\\][^\s;|&`<>(){}'\"]*")
_LOGIN = ("ansible_user", "ansible_ssh_user")


@dataclass(frozen=True)
class Given:
    """The raw variables that a host or a group has of its own, or that were given with ``-e``; ``owner`` says which."""

    owner: str
    variables: Mapping[str, Any]


def require_right(given: Iterable[Given], sources: Iterable[str]) -> None:
    """Raise AscendError with every misspelt name and wrong value, the nearest right name, and the place of each."""
    options = specs()
    owners: dict[tuple[str, str], list[str]] = {}
    unknown: dict[str, str | None] = {}
    for each in given:
        for name, value in each.variables.items():
            if name in options:
                problem = wrong(value, options[name])
            elif name in _REACHED_BY or name.startswith(_ANSIBLES):
                problem = _unreachable(name, value)
            else:
                if name not in unknown:
                    near = meant(name, options)
                    unknown[name] = f"no such variable, did you mean {near}?" if near else None
                problem = unknown[name]
            if problem:
                owners.setdefault((name, problem), []).append(each.owner)
    if owners:
        raise _refused(owners, list(sources))


def _unreachable(name: str, value: Any) -> str | None:
    """Return what is wrong with a name or an address for ssh; None if nothing is, or it is a template."""
    form = _ADDRESS if name in _REACHED_BY else _ACCOUNT if name in _LOGIN else None
    if form is None or not isinstance(value, str) or "{{" in value or form.fullmatch(value):
        return None
    return f"ssh would read it as more than a name or an address: {value[:80]!r}"


def _refused(owners: Mapping[tuple[str, str], list[str]], sources: list[str]) -> AscendError:
    lines = []
    for (name, problem), of in list(owners.items())[:_MOST]:
        where = places(name, sources) or [*of[:3], *([f"and {len(of) - 3} more"] if len(of) > 3 else [])]
        lines.append(f"{name} ({', '.join(where)}): {problem}")
    more = [f"and {len(owners) - _MOST} more"] if len(owners) > _MOST else []
    name = next(iter(owners))[0]
    return AscendError(
        "the inventory has misspelt variables or invalid values; nothing was changed",
        wanted="names and values that the roles accept",
        found="; ".join([*lines, *more]),
        where=", ".join(source for source in sources if not source.endswith("_vars")) or "-e",
        remedy=f"correct {name} where it is set; all variables: roles/*/defaults/main.yml",
    )
