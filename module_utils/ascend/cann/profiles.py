# SPDX-License-Identifier: Apache-2.0
"""What a user's session starts with: variables that profiles set, and environment files of CANN that they source.

Profiles are not run, so a line in a branch that is never taken counts too. Only the assignment in question is quoted
from a line, because others on it may be secrets.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, Match, NamedTuple, Optional, Tuple

from .. import assignments, files, homes
from ..environment.distributions import shown
from ..finding import Finding, finding
from ..homes import Homes
from ..masking import masked
from ..node import Node
from ..places import CANN_INSTALL_RECORD
from ..text import listed
from .layout import VERSION_NAME, Tree

MOST_SETTINGS = 10
MOST_VALUE = 4000  # characters of a variable
MOST_SOURCED = 40  # files that profiles source
SYSTEM_FILES = (
    "/etc/environment", "/etc/security/pam_env.conf", "/etc/profile", "/etc/profile.local", "/etc/bashrc",
    "/etc/bash.bashrc", "/etc/bash.bashrc.local", "/etc/zshenv", "/etc/zprofile", "/etc/zshrc", "/etc/zsh/zshenv",
    "/etc/zsh/zprofile", "/etc/zsh/zshrc", "/etc/csh.cshrc", "/etc/csh.login", "/etc/fish/config.fish",
)  # fmt: skip
FOLDERS = (("/etc/profile.d", (".sh", ".csh")), ("/etc/environment.d", (".conf",)), ("/etc/fish/conf.d", (".fish",)))
# The distribution's own, which most profiles source.
_DISTRIBUTIONS = re.compile(r"/usr/share/.*|/etc/bash_completion(?:\.d/.*)?|/etc/(?:init\.d|rc\.d|sysconfig)/.*")
CANN_ROOT = "/usr/local/Ascend"

_VARIABLE = re.compile(
    r"\$(?:\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::?(?P<sign>[-+])(?P<word>(?:[^{}]|\{[^{}]*\})*))?\}"
    r"|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))"
)
_SOURCED = re.compile(r"(?:^|[;&|({]|\b(?:then|do|else)\b)\s*((?:source|\.)\s+(\"[^\"]+\"|'[^']+'|[^\s;&|)}]+))")
# CANN's own files, and those of the products beside it, in folders with a name like theirs.
_SET_ENV = re.compile(
    r"/[^/]*(?:ascend|cann|nnal|nnae|nnrt)[^/]*/(?:[^/]+/)*(?:set_?env|setenv)\.(?:sh|bash)$", re.IGNORECASE
)
_VERSION_FOLDER = re.compile(r"/(?:ascend-toolkit/|cann-)([^/]+)/")
_CANN_VARIABLES = ("ASCEND_", "TOOLCHAIN_HOME", "TBE_")
_CANN_HOMES = ("ASCEND_HOME", "ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "ASCEND_OPP_PATH", "ASCEND_AICPU_PATH")
_VISIBLE = ("ASCEND_RT_VISIBLE_DEVICES", "ASCEND_VISIBLE_DEVICES", "NPU_VISIBLE_DEVICES")
_LISTS = ("PYTHONPATH", "LD_LIBRARY_PATH", "LD_PRELOAD")
# Where the loader looks anyway, and what the distribution's packages have below.
_SYSTEM_LIBRARIES = re.compile(r"/(?:usr/)?lib(?:32|64)?(?:/.*)?|/usr/local/lib(?:64)?/?")


class _Line(NamedTuple):
    """An assignment, as written (``text``) and with known values filled in; ``itself`` stands for its own old value."""

    name: str
    value: str
    text: str
    where: str


class _Sourced(NamedTuple):
    """``script`` may be anybody's; ``is_cann`` if it has the name of CANN's environment files."""

    script: str
    is_cann: bool
    text: str
    where: str


def settings(node: Node, sessions: Homes, cann_root: str = CANN_ROOT) -> List[Finding]:
    """Return where profiles, the system's and users', set variables of every session."""
    roots = _roots(node, cann_root)
    latest = _latest(node, cann_root)
    found: List[Finding] = []
    read = _files(node, sessions)
    others: Dict[str, str] = {}
    for path, text in read:
        lines, scripts = _read(path, text)
        found += [judged for line in lines for judged in _judged(line, roots)]
        found += [judged for script in scripts if script.is_cann for judged in _other_cann(script, roots, latest)]
        others.update({script.script: path for script in scripts if not script.is_cann})
    known = {path for path, _ in read}
    wanted = {path: by for path, by in others.items() if path not in known and _is_file(path)}
    texts, hung = _sourced_by(node, wanted, sessions)
    for path, text in texts:
        lines, scripts = _read(path, text, _home_of(others[path]), ", sourced by %s" % others[path])
        found += [judged for line in lines for judged in _judged(line, roots)]
        found += [judged for script in scripts if script.is_cann for judged in _other_cann(script, roots, latest)]
    return hung + found[:MOST_SETTINGS]


def _latest(node: Node, cann_root: str) -> Dict[str, Optional[str]]:
    """Return the version to which the links in a place point, the inner place first."""
    tree = Tree(node.path(cann_root), "", node.root)
    beside = tree.places()[0]
    return {tree.shown(beside.base): tree.latest(beside).version, cann_root: tree.deciding_latest().version}


def _is_file(path: str) -> bool:
    return os.path.isabs(path) and not re.search(r"[$*?`\[]", path) and not _DISTRIBUTIONS.fullmatch(path)


def _sourced_by(node: Node, by: Dict[str, str], sessions: Homes) -> Tuple[List[Tuple[str, str]], List[Finding]]:
    """Return the texts of files that profiles source, one level deep, and a finding for those that do not answer.

    ``by`` has each file's profile, whose owner must be able to read the file.
    """
    if not by:
        return [], []

    def text(path: str) -> Optional[str]:
        with homes.acting_as(node, sessions.owner(by[path])):
            return files.text(node.path(path), homes.MOST_FILE)

    looked = homes.each(node, list(by)[:MOST_SOURCED], text)
    found = [(path, text) for path, text in looked.found.items() if text]
    return found, homes.hung_findings(Homes([], [], looked.hung, len(looked.left)))


def sourced(node: Node, sessions: Homes) -> List[Tuple[str, str]]:
    """Return (file, profile): CANN's environment files that profiles source, by known absolute paths."""
    found = [(script, path) for path, text in _files(node, sessions) for script in _read(path, text)[1]]
    return [
        (each.script, path)
        for each, path in found
        if each.is_cann and os.path.isabs(each.script) and "$" not in each.script
    ]


