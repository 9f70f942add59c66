# SPDX-License-Identifier: Apache-2.0
"""Read the Pythons and the environments below /opt/ascend from their files; none of them is started."""

from __future__ import annotations

import csv
import glob
import json
import os
import re
from typing import Any, Dict, List, Optional, Tuple

RECORD = ".ascend-fleet.json"  # written last by the module that made a Python or an environment
CANN_HOME = ".cann_home"
SHOWN = 10


def read_pythons(root: str) -> Dict[str, Dict[str, str]]:
    """Return version -> ``{"path", "state": "complete" | "half-installed"}`` of the Pythons in ``root``."""
    pythons = {}
    for name in _folders(root):
        path = os.path.join(root, name)
        series = ".".join(name.split(".")[:2])
        program = os.path.join(path, "bin", "python" + series)
        whole = os.access(program, os.X_OK) and _json(os.path.join(path, RECORD)).get("version") == name
        pythons[name] = {"path": path, "state": "complete" if whole else "half-installed"}
    return pythons


def read_environments(root: str) -> Dict[str, Any]:
    """Return ``{"current": name or None, "all": {name: environment}}`` (see ``read_environment``)."""
    try:
        current: Optional[str] = os.path.basename(os.readlink(os.path.join(root, "current")))
    except OSError:
        current = None
    names = [name for name in _folders(root) if not os.path.islink(os.path.join(root, name))]
    return {"current": current, "all": {name: read_environment(os.path.join(root, name)) for name in names}}


def read_environment(path: str) -> Dict[str, Any]:
    """Return ``{"path", "state", "python", "cann_home", "lock_digest", "distributions", "editable", "problems"}``.

    ``distributions`` maps normalised names (PEP 503) to versions, as their dist-info says. An environment is complete
    when its record is there and its interpreter can be reached.
    """
    record = _json(os.path.join(path, RECORD))
    distributions, editable, problems = read_distributions(path)
    python = os.path.join(path, "bin", "python")
    if record and not os.access(python, os.X_OK):
        problems.insert(0, "bin/python cannot be run")
    return {
        "path": path,
        "state": "complete" if record else "half-installed",
        "python": record.get("python"),
        "cann_home": (_text(os.path.join(path, CANN_HOME)) or "").strip() or None,
        "lock_digest": record.get("lock_digest"),
        "distributions": distributions,
        "editable": editable,
        "problems": problems[:SHOWN],
    }


def read_distributions(path: str) -> Tuple[Dict[str, str], Dict[str, str], List[str]]:
    """Return (name -> version, name -> path of an editable checkout, problems) of an environment."""
    distributions: Dict[str, str] = {}
    editable: Dict[str, str] = {}
    problems: List[str] = []
    for info in sorted(glob.glob(os.path.join(path, "lib", "python3*", "site-packages", "*.dist-info"))):
        name, version = _name_version(info)
        if not name:
            problems.append("%s has no readable METADATA" % os.path.basename(info))
            continue
        if name in distributions:
            problems.append("%s is there twice: %s and %s" % (name, distributions[name], version))
        distributions[name] = version
        problems += _record_problems(info, name)
        url = _json(os.path.join(info, "direct_url.json"))
        if url.get("dir_info", {}).get("editable"):
            editable[name] = re.sub("^file://", "", url.get("url", ""))
    return distributions, editable, problems


def normalise(name: str) -> str:
    """Return a distribution's name in its one form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lost_files(path: str) -> Dict[str, List[str]]:
    """Return name -> files that a distribution's RECORD lists and that are missing or of another size.

    Reads every RECORD and looks at every file: some 60,000 for an environment with torch.
    """
    lost: Dict[str, List[str]] = {}
    for info in sorted(glob.glob(os.path.join(path, "lib", "python3*", "site-packages", "*.dist-info"))):
        name, _ = _name_version(info)
        try:
            with open(os.path.join(info, "RECORD"), encoding="utf-8", newline="") as stream:
                rows = list(csv.reader(stream))
        except (OSError, ValueError):
            continue
        bad = [row[0] for row in rows if len(row) == 3 and not _as_recorded(os.path.dirname(info), row)]
        if bad:
            lost[name] = bad
    return lost


def broken_infos(path: str) -> List[str]:
    """Return the dist-info folders without METADATA, or whose RECORD is lost or speaks of another folder."""
    infos = glob.glob(os.path.join(path, "lib", "python3*", "site-packages", "*.dist-info"))
    return sorted(info for info in infos if not _name_version(info)[0] or not _records_itself(info))


def _records_itself(info: str) -> bool:
    own = os.path.basename(info) + "/METADATA"
    return own in (_text(os.path.join(info, "RECORD")) or "")


def _as_recorded(site: str, row: List[str]) -> bool:
    try:
        size = os.stat(os.path.join(site, row[0])).st_size
    except OSError:
        return row[0].endswith(".pyc")
    return not row[2] or int(row[2]) == size


def _record_problems(info: str, name: str) -> List[str]:
    """The fast form: the list of files is there, and the first package it names is."""
    record = _text(os.path.join(info, "RECORD"))
    if not record:
        return ["%s: RECORD is missing" % name]
    site = os.path.dirname(info)
    tops = {
        line.split(",", 1)[0].split("/", 1)[0] for line in record.splitlines() if line[:1] not in ("", ".", "/", '"')
    }
    lost = sorted(top for top in tops if not os.path.lexists(os.path.join(site, top)) and top != "__pycache__")
    return ["%s: %s is missing" % (name, lost[0])] if lost else []


def _name_version(info: str) -> Tuple[str, str]:
    name = version = ""
    try:
        with open(os.path.join(info, "METADATA"), encoding="utf-8", errors="replace") as stream:
            for line in stream:
                key, _, value = line.partition(":")
                if key == "Name":
                    name = normalise(value.strip())
                elif key == "Version":
                    version = value.strip()
                if (name and version) or not line.strip():
                    break
    except OSError:
        return "", ""
    return name, version


def _folders(root: str) -> List[str]:
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return []
    return [name for name in names if not name.startswith(".") and os.path.isdir(os.path.join(root, name))]


def _json(path: str) -> Dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as stream:
            value = json.load(stream)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return None
