# SPDX-License-Identifier: Apache-2.0
"""Find what brings other folders' modules into an environment: in its site-packages, and in the system's settings.

What site-packages can hold: ``*.pth`` files (module ``site``: a line is a folder, or code when it begins with
``import``), ``*.egg-link`` files, and the modules sitecustomize and usercustomize, run at every start.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, Match, Tuple

from ansible.module_utils.ascend import files
from ansible.module_utils.ascend.masking import masked
from ansible.module_utils.ascend.node import Finding, Node, finding
from ansible.module_utils.ascend.python.checkout import linked_path
from ansible.module_utils.ascend.python.distributions import Problem, listed, shown

LEAK = "environment-leak"
CUSTOM = ("sitecustomize", "usercustomize")
MOST_SETTINGS = 10
MOST_VALUE = 4000  # characters of a variable
SYSTEM_FILES = ("/etc/environment", "/etc/profile", "/etc/bashrc", "/etc/bash.bashrc")
PROFILE_FOLDER = "/etc/profile.d"
USER_FILES = ("/root/.bashrc", "/root/.profile", "/root/.bash_profile")
CANN_INFO = "/etc/Ascend/ascend_cann_install.info"
CANN_ROOT = "/usr/local/Ascend"

_QUOTED_PATH = re.compile(r"[\"'](/[^\"']*)[\"']")
_ASSIGNMENT = re.compile(
    r"(?P<before>^|[\s;&|(])(?P<name>[A-Za-z_][A-Za-z0-9_]*)\+?=(?P<value>(?:\"[^\"]*\"|'[^']*'|[^\s;&|#\"'])*)"
)
_VARIABLE = re.compile(
    r"\$(?:\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::?(?P<sign>[-+])(?P<word>(?:[^{}]|\{[^{}]*\})*))?\}"
    r"|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))"
)
_CANN_VARIABLES = ("ASCEND_", "TOOLCHAIN_HOME", "TBE_")
_EXPORT = ("export", "declare", "typeset")


# --- in an environment -------------------------------------------------------------------------------------------


def site_leaks(site: str, names: List[str], own: List[str]) -> List[Problem]:
    """Return what in a site-packages folder brings in folders that lie in none of ``own``.

    ``own`` are the environment and its editable checkouts.
    """
    problems = []
    for name in names:
        path = os.path.join(site, name)
        if name.endswith(".pth"):
            folders = [] if _normal(name) else _foreign_lines(site, path, own)
            if folders:
                problems.append(Problem(LEAK, shown("%s brings in %s" % (name, listed(folders))), path))
        elif name.endswith(".egg-link"):
            problems.append(Problem(LEAK, shown("%s brings in %s" % (name, linked_path(path))), path))
        elif name.partition(".")[0] in CUSTOM and name.partition(".")[2] in ("", "py", "pyc"):
            problems.append(Problem(LEAK, "%s is run by every Python of the environment" % name, path))
    return problems


def _normal(name: str) -> bool:
    """Whether an installer's own; an editable one's folder is known from its dist-info. site leaves hidden ones out."""
    return name.startswith(("__editable__", ".")) or name == "distutils-precedence.pth" or name.endswith("-nspkg.pth")


def _foreign_lines(site: str, path: str, own: List[str]) -> List[str]:
    found = []
    for line in (files.text(path) or "").splitlines():
        line = line.strip()
        if line.startswith(("import ", "import\t")):
            folders = _QUOTED_PATH.findall(line)
        else:
            folders = [os.path.normpath(os.path.join(site, line))] if line and not line.startswith("#") else []
        found += [folder for folder in folders if not within(folder, own)]
    return list(dict.fromkeys(found))


def within(path: str, folders: List[str]) -> bool:
    """Whether ``path`` is one of the folders or lies in one."""
    path = os.path.normpath(path)
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


# --- in the system -----------------------------------------------------------------------------------------------


def settings(node: Node) -> List[Finding]:
    """Return where the node's profiles set PYTHONHOME, or a PYTHONPATH with other folders than CANN's.

    Both reach into every environment. Profiles are not run: a line in a branch that is never taken counts too.
    """
    roots = [CANN_ROOT]
    installed = files.pairs(files.text(node.path(CANN_INFO))).get("Install_Path_Param")
    roots += [installed] if installed else []
    profiles = [name for name in files.names(node.path(PROFILE_FOLDER)) if name.endswith(".sh")]
    paths = [*SYSTEM_FILES, *(os.path.join(PROFILE_FOLDER, name) for name in profiles), *USER_FILES]
    found: List[Finding] = []
    for path in paths:
        found += _file_settings(path, files.text(node.path(path)) or "", roots)
    return found[:MOST_SETTINGS]


def _file_settings(path: str, content: str, roots: List[str]) -> List[Finding]:
    found = []
    known: Dict[str, str] = {}
    for number, line in enumerate(content.splitlines(), 1):
        for name, value in _assignments(line, path == "/etc/environment"):
            where = "%s:%d" % (path, number)
            if name == "PYTHONHOME" and value:
                found.append(_setting("pythonhome-set", "PYTHONHOME is set for every login", "none", line, where))
            elif name == "PYTHONPATH":
                foreign = [entry for entry in _expanded(value, known).split(":") if _foreign_entry(entry, roots)]
                if foreign:
                    problem = "PYTHONPATH puts %s in front of every environment" % shown(listed(foreign))
                    found.append(_setting("pythonpath-set", problem, "CANN's folders alone", line, where))
            else:
                known[name] = _expanded(value, known)
    return found


def _setting(name: str, problem: str, wanted: str, line: str, where: str) -> Finding:
    remedy = "remove the line and log in again; a program's own modules belong into an environment"
    return finding("python", name, problem, wanted, shown(masked(line.strip())), where, remedy)


def _assignments(line: str, plain: bool) -> List[Tuple[str, str]]:
    """Return the variables that a line of a shell's profile sets, or of /etc/environment (``plain``: no shell).

    ``NAME=value command`` sets nothing for others, and is left out.
    """
    line = line.strip()
    if line.startswith(("#", "echo ", "printf ")):
        return []
    if plain:
        name, equals, value = line.partition("=")
        return [(name.replace("export ", "").strip(), value.strip().strip("\"'"))] if equals else []
    found = []
    for match in _ASSIGNMENT.finditer(line):
        before = line[: match.start("name")]
        if " #" in before:
            break
        rest = line[match.end() :].lstrip(" \t")
        command = rest and rest[0] not in ";&|#)}" and not _ASSIGNMENT.match(rest)
        words = before.replace(";", " ; ").split()
        exported = any(word in _EXPORT for word in words)
        if not command or exported:
            found.append((match.group("name"), match.group("value").replace('"', "").replace("'", "")))
    return found


def _expanded(value: str, known: Dict[str, str]) -> str:
    """Put in the values of variables that the same file set before, and the defaults of others (``${NAME:-word}``)."""

    def meant(match: Match[str]) -> str:
        name = match.group("name") or match.group("bare")
        if name == "PYTHONPATH":  # also in the form ${PYTHONPATH:+:$PYTHONPATH}
            return ":$PYTHONPATH:"
        return known.get(name, match.group("word") if match.group("sign") == "-" else "$" + name)

    return _VARIABLE.sub(meant, value[:MOST_VALUE])[:MOST_VALUE]


def _foreign_entry(entry: str, roots: List[str]) -> bool:
    entry = entry.strip()
    variable = _VARIABLE.match(entry)
    if variable:
        name = variable.group("name") or variable.group("bare")
        return name != "PYTHONPATH" and not name.startswith(_CANN_VARIABLES)
    return bool(entry) and not within(entry, roots)