def _roots(node: Node, cann_root: str) -> List[str]:
    installed = files.pairs(files.text(node.path(CANN_INSTALL_RECORD))).get("Install_Path_Param")
    return [CANN_ROOT, cann_root, *([installed] if installed else [])]


def _files(node: Node, sessions: Homes) -> List[Tuple[str, str]]:
    paths = list(SYSTEM_FILES)
    for folder, ends in FOLDERS:
        paths += [os.path.join(folder, name) for name in files.names(node.path(folder)) if name.endswith(ends)]
    return [(path, files.text(node.path(path)) or "") for path in paths] + sessions.profiles


def _home_of(path: str) -> str:
    """~ and $HOME belong to the file's owner; in the system's files they can be anybody's."""
    if path.startswith("/etc/"):
        return ""
    home, below, _ = path.partition("/.config/")
    return home if below else os.path.dirname(path)


def _read(path: str, content: str, home: Optional[str] = None, why: str = "") -> Tuple[List[_Line], List[_Sourced]]:
    """Return what a file assigns, and which files it sources."""
    home = _home_of(path) if home is None else home
    known: Dict[str, str] = {"HOME": home} if home else {}
    lines: List[_Line] = []
    scripts: List[_Sourced] = []
    for number, line in enumerate(content.splitlines(), 1):
        where = "%s:%d%s" % (path, number, why)
        for name, value, text in assignments.read(path, line):
            lines.append(_Line(name, _expanded(value, known, name if name in _LISTS else ""), text, where))
            known[name] = lines[-1].value
        for match in [] if line.lstrip().startswith("#") else _SOURCED.finditer(line.partition(" #")[0]):
            script = _expanded(match.group(2).strip("\"'"), known, "")
            script = home + script[1:] if home and script.startswith("~/") else script
            is_cann = bool(_SET_ENV.search(script))
            scripts.append(_Sourced(os.path.normpath(script), is_cann, match.group(1), where))
    return lines, scripts


