# SPDX-License-Identifier: Apache-2.0
"""What a removal has to decide about on a node: whose it is, what needs it, and what opposes its removal."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from .. import files, incoming, mounts
from ..cann import layout as cann_layout
from ..change import fault_points, leftovers, module_lock, origin, run_lock
from ..environment import build as environment, checkout_manifest, read as environment_read
from ..node import Node
from ..places import (
    ASCEND_ENV,
    BESIDE,
    CANN_INSTALL_RECORD,
    ETC,
    HELPER,
    HELPER_CONFIG,
    HELPER_RULE,
    INSTALLERS_LOGS,
    Places,
)
from ..serve import server
from ..service import service as services
from ..settings import drop_ins
from . import belongings, in_use

if TYPE_CHECKING:
    from ..shapes import Environment

REMOVING = ".removing-"  # and the name: what is being removed, beside its place
INTENT = "removing.json"  # in the state folder while a removal is at work
# Of a change that is at work, not of what was put on the node.
AT_WORK = (module_lock.FILE, run_lock.FILE, origin.FILE, INTENT, fault_points.FILE, fault_points.WAITING)
_NAME = re.compile(r"(.+?)-[0-9a-f]{12}(?:-[0-9a-f]{8})?")  # <release>-<lock digest>[-<sources>]
_PACKAGE = re.compile(r"Ascend-cann-(?:toolkit|kernels-.+?|.+?-ops)_(.+?)_linux.*")
_CACHED = re.compile(r"[0-9a-f]{16}")  # a folder of the cache: depot_file.py
WHEELS = "wheels"  # of the cache: those that were sent, a folder for each lock
_WHEELS = re.compile(r"(.+-[0-9a-f]{12})-\w+")
_LOG = re.compile(r"ascend_(?:toolkit|kernels_.+|ops_.+)_install(?:_bak)?\.log")

Surveyed = Dict[str, Any]


def read(node: Node, places: Places) -> Surveyed:
    """Return what ``selection.select`` decides about; paths are the node's own.

    ``environments`` (name -> path, release, cann, python, made_s, complete, ours, source, belongings), ``current`` and
    ``previous`` (names, None), ``cann`` (version -> path, ours, kernels, belongings), ``pythons`` (version -> path,
    ours, archive), ``cache`` (name, path, files, cann, ours), ``leftovers`` (paths), ``parts`` (see there),
    ``services`` (name, path, environment, process), ``intent`` (of a removal that was interrupted), ``processes`` and
    ``mounts`` (path -> who uses it, where something is mounted).
    """
    node.at(places.ascend_root)
    env = os.path.join(places.ascend_root, "env")
    facts = environment_read.read_environments(node, env)[0]
    surveyed: Surveyed = {
        "environments": {name: _environment(node, name, facts["all"][name]) for name in facts["all"]},
        "current": _leads(node, os.path.join(env, environment_read.CURRENT)),
        "previous": _leads(node, os.path.join(env, environment_read.PREVIOUS)),
        "cann": _cann(node, places),
        "pythons": _pythons(node, places),
        "cache": _cache(node, places),
        "leftovers": _leftovers(node, places),
        "parts": parts(node, places),
        "services": _services(node, places),
        "intent": files.mapping(node.path(os.path.join(places.state_dir, INTENT))),
    }
    paths = [each["path"] for kind in ("environments", "cann", "pythons") for each in surveyed[kind].values()]
    mounted = mounts.read(node.path("/proc/self/mountinfo"))
    within = {path: mounts.within(mounted, os.path.realpath(node.path(path))) for path in paths}
    node.at("/proc of every process")
    surveyed["mounts"] = {path: found for path, found in within.items() if found}
    surveyed["processes"] = in_use.users(node, paths)
    for each in surveyed["services"]:
        # It holds its environment also while it does not run: systemd may begin it again at any moment.
        for path in (each["path"], os.path.normpath(each["environment"])):
            surveyed["processes"].setdefault(path, []).append(each["process"])
    return surveyed


def _services(node: Node, places: Places) -> List[Surveyed]:
    """Return the models that serve.yml began and serve_stop.yml did not end, with the process that a removal names."""
    state_dir = node.path(places.state_dir)
    found = []
    for name in server.names(state_dir):
        served = server.about(state_dir, name)
        path = server.place(places.state_dir, name)
        process = {
            "pid": services.main_pid(node.path(path), node.run),
            "user": str(served.get("account")),
            "name": "serving %s" % name,
            "command": "serving %s, until playbooks/serve_stop.yml" % name,
            "how": "a service",
        }
        found.append({"name": name, "path": path, "environment": str(served.get("environment")), "process": process})
    return found


def _leads(node: Node, link: str) -> Optional[str]:
    """Return the name of the target of a link beside the environments, even if that is gone."""
    target = files.link(node.path(link))
    return os.path.basename(os.path.normpath(target)) if target else None


def _environment(node: Node, name: str, facts: Environment) -> Surveyed:
    here = node.path(facts["path"])
    receipt = os.path.join(here, environment_read.RECEIPT)
    content = files.mapping(receipt)
    match = _NAME.fullmatch(name)
    release = content.get("release")
    source = checkout_manifest.load(os.path.join(here, checkout_manifest.MANIFEST % environment.NAME))
    return {
        "path": facts["path"],
        "release": release if isinstance(release, str) else match.group(1) if match else None,
        "cann": facts["cann_home"],
        "python": facts["python"],
        "made_s": _time(receipt) or _time(here),
        "complete": facts["state"] == "complete",
        "ours": facts["state"] == "complete" or bool(match),
        "source": source.archive if source else None,
        "belongings": belongings.of_environment(here),
    }


def _time(path: str) -> int:
    try:
        return int(os.stat(path).st_mtime)
    except OSError:
        return 0


def _cann(node: Node, places: Places) -> Surveyed:
    state_dir = node.path(places.state_dir)
    tree = cann_layout.Tree(node.path(places.cann_root), state_dir, node.root)
    remembered = origin.read(state_dir)
    before, installed = remembered["cann"], origin.ours(state_dir)
    found = {}
    for version in tree.versions():
        home = tree.home(version)
        ours = tree.name(version) in installed
        if not ours and not files.names(home):
            continue  # an empty folder is what some uninstallers leave
        chips = cann_layout.recorded_chips(state_dir, version)
        found[version] = {
            "path": tree.shown(home),
            "ours": ours,
            # Kernels that this project put beside somebody else's toolkit.
            "kernels": chips if not ours and not before.get(tree.name(version)) else [],
            "belongings": belongings.of_cann(state_dir, home, version) if ours else [],
        }
    return found


def _pythons(node: Node, places: Places) -> Surveyed:
    """One whose removal was interrupted may have lost its receipt already; the recorded intent says that it is ours."""
    going = files.mapping(node.path(os.path.join(places.state_dir, INTENT))).get("python")
    going = going if isinstance(going, list) else []
    root = os.path.join(places.ascend_root, "python")
    found = {}
    for version in files.folders(node.path(root)):
        path = os.path.join(root, version)
        receipt = files.mapping(node.path(os.path.join(path, environment_read.RECEIPT)))
        ours = (receipt.get("version") == version or version in going) and not os.path.islink(node.path(path))
        found[version] = {"path": path, "ours": ours, "archive": str(receipt.get("sha256"))}
    return found


def _cache(node: Node, places: Places) -> List[Surveyed]:
    found = []
    for name in files.names(node.path(places.cache_dir)):
        path = os.path.join(places.cache_dir, name)
        inside = files.names(node.path(path))
        if name == WHEELS:
            found += [_wheels(node, os.path.join(path, each)) for each in inside]
            continue
        packages = [match.group(1) for match in map(_PACKAGE.fullmatch, inside) if match]
        sent = name in (incoming.FOLDER, incoming.SWARM)
        ours = sent or bool(_CACHED.fullmatch(name))
        ours = ours and not os.path.islink(node.path(path))
        found.append({"name": name, "path": path, "files": [] if sent else inside, "cann": packages[:1], "ours": ours})
    return found


def _wheels(node: Node, path: str) -> Surveyed:
    """The wheels of one lock, sent to the node; the environments that they are for are named like it."""
    name = os.path.basename(path)
    match = _WHEELS.fullmatch(name)
    ours = bool(match) and not os.path.islink(node.path(path))
    of = match.group(1) if match else ""
    return {"name": name, "path": path, "files": ["wheels of " + name], "cann": [], "ours": ours, "environment": of}


def _leftovers(node: Node, places: Places) -> List[str]:
    """Those that every change clears away, what an interrupted removal left, and manifests of missing things."""
    tree = cann_layout.Tree(node.path(places.cann_root), node.path(places.state_dir), node.root)
    on_node = Places(*(node.path(place) for place in places_of(places)))
    found = [tree.shown(path) for path in leftovers.leftovers(on_node)]
    toolkits, beside = (os.path.join(places.cann_root, name) for name in ("ascend-toolkit", BESIDE))
    env, python = (os.path.join(places.ascend_root, name) for name in ("env", "python"))
    for folder in (env, python, toolkits, beside, places.cann_root):
        found += [os.path.join(folder, name) for name in files.names(node.path(folder)) if name.startswith(REMOVING)]
    manifests = os.path.join(places.state_dir, "manifests")
    gone = re.compile(r"(?:toolkit|kernels-[^-]+)-(.+)\.json")
    for name in files.names(node.path(manifests)):
        match = gone.fullmatch(name)
        if match and not os.path.isdir(tree.home(match.group(1))):
            found.append(os.path.join(manifests, name))
    intent = os.path.join(places.state_dir, INTENT)
    found += [intent] if os.path.exists(node.path(intent)) else []
    return sorted(set(found))


def places_of(places: Places) -> Tuple[str, str, str, str, str]:
    """Return the places in the order of their fields."""
    return places.cann_root, places.ascend_root, places.cache_dir, places.state_dir, places.tmp_dir


def parts(node: Node, places: Places) -> List[Surveyed]:
    """Return what else belongs to the project or to CANN's installers, as ``{"kind", "name", "path", "ours"}``.

    The project's own places are ours. What CANN's installers put elsewhere is ours if its folder was absent before the
    first change, according to ``origin.json``; without that file it is not.
    """
    env = os.path.join(places.ascend_root, "env")
    found = [("link", os.path.join(env, name), True) for name in (environment_read.PREVIOUS, environment_read.CURRENT)]
    # The rule before the program that it lets run.
    found += [("program", path, True) for path in (ASCEND_ENV, HELPER_RULE, HELPER, HELPER_CONFIG)]
    absent = origin.read(node.path(places.state_dir))["absent"]
    toolkits = os.path.join(places.cann_root, "ascend-toolkit")
    ours = toolkits in absent
    found += [("CANN", os.path.join(toolkits, name), ours) for name in ("latest", "set_env.sh")]
    if os.path.islink(node.path(os.path.join(places.cann_root, "cann"))):
        found.append(("CANN", os.path.join(places.cann_root, "cann"), places.cann_root in absent or ours))
    for name in files.names(node.path(toolkits)):
        if re.fullmatch(r"\d+\.\d+", name) and os.path.islink(node.path(os.path.join(toolkits, name))):
            found.append(("CANN", os.path.join(toolkits, name), ours))
    found.append(("CANN", CANN_INSTALL_RECORD, ETC in absent))
    for name in files.names(node.path(INSTALLERS_LOGS)):
        if _LOG.fullmatch(name):
            found.append(("log", os.path.join(INSTALLERS_LOGS, name), INSTALLERS_LOGS in absent))
    found += [("settings", path, True) for path in (drop_ins.SYSCTL, drop_ins.LIMITS, server.LOGROTATE)]
    found.append(("state", places.state_dir, True))
    return [
        {"kind": kind, "name": os.path.basename(path), "path": path, "ours": mine}
        for kind, path, mine in found
        if os.path.lexists(node.path(path))
    ]


def folders(node: Node, places: Places) -> List[str]:
    """Return the folders, inner ones first, that are removed with their last content."""
    absent = origin.read(node.path(places.state_dir))["absent"]
    existing = [os.path.join(places.ascend_root, name) for name in ("env", "python")]
    for path in (
        places.ascend_root,
        os.path.join(places.cann_root, "ascend-toolkit"),
        places.cann_root,
        ETC,
        INSTALLERS_LOGS,
    ):
        if path in absent:
            existing.append(path)
    ours = (places.ascend_root, places.cache_dir, places.tmp_dir, places.cann_root)
    above = [places.tmp_dir, *(parent for place in ours for parent in origin.parents(place))]
    return [
        *existing,
        os.path.dirname(HELPER),
        os.path.join(places.cache_dir, WHEELS),
        places.cache_dir,
        *(folder for folder in above if folder in absent),
    ]
