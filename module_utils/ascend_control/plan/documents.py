# SPDX-License-Identifier: Apache-2.0
"""JSON at the planner's border becomes frozen dataclasses within, so that mypy refuses a misspelt name.

Fields of a dataclass are read as their annotations say, lists and mappings of dataclasses too; everything else stays as
it is. Unknown fields of a document are left out. One that lacks a field without a default is refused with a TypeError.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Document = Mapping[str, Any]
_Kind = TypeVar("_Kind")


def read(kind: type[_Kind], document: Document) -> _Kind:
    """Return a document as this dataclass."""
    read_as: _Kind = _read(kind, document)
    return read_as


def _read(kind: Any, document: Document) -> Any:
    given = {}
    for name, part in _parts(kind):
        if name in document:
            given[name] = part(document[name]) if part else document[name]
    return kind(**given)


@functools.lru_cache(maxsize=128)
def _parts(kind: Any) -> list[tuple[str, Callable[[Any], Any] | None]]:
    return [(name, _part(hint)) for name, hint in get_type_hints(kind).items()]


def _part(hint: Any) -> Callable[[Any], Any] | None:
    """Return the reader of a field with this annotation; None if its value stays as it is."""
    if is_dataclass(hint):
        return functools.partial(_read, hint)
    kind: Any = next((kind for kind in get_args(hint) if is_dataclass(kind)), None)
    if kind is None:
        return None
    if get_origin(hint) is list:
        return lambda parts: [_read(kind, part) for part in parts]
    if get_origin(hint) is dict:
        return lambda parts: {name: _read(kind, part) for name, part in parts.items()}
    return lambda part: _read(kind, part) if part else None
