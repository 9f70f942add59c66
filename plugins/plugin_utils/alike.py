# SPDX-License-Identifier: Apache-2.0
"""Which hosts have the same variable, found from its templates without rendering: fleets have few kinds of nodes."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jinja2

# What a host's variables are looked up in by a name that a template makes up.
_ANY = "vars"
# The same for every host, whatever is looked up there.
_OF_ALL = ("groups", "hostvars")
_LOOKUPS = ("lookup", "query", "q")
# Lookup plugins that are given all that they use.
_ALIKE = ("env", "file", "fileglob", "pipe")
_ENVIRONMENT = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])


def signature(variables: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """Return a text that is the same for hosts whose variables ``names`` are: all raw values that their templates use.

    ``variables`` are a host's, not rendered. None if a template does not say what it uses.
    """
    values: dict[str, Any] = {}
    asked = list(names)
    while asked:
        name = asked.pop()
        if name == _ANY:
            return None
        if name in values or name in _OF_ALL:
            continue
        values[name] = variables.get(name)
        for text in _texts(values[name]):
            used = _used(text)
            if used is None:
                return None
            asked += used
    return json.dumps(values, default=str)  # not sorted: a mapping may have keys of several kinds


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield str(value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(key)
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)


@functools.lru_cache(maxsize=1024)
def _used(text: str) -> frozenset[str] | None:
    """Return the names that a template uses, including its own; None if they cannot be determined."""
    if "{" not in text:
        return frozenset()
    try:
        template = _ENVIRONMENT.parse(text)
    except jinja2.TemplateError:
        return None
    calls = [call for call in template.find_all(jinja2.nodes.Call) if _named(call.node) in _LOOKUPS]
    names = [name.name for name in template.find_all(jinja2.nodes.Name)]
    # Passed on as a value, or one that looks at variables of its own: what it uses is not seen.
    if len(calls) != sum(name in _LOOKUPS for name in names) or any(_plugin(call) not in _ALIKE for call in calls):
        return None
    return frozenset(names)


def _named(node: jinja2.nodes.Expr) -> str:
    return node.name if isinstance(node, jinja2.nodes.Name) else ""


def _plugin(call: jinja2.nodes.Call) -> str:
    """Return the lookup plugin that is called, "" if a template computes its name."""
    first = call.args[0] if call.args else None
    return str(first.value).removeprefix("ansible.builtin.") if isinstance(first, jinja2.nodes.Const) else ""
