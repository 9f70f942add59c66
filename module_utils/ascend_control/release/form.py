# SPDX-License-Identifier: Apache-2.0
"""Check release.yml against its JSON Schema (``releases/release.schema.json``), with errors that help a person.

jsonschema would add five packages to the control node, and names neither lines nor the intended key. ``_CHECKS`` has a
function for each keyword that the schema uses; a test compares their results with jsonschema's.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...ascend.errors import AscendError

SCHEMA = Path(__file__).resolve().parents[3] / "releases" / "release.schema.json"
MOST = 10  # problems in one message
_TYPES: dict[str, tuple[type, ...]] = {"object": (dict,), "string": (str,), "integer": (int,), "boolean": (bool,)}
_NAMES = {
    "object": "keys with values",
    "string": "text in quotes",
    "integer": "a whole number",
    "boolean": "true or false",
}


@dataclass(frozen=True)
class Problem:
    """What is wrong with the value at ``keys``, or with the last of the keys itself."""

    keys: tuple[Any, ...]
    words: str

    def __str__(self) -> str:
        return ".".join(str(key) for key in self.keys) + ": " + self.words if self.keys else self.words


def require_form(release: Any, path: Path) -> None:
    """Raise AscendError, with lines and the nearest right keys, for anything that violates the schema."""
    found = problems(release)
    if not found:
        return
    lines = [_line(path, problem) for problem in found]
    listed = [f"line {line}, {problem}" for line, problem in zip(lines, found, strict=True)]
    more = [f"and {len(listed) - MOST} more"] if len(listed) > MOST else []
    raise AscendError(
        "release.yml does not match its schema",
        wanted="what releases/release.schema.json says",
        found="; ".join([*listed[:MOST], *more]),
        where=f"{path}:{lines[0]}",
        remedy=f"correct {path}; releases/README.md says what each key means",
    )


def problems(release: Any) -> list[Problem]:
    """Return the problems in a release.yml's content, each once."""
    return list(dict.fromkeys(_wrong(release, _schema(), ())))


@functools.lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def _wrong(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    if "$ref" in schema:
        schema = _schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield Problem(keys, f"expected {' or '.join(_NAMES[kind] for kind in kinds)}, found {_shown(value)}")
        return
    for word, check in _CHECKS.items():
        if word in schema:
            yield from check(value, schema, keys)


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _shown(value: Any) -> str:
    """Return a short form of a value; YAML made a number from an unquoted version."""
    if value is None:
        return "nothing"
    quoted = f" without quotes: write {json.dumps(str(value))}" if isinstance(value, float) else ""
    return f"{repr(value)[:100]}{quoted}"


def _members(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    """Check the values of a mapping, and that the schema knows every key."""
    if not isinstance(value, dict):
        return
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for key, each in value.items():
        if key in known:
            yield from _wrong(each, known[key], (*keys, key))
        elif not isinstance(key, str):
            yield Problem((*keys, key), f'a key is text in quotes: write "{key}"')
        elif others is False:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            yield Problem((*keys, key), f"no such key; {meant}")
        else:
            yield from _wrong(each, others, (*keys, key))


def _required(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    if isinstance(value, dict):
        yield from (Problem(keys, f"{key} is missing") for key in schema["required"] if key not in value)


def _depends(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    for key, wanted in schema["dependentRequired"].items():
        if isinstance(value, dict) and key in value:
            yield from _required(value, {"required": wanted}, keys)


def _keys(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    for key in value if isinstance(value, dict) else ():
        for problem in _wrong(key, schema["propertyNames"], (*keys, key)):
            yield Problem(problem.keys, "as a key, " + problem.words)


def _some(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    if isinstance(value, dict) and len(value) < schema["minProperties"]:
        yield Problem(keys, "expected at least one, found none")


def _pattern(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    if isinstance(value, str) and not re.fullmatch(schema["pattern"], value):
        length = f", {len(value)} characters" if "{64}" in schema["pattern"] else ""
        yield Problem(keys, f"expected {schema['pattern']}, found {_shown(value)}{length}")


def _enum(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    if value not in schema["enum"]:
        yield Problem(keys, f"expected {' or '.join(map(str, schema['enum']))}, found {_shown(value)}")


def _minimum(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    if _is(value, "integer") and value < schema["minimum"]:
        yield Problem(keys, f"expected {schema['minimum']} or more, found {value}")


def _length(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    if isinstance(value, str) and len(value) < schema["minLength"]:
        yield Problem(keys, "expected text, found none")


def _all_of(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    for each in schema["allOf"]:
        yield from _wrong(value, each, keys)


def _if(value: Any, schema: Mapping[str, Any], keys: tuple[Any, ...]) -> Iterator[Problem]:
    if not any(_wrong(value, schema["if"], keys)):
        yield from _wrong(value, schema["then"], keys)


_CHECKS = {
    "properties": _members,
    "additionalProperties": lambda value, schema, keys: () if "properties" in schema else _members(value, schema, keys),
    "required": _required,
    "dependentRequired": _depends,
    "propertyNames": _keys,
    "minProperties": _some,
    "pattern": _pattern,
    "enum": _enum,
    "minimum": _minimum,
    "minLength": _length,
    "allOf": _all_of,
    "if": _if,
}


def _line(path: Path, problem: Problem) -> int:
    """Return the line of a problem, counted from 1: that of its key, its value, or the nearest existing one."""
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    line = 1
    for key in problem.keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = None
        for name, value in pairs:
            if name.value == str(key):
                line, node = name.start_mark.line + 1, value
    return line
