# SPDX-License-Identifier: Apache-2.0
"""The inventory's values of our variables, checked against the roles' argument specs before any node is contacted.

Ansible validates a role's inputs on every node when the role begins, which is too late and costs a task per node. The
value of a template is known only when the node's turn comes; then the planner and the roles check it. What a user
passes with ``-e`` is text.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.validation import check_type_dict
from ansible.module_utils.parsing.convert_bool import boolean

ROLES = Path(__file__).resolve().parents[3] / "roles"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEMPLATE = ("{{", "{%", "{#")
Check = Callable[[Any], bool]
_PLAIN = (str, int, float, list, tuple, Mapping)


@functools.lru_cache(maxsize=4)
def specs(roles: Path = ROLES) -> dict[str, dict[str, Any]]:
    """Return the option of each variable of ours, from the argument specs of all roles."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        for spec in yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)["argument_specs"].values():
            found.update(spec.get("options") or {})
    return found


def wrong(value: Any, option: Mapping[str, Any]) -> str | None:
    """Return, as text, what is wrong with a raw value of the inventory; None if nothing is, or it is a template."""
    if value is None or not isinstance(value, _PLAIN) or _is_template(value):
        return None
    return next(_problems(value, option), None)


def _is_template(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_template(part) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return any(_is_template(part) for part in value)
    return isinstance(value, str) and any(sign in value for sign in _TEMPLATE)


def _problems(value: Any, option: Mapping[str, Any]) -> Iterator[str]:
    kind, shown = option.get("type", "str"), _hidden if option.get("no_log") else _shown
    if not _KINDS[kind](value):
        yield f"expected {_WANTED[kind]}, found {shown(value)}"
        return
    parts = _parts(value) if kind == "list" else [value]
    element = option.get("elements", "raw") if kind == "list" else "raw"
    yield from (
        f"expected a list of {_WANTED[element]}, found {shown(part)}" for part in parts if not _KINDS[element](part)
    )
    choices = [str(choice) for choice in option.get("choices") or []]
    for part in parts:
        if choices and str(part) not in choices:
            near = difflib.get_close_matches(str(part), choices, n=1)
            yield f"expected {' or '.join(choices)}, found {shown(part)}" + (
                f"; did you mean {near[0]}?" if near else ""
            )
        if isinstance(part, Mapping) and option.get("options"):
            yield from _members(part, option["options"])


def _members(value: Mapping[Any, Any], options: Mapping[str, Any]) -> Iterator[str]:
    for key, each in value.items():
        if key not in options:
            near = difflib.get_close_matches(str(key), options, n=1)
            yield f"no such key: {key}" + (f"; did you mean {near[0]}?" if near else "")
        elif each is not None:
            yield from (f"{key}: {problem}" for problem in _problems(each, options[key]))


def _parts(value: Any) -> list[Any]:
    """Return the items of a list; with ``-e`` it is text, and a single value is accepted."""
    if isinstance(value, str):
        words = [word.strip(" \"'") for word in value.strip("[] ").replace(",", " ").split()]
        return words
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _text(value: Any) -> bool:
    # A number is text, too, but what YAML makes of an unquoted version is another one: 8.10 is 8.1.
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _integer(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lstrip("-").isdecimal()
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)


def _flag(value: Any) -> bool:
    try:
        boolean(value)
    except TypeError:
        return False
    return True


def _mapping(value: Any) -> bool:
    try:
        check_type_dict(value)
    except (TypeError, ValueError):
        return False
    return True


_KINDS: dict[str, Check] = {
    "str": _text,
    "path": _text,
    "int": _integer,
    "float": _number,
    "bool": _flag,
    "list": lambda value: not isinstance(value, Mapping),
    "dict": _mapping,
    "raw": lambda _value: True,
}
_WANTED = {
    "str": "text",
    "path": "a path",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
    "raw": "anything",
}


def _hidden(value: Any) -> str:
    return f"{type(value).__name__}, which is not shown"


def _shown(value: Any) -> str:
    """Return a short form of a value; a list or a mapping may contain a secret."""
    if isinstance(value, (str, int, float)):
        return repr(value)[:80] + (" without quotes" if isinstance(value, float) else "")
    return "a mapping" if isinstance(value, Mapping) else "a list"
