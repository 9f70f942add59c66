# SPDX-License-Identifier: Apache-2.0
"""What a line of a session's startup file sets, for sh, bash and zsh, csh, fish, PAM and systemd.

``NAME=value command`` sets nothing for others, and is left out.
"""

from __future__ import annotations

import os
import re
from typing import List, Tuple

Assignment = Tuple[str, str, str]  # name, value, as written

_NAME = r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
_SHELL = re.compile(r"(?P<before>^|[\s;&|(\"'])" + _NAME + r"\+?=(?P<value>(?:\"[^\"]*\"|'[^']*'|[^\s;&|#\"'])*)")
_WORD = r"(?P<value>(?:\"[^\"]*\"|'[^']*'|[^\s;&|#\"'])+)"
_CSH = re.compile(r"(?:^|[\s;&|(])(?P<text>setenv\s+" + _NAME + r"\s+" + _WORD + ")")
_FISH = re.compile(
    r"(?:^|[\s;&|(])(?P<text>set\s+(?:-\S+\s+)*(?:-[A-Za-z]*x[A-Za-z]*|--export)\s+(?:-\S+\s+)*"
    + _NAME
    + r"\s+(?P<value>[^;&|#]+))"
)
# pam_env.conf(5): NAME DEFAULT=value OVERRIDE=value
_PAM = re.compile(r"(?P<text>" + _NAME + r"\s+(?:DEFAULT=\S*\s+)?(?:DEFAULT|OVERRIDE)=" + _WORD + ")")
_EXPORT = ("export", "declare", "typeset")
_PLAIN = ("environment", "environment.d", ".pam_environment")


def read(path: str, line: str) -> List[Assignment]:
    """Return what a line of the file sets; the file's name decides its kind."""
    line = line.strip()
    if line.startswith(("#", "echo ", "printf ")):
        return []
    name = os.path.basename(path)
    if name in ("pam_env.conf", ".pam_environment"):
        match = _PAM.match(line)
        if match or name == "pam_env.conf":
            return [_of(match)] if match else []
    if name in _PLAIN or os.path.basename(os.path.dirname(path)) in _PLAIN:
        return _plain(line)
    if name.endswith(".fish"):
        return [_of(match, ":") for match in _FISH.finditer(line)]
    if name.endswith((".csh", "csh.cshrc", "csh.login", ".cshrc", ".tcshrc")) or name == ".login":
        return [_of(match) for match in _CSH.finditer(line)]
    return _shell(line)


def _of(match: "re.Match[str]", joined: str = " ") -> Assignment:
    value = match.group("value").replace('"', "").replace("'", "")
    return match.group("name"), joined.join(value.split()), match.group("text")


def _plain(line: str) -> List[Assignment]:
    name, equals, value = line.partition("=")
    return [(name.replace("export ", "").strip(), value.strip().strip("\"'"), line)] if equals else []


def _shell(line: str) -> List[Assignment]:
    found = []
    for match in _SHELL.finditer(line):
        before = line[: match.start("name")]
        if " #" in before:
            break
        words = before.replace(";", " ; ").split()
        exported = any(word in _EXPORT for word in words)
        quote = match.group("before")
        value, end = match.group("value"), match.end()
        if quote in ("'", '"'):  # export "NAME=value": the quote belongs to the word, and ends behind the value
            end = line.find(quote, end)
            if not exported or end < 0:
                continue
            value = line[match.start("value") : end]
        rest = line[end:].lstrip(" \t\"'")
        command = rest and rest[0] not in ";&|#)}" and not _SHELL.match(rest)
        if not command or exported:
            found.append(
                (match.group("name"), value.replace('"', "").replace("'", ""), line[match.start("name") : end])
            )
    return found