def _judged(line: _Line, roots: List[str]) -> List[Finding]:
    name, value = line.name, line.value
    if name == "PYTHONHOME" and value:
        return [_setting("pythonhome-set", "PYTHONHOME is set for every login", "none", line.text, line.where)]
    if name == "LD_PRELOAD" and _foreign(line, re.split(r"[:\s]+", value), roots):
        words = "LD_PRELOAD puts %s into every program" % shown(
            listed(_foreign(line, re.split(r"[:\s]+", value), roots))
        )
        return [_setting("ld-preload-set", words, "none", line.text, line.where)]
    if name == "PYTHONPATH" and _foreign(line, value.split(":"), roots):
        words = "PYTHONPATH puts %s in front of every environment" % shown(
            listed(_foreign(line, value.split(":"), roots))
        )
        return [_setting("pythonpath-set", words, "only CANN's folders", line.text, line.where)]
    if name == "LD_LIBRARY_PATH":
        others = [entry for entry in _foreign(line, value.split(":"), roots) if not _SYSTEM_LIBRARIES.fullmatch(entry)]
        words = "LD_LIBRARY_PATH puts the libraries in %s before others" % _shown(listed(others))
        wanted = "only CANN's and the driver's folders"
        return [_setting("ld-library-path-set", words, wanted, line.text, line.where)] if others else []
    if name in _VISIBLE and value:
        words = "%s hides cards from every session" % name
        return [_setting("visible-devices-set", words, "set only where a job starts", line.text, line.where)]
    if name in _CANN_HOMES and os.path.isabs(value) and not _within(value, roots):
        return [_other(line.text, line.where, "%s points to another CANN: %s" % (name, _shown(value)))]
    return []


def _other_cann(script: _Sourced, roots: List[str], places: Dict[str, Optional[str]]) -> List[Finding]:
    """Return a finding for an environment file of another root, or of a version that is not its place's latest."""
    latest = next((version for base, version in places.items() if _within(script.script, [base])), None)
    if not _within(script.script, roots):
        return [_other(script.text, script.where, "sessions use another CANN: %s" % _shown(script.script))]
    match = _VERSION_FOLDER.search(script.script)
    version = match.group(1) if match else ""
    if not latest or version == latest or not VERSION_NAME.fullmatch(version):
        return []
    return [
        _other(script.text, script.where, "sessions use CANN %s, not %s, which is latest" % (_shown(version), latest))
    ]


def _other(text: str, where: str, problem: str) -> Finding:
    return _setting("cann-other-set", problem, "the CANN that `latest` points to, or ascend-env", text, where)


def _setting(name: str, problem: str, wanted: str, text: str, where: str) -> Finding:
    remedy = "remove it from the line and log in again; set for one job: env NAME=... /usr/local/bin/ascend-env COMMAND"
    if name in ("pythonpath-set", "pythonhome-set"):
        remedy = "remove it from the line and log in again; a program's own modules belong in an environment"
    return finding("python", name, problem, wanted, _shown(text.strip()), where, remedy)


def _shown(words: str) -> str:
    """Secrets are masked before text is cut, because half a secret cannot be recognised."""
    return shown(masked(words))


def _within(path: str, folders: List[str]) -> bool:
    return any(files.is_in(os.path.normpath(path), os.path.normpath(folder)) for folder in folders)


def _foreign(line: _Line, entries: List[str], roots: List[str]) -> List[str]:
    """Return the entries of a list that are neither CANN's folders or files nor the variable's own old value."""
    found = []
    for entry in (entry.strip() for entry in entries):
        variable = _VARIABLE.match(entry)
        if variable:
            name = variable.group("name") or variable.group("bare")
            if name != line.name and not name.startswith(_CANN_VARIABLES):
                found.append(entry)
        elif entry and not _within(entry, roots):
            found.append(entry)
    return found


def _expanded(value: str, known: Dict[str, str], itself: str) -> str:
    """Put in the values of variables that the same file set before, and the defaults of others (``${NAME:-word}``)."""

    def meant(match: Match[str]) -> str:
        name = match.group("name") or match.group("bare")
        if name == itself:  # also in the form ${PYTHONPATH:+:$PYTHONPATH}
            return ":$%s:" % itself
        return known.get(name, match.group("word") if match.group("sign") == "-" else "$" + name)

    return _VARIABLE.sub(meant, value[:MOST_VALUE])[:MOST_VALUE]
