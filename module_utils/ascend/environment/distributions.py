# SPDX-License-Identifier: Apache-2.0
"""Read the distributions of a site-packages folder from their files. No Python is started.

A distribution is a ``*.dist-info`` folder with METADATA (core metadata; only its head is read) and RECORD
(``record_file``), or the older ``*.egg-info`` with PKG-INFO, which has no RECORD.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from ..text import cut, listed, printable
from . import record_file
from .record_file import ALL_SUMS, NO_SUMS, Corrections, Listings

HEAD = 4096  # METADATA names its distribution in its first lines, but may do so later
MOST_HEAD = 64 * 1024
# The distributions that decide: compared in the running interpreter, shown of a node and of a release.
DECIDING = ("torch", "torch-npu", "deepspeed", "llamafactory")
SHOWN = 3  # how many files of a distribution are named
MOST_WORDS = 160
LEFTOVER = ("~", "-", "=", "%")  # pip renames a folder so (``~orch``) while it replaces it

BROKEN = "environment-record-broken"
ALTERED = "environment-files-altered"
LEFT = "environment-leftover"

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,79}")


class Problem(NamedTuple):
    """A problem of an environment: the finding's name, the text, and the path that a repair has to remove (or "").

    ``subject`` is what it is about, a distribution or a file. Name and subject say which problem it is, whatever the
    text says.
    """

    name: str
    words: str
    path: str = ""
    subject: str = ""


class Distribution(NamedTuple):
    """A distribution found; ``info`` is the path of what describes it (dist-info, egg-info or egg)."""

    name: str
    version: str
    info: str


def normalise(name: str) -> str:
    """Return a distribution's name in its one form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def shown(words: str) -> str:
    """Return text that is safe in any terminal and in JSON, at most MOST_WORDS characters."""
    return cut(printable(words).replace("\n", "\\x0a"), MOST_WORDS)


def sites(path: str) -> List[str]:
    """Return the site-packages folders of an environment. lib64 counts if it is not a link to lib."""
    found = []
    for lib in ("lib", "lib64"):
        folder = os.path.join(path, lib)
        if lib == "lib64" and os.path.islink(folder):
            continue
        try:
            series = sorted(name for name in os.listdir(folder) if name.startswith("python3"))
        except OSError:
            continue
        found += [os.path.join(folder, name, "site-packages") for name in series]
    return [site for site in found if os.path.lexists(site)]


def infos(path: str) -> List[str]:
    """Return the dist-info folders of an environment."""
    found = []
    for site in sites(path):
        try:
            names = sorted(os.listdir(site))
        except OSError:
            continue
        folders = [name for name in names if name.endswith(".dist-info") and not name.startswith(LEFTOVER)]
        found += [os.path.join(site, name) for name in folders]
    return found


def read(
    site: str, names: List[str], deep: bool = False, corrected: Optional[Corrections] = None
) -> Tuple[List[Distribution], List[Problem]]:
    """Return the distributions of a site-packages folder with the entries ``names``, by name, and their problems.

    ``corrected`` is what ``corrections`` returned right after installation; None if it was not called.
    """
    found: Dict[str, Distribution] = {}
    leftovers = [name for name in names if name.startswith(LEFTOVER)]
    problems = [
        Problem(LEFT, shown("an interrupted pip left %s behind" % name), os.path.join(site, name), name)
        for name in leftovers
    ]
    listings = Listings(site, names)
    infos = [name for name in names if name.endswith(".dist-info") and name not in leftovers]
    eggs = [name for name in names if name.endswith((".egg-info", ".egg")) and name not in leftovers]
    for name in sorted(infos) + sorted(eggs):
        info = os.path.join(site, name)
        egg = not name.endswith(".dist-info")
        distribution, wrong = _egg(info) if egg else _dist_info(info, listings, deep, corrected)
        problems += wrong
        other = found.get(distribution.name) if distribution else None
        if not distribution or (other and _owns(other.info, name)):
            continue
        if other:
            words = "%s is installed twice: %s and %s" % (distribution.name, other.version, distribution.version)
            problems.append(Problem(BROKEN, shown(words), subject="%s twice" % distribution.name))
        found[distribution.name] = distribution
    return [found[name] for name in sorted(found)], problems


def name_version(path: str) -> Tuple[str, str]:
    """Return normalised name and version from METADATA or PKG-INFO; both empty unless it has both."""
    found = _headers(path, HEAD) or _headers(path, MOST_HEAD)
    name, version = found.get("name", ""), found.get("version", "")
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        return "", ""
    return normalise(name), version


