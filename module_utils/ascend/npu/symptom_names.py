# SPDX-License-Identifier: Apache-2.0
"""What a line of a failing tool names: the function that a library lacks, a path, a program."""

from __future__ import annotations

import re
import shlex
from typing import Any, Iterator, Tuple

_SYMBOL = re.compile(r"undefined symbol[: ]{1,2}['\"`]?([A-Za-z_][A-Za-z0-9_]{0,1000}(?:::)?)")
# The beginning of a C++ name (Itanium ABI): the kind of thing, N for one in a namespace, the length of the first part.
_MANGLED = re.compile(r"_Z(?:T[VTISChvW]|GV)?(N?)[rVKRO]{0,4}([0-9]{1,3})")
_PATH = re.compile(r"'([^'\n]{0,400}/[^'\n]{0,400})'|(?<![\w.<:/])(/[^\s:'\",;()<>]{1,400})")
_PROGRAM = re.compile(
    r"([\w.+/-]{1,100}): (?:command )?not found(?!:)|command not found: ([\w.+/-]{1,100})"
    r"|([\w.+/-]{1,100}): ?未找到命令"
)


def missing_symbols(plain: str) -> Iterator[Tuple[str, int]]:
    """Yield (C++ namespace as in "atb::", else the name; offset) of each function that a library lacks."""
    for found in _SYMBOL.finditer(plain):
        yield _owner(found.group(1)), found.start()


def _owner(symbol: str) -> str:
    match = _MANGLED.match(symbol)
    if not match:
        return symbol
    first = symbol[match.end() : match.end() + int(match.group(2))]
    return first + "::" if match.group(1) else first


def with_names(remedy: str, line: str, column: int) -> str:
    """Return the remedy with what the line names, quoted for a shell, or with a placeholder if it names nothing."""
    if "{" not in remedy:
        return remedy
    # The path next to the words: a line may name the program, too.
    paths = sorted(_PATH.finditer(line), key=lambda found: _distance(found, column))
    programs = [group for found in _PROGRAM.finditer(line) for group in found.groups() if group]
    symbol = _SYMBOL.search(line)
    named = {
        "path": (paths[0].group(1) or paths[0].group(2)) if paths else "PATH",
        "program": programs[-1] if programs else "PROGRAM",
        "symbol": symbol.group(1) if symbol else "SYMBOL",
    }
    for name, words in named.items():
        remedy = remedy.replace("{%s}" % name, shlex.quote(words))
    return remedy


def _distance(found: Any, column: int) -> int:
    return min(abs(column - int(found.end())), abs(int(found.start()) - column))
