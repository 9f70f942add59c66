# SPDX-License-Identifier: Apache-2.0
"""Render a variable of a host in a worker process, where every template is compiled again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# What most settings are, and what needs no template: another variable's value.
_ANOTHERS = re.compile(r"\{\{ (\w+) \}\}")


def rendered(templar: Any, variables: Mapping[str, Any], value: Any) -> Any:
    """Return ``value``, the raw one of a variable, as ``templar`` renders it with the host's raw ``variables``."""
    if isinstance(value, Mapping):
        return {key: rendered(templar, variables, each) for key, each in value.items()}
    anothers = _ANOTHERS.fullmatch(value) if isinstance(value, str) else None
    if anothers and anothers[1] in variables:
        value = variables[anothers[1]]
    return templar.template(value)