def _headers(path: str, most: int) -> Dict[str, str]:
    """Return name and version if both are in the first ``most`` bytes, else nothing."""
    data = record_file.content(path, most)
    if len(data) == most:
        data = data[: data.rfind(b"\n") + 1]  # half a line would be half a version
    found: Dict[str, str] = {}
    for line in data.decode("utf-8-sig", "replace").split("\n"):
        if not line.strip():
            break
        key, _, value = line.partition(":")
        if key.lower() in ("name", "version"):
            found.setdefault(key.lower(), value.strip())
            if len(found) == 2:
                return found
    return {}


def _egg(info: str) -> Tuple[Optional[Distribution], List[Problem]]:
    """An egg-info is a folder or, from distutils, PKG-INFO itself."""
    inner = "EGG-INFO/PKG-INFO" if info.endswith(".egg") else "PKG-INFO"
    name, version = name_version(os.path.join(info, inner) if os.path.isdir(info) else info)
    if name:
        return Distribution(name, version, info), []
    egg = os.path.basename(info)
    return None, [Problem(BROKEN, shown("%s has no readable PKG-INFO" % egg), info, egg)]


def _dist_info(
    info: str, listings: Listings, deep: bool, corrected: Optional[Corrections]
) -> Tuple[Optional[Distribution], List[Problem]]:
    folder = os.path.basename(info)
    name, version = name_version(os.path.join(info, "METADATA"))
    if not name:
        return None, [Problem(BROKEN, shown("%s has no readable METADATA" % folder), subject=folder)]
    if corrected is None:
        corrected = {folder + "/METADATA": ""}  # see ``corrections``: it may be as the wheel brought it
    data = record_file.content(os.path.join(info, "RECORD"))
    problem = record_file.problem(folder, data)
    texts = {"%s METADATA" % name: other_name(info, name), "%s RECORD" % name: problem}
    problems = [
        Problem(BROKEN, shown("%s: %s" % (name, text)), subject=subject) for subject, text in texts.items() if text
    ]
    if not problem:
        problems += _deep(name, data, listings, corrected) if deep else _fast(info, name, data, listings, corrected)
    return Distribution(name, version, info), problems


def _fast(info: str, name: str, data: bytes, listings: Listings, corrected: Corrections) -> List[Problem]:
    missing = record_file.missing_uppers(data, listings, corrected)
    altered = []
    lines = record_file.measured(os.path.basename(info), data)
    for file, lost in record_file.unlike(listings.site, lines, NO_SUMS, corrected):
        parts = file.split("/")
        if not lost:
            altered.append(file)
        elif parts[0] not in missing and "/".join(parts[:2]) not in missing:
            missing.append(file)
    more = " and %d more" % (len(missing) - 1) if len(missing) > 1 else ""
    words = shown("%s: %s is missing%s" % (name, missing[0], more)) if missing else ""
    problems = [Problem(ALTERED, words, subject="%s missing" % name)] if words else []
    return problems + _counted(name, "altered", altered)


def _deep(name: str, data: bytes, listings: Listings, corrected: Corrections) -> List[Problem]:
    found = list(record_file.unlike(listings.site, data, ALL_SUMS, corrected))
    problems = _counted(name, "missing", [file for file, lost in found if lost])
    problems += _counted(name, "altered", [file for file, lost in found if not lost])
    unread = record_file.unreadable_rows(data)
    if unread:
        words = "%s: RECORD has %s" % (name, "1 unreadable line" if unread == 1 else "%d unreadable lines" % unread)
        problems.append(Problem(BROKEN, words, subject="%s RECORD" % name))
    return problems


def _counted(name: str, what: str, paths: List[str]) -> List[Problem]:
    if not paths:
        return []
    number = "1 file" if len(paths) == 1 else "%d files" % len(paths)
    words = shown("%s: %s %s: %s" % (name, number, what, listed(paths, most=SHOWN)))
    return [Problem(ALTERED, words, subject="%s %s" % (name, what))]


def other_name(info: str, name: str) -> str:
    """Return the problem of a dist-info folder with another distribution's METADATA; "" if it is its own."""
    folder = os.path.basename(info)
    own = folder[: -len(".dist-info")].rpartition("-")[0]
    return "" if normalise(own) == name else "its METADATA is in %s" % folder


def _owns(info: str, name: str) -> bool:
    """Whether a dist-info's RECORD lists that egg-info: torch-npu's wheels contain one, too."""
    data = record_file.content(os.path.join(info, "RECORD"))
    return b"\n" + os.fsencode(name) + b"/" in data or data.startswith(os.fsencode(name) + b"/")
