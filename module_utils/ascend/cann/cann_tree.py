# SPDX-License-Identifier: Apache-2.0
"""Read the CANN versions of a node from their files; no command is run.

Two layouts are known. ``ascend-toolkit/<version>/`` (5.1 to 8.3): a folder a component, each with a ``version.info``,
and ``ascend-toolkit/latest``, a folder of links to the running version (or itself a link to it). ``cann-<version>/``
(from 8.5 on): ``share/info/<component>/version.info``, and the link ``cann``. Both hold ``<arch>-linux/
ascend_toolkit_install.info``. The folder's name is the full version, also of alpha builds.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Set, Tuple

from ansible.module_utils.ascend import files
from ansible.module_utils.ascend.cann import cann_files, manifest
from ansible.module_utils.ascend.errors import AscendError
from ansible.module_utils.ascend.node import Finding, Node, finding
from ansible.module_utils.ascend.versions import compare_cann

# Without these no program of the toolkit runs; the others (aoe, ncs, test-ops ...) may be left out by --whitelist.
COMPONENTS = ("runtime", "compiler", "hccl", "opp", "toolkit")
CANN_COMPONENTS = ("runtime", "hccl")  # those of them that 8.5 and later still have under the same name
# What torch-npu loads, relative to the version's folder.
LIBRARIES = ("libascendcl.so", "libhccl.so", "libge_runner.so", "libgraph.so", "libacl_op_compiler.so")
INFO = "ascend_toolkit_install.info"
RECORD = "/etc/Ascend/ascend_cann_install.info"
SHOWN = 5
MOST_HOMES = 500
MACHINES = {"arm64": "aarch64", "amd64": "x86_64", "x86-64": "x86_64"}
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[A-Za-z0-9.-]+")
_KERNEL = "opp/built-in/op_impl/ai_core/tbe/kernel"
# Folders of the toolkit that only the kernels packages fill: their loss is not the toolkit's.
KERNELS = ("opp_kernel", _KERNEL)
# Kinds of a problem. The first ones decide a package's state, the last ones accuse nothing.
HALF, VERSION, KERNELS_VERSION, SET_ENV, ARCHITECTURE, UNREADABLE, LATEST = (
    "half-installed", "version-mismatch", "kernels-version", "set-env-missing", "architecture", "unreadable", "latest",
)  # fmt: skip
ALTERED, EXTRA, UNREAD = "altered", "extra", "unread"
_OF_MANIFEST = {
    manifest.LOST: ALTERED,
    manifest.ALTERED: ALTERED,
    manifest.UNREADABLE: UNREADABLE,
    manifest.EXTRA: EXTRA,
    manifest.UNREAD: UNREAD,
}

Package = Dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a package: one of the kinds above, words, and the file or folder that is meant."""

    kind: str
    words: str
    path: str = ""  # relative to the version's folder


@dataclass(frozen=True)
class Latest:
    """Where ``latest`` (or ``cann``) leads: to ``version``, None when that is not there.

    ``state`` is "ok", "absent", "dangling" (a link leads to nothing) or "mixed" (the links lead to more than one
    version). ``leads`` maps what the links lead to, a version or a path, to their names; ``broken`` are the links that
    lead to nothing. ``kernels`` is where the link opp_kernel leads, which stays behind when the toolkit changes.
    """

    path: str
    state: str
    version: Optional[str]
    leads: Dict[str, List[str]]
    broken: Tuple[str, ...] = ()
    kernels: Optional[str] = None
    is_folder: bool = False

    def words(self) -> str:
        """Return where the links lead, in words."""
        leads = ["%s: %s" % (place, _listed(names)) for place, names in sorted(self.leads.items())]
        broken = ["to nothing: " + _listed(list(self.broken))] if self.broken else []
        return "; ".join(leads + broken) or "nothing"


@dataclass(frozen=True)
class Tree:
    """Where CANN lies: ``root`` as a path of this machine, ``below`` the folder that is "/" for absolute links."""

    root: str
    state_dir: str
    below: str = "/"

    def shown(self, path: str) -> str:
        """Return a path of this machine as the node's own."""
        return path[len(self.below.rstrip("/")) :] if _is_in(path, self.below.rstrip("/")) else path

    def home(self, version: str) -> str:
        """Return the folder of a version, in the later layout where it is there."""
        later = os.path.join(self.root, "cann-" + version)
        return later if os.path.isdir(later) else os.path.join(self.root, "ascend-toolkit", version)

    def is_later(self, version: str) -> bool:
        return os.path.basename(self.home(version)).startswith("cann-")

    def arch(self, version: str) -> str:
        """Return the ``<arch>-linux`` folder of a version: the one with its record, this machine's before others."""
        home = self.home(version)
        own = "%s-linux" % _machine()
        names = [n for n in files.names(home) if n.endswith("-linux") and not os.path.islink(os.path.join(home, n))]
        recorded = [name for name in names if os.path.exists(os.path.join(home, name, INFO))]
        for choice in (recorded, names):
            if choice:
                return os.path.join(home, own if own in choice else choice[0])
        return os.path.join(home, own)

    def set_env(self, version: str) -> str:
        """Return the environment file that leads to this version, whatever ``latest`` says."""
        if self.is_later(version):
            return os.path.join(self.home(version), "set_env.sh")
        return os.path.join(self.arch(version), "script", "set_env.sh")

    def versions(self) -> List[str]:
        """Return the names of the version folders of both layouts; links are other names of them."""
        names: Set[str] = set()
        for folder, prefix in ((os.path.join(self.root, "ascend-toolkit"), ""), (self.root, "cann-")):
            for name in files.names(folder):
                path = os.path.join(folder, name)
                if name.startswith(prefix) and _VERSION.fullmatch(name[len(prefix) :]) and not os.path.islink(path):
                    names.add(name[len(prefix) :])
        return sorted(names)

    def latest(self, later: bool) -> Latest:
        """Return where the running version's link (or folder of links) of a layout leads."""
        path = os.path.join(self.root, "cann") if later else os.path.join(self.root, "ascend-toolkit", "latest")
        if os.path.islink(path):
            target = self._followed(path)
            leads = {_version_in(target) or self.shown(target): [os.path.basename(path)]}
            if os.path.isdir(target):
                return Latest(path, "ok", _version_in(target), leads)
            return Latest(path, "dangling", None, leads)
        return self._folder_of_links(path) if os.path.isdir(path) else Latest(path, "absent", None, {})

    def running(self) -> Latest:
        """Return the one that decides: ``cann`` where it leads to a version, else ``latest``."""
        later, older = self.latest(later=True), self.latest(later=False)
        there = [latest for latest in (later, older) if latest.version]
        return there[0] if there else older if later.state == "absent" else later

    def _folder_of_links(self, path: str) -> Latest:
        leads: Dict[str, List[str]] = {}
        broken = []
        kernels = None
        for name in _link_names(path):
            target = self._step(os.path.join(path, name))
            if _is_in(target, path):
                continue  # lib64 -> aarch64-linux/lib64
            place = _version_in(target) or self.shown(target)
            if name == "opp_kernel":
                kernels = place
            else:
                leads.setdefault(place, []).append(name)
            if not os.path.exists(self._followed(target)) and not self._lacks(place, name, target):
                broken.append(name)
        version = self._chosen(path, leads)
        state = "mixed" if len(leads) > 1 else "dangling" if broken else "ok" if version or leads else "absent"
        return Latest(path, state, version, leads, tuple(broken), kernels, True)

    def _lacks(self, version: str, name: str, target: str) -> bool:
        """Whether a link is as it should be and the version lacks the part: then that is the toolkit's problem."""
        home, part = self.home(version), name.split(os.sep)[0]
        is_checked = part in COMPONENTS or part == "opp_kernel" or part.endswith("-linux")
        is_right = os.path.isdir(home) and target == os.path.join(home, name)
        return is_checked and is_right and not os.path.isdir(os.path.join(home, part))

    def _chosen(self, path: str, leads: Dict[str, List[str]]) -> Optional[str]:
        """Return the version of the runtime's link, or of the next one that is there; without links, version.cfg's."""
        rank = {name: position for position, name in enumerate(COMPONENTS)}
        places = sorted(leads, key=lambda place: min(rank.get(name, len(rank)) for name in leads[place]))
        if not places:
            running = cann_files.parse_version_cfg(cann_files.read(os.path.join(path, "version.cfg"))[0]).running
            places = [version for _number, version in running.get("runtime", ())]
        return next((place for place in places if _VERSION.fullmatch(place) and os.path.isdir(self.home(place))), None)

    def _step(self, path: str) -> str:
        target = files.link(path) or ""
        start = (
            self.below.rstrip("/") + target if target.startswith("/") else os.path.join(os.path.dirname(path), target)
        )
        return os.path.normpath(start)

    def _followed(self, path: str) -> str:
        for _step in range(20):
            if not os.path.islink(path):
                return path
            path = self._step(path)
        return path


def toolkit_dir(root: str, version: str) -> str:
    """Return the folder of one CANN version."""
    return Tree(root, "").home(version)


def arch_dir(root: str, version: str) -> str:
    """Return the folder of a version that is named by the machine, e.g. ``.../8.0.RC1/aarch64-linux``."""
    return Tree(root, "").arch(version)


def set_env(root: str, version: str) -> str:
    """Return the environment file of one version."""
    return Tree(root, "").set_env(version)


def manifest_path(state_dir: str, package: str, version: str) -> str:
    """Return where the manifest of ``toolkit`` or ``kernels-<chip>`` of a version lies."""
    return os.path.join(state_dir, "manifests", "%s-%s.json" % (package, version))


def recorded_chips(state_dir: str, version: str) -> List[str]:
    """Return the chips whose kernels of a version have a manifest."""
    end = "-%s.json" % version
    names = [name for name in files.names(os.path.join(state_dir, "manifests")) if name.endswith(end)]
    return [name[len("kernels-") : -len(end)] for name in names if name.startswith("kernels-")]


def kernels_tops(chip: str) -> List[str]:
    """Return what of a version's folder the manifest of a chip's kernels covers."""
    return ["opp_kernel", os.path.join(_KERNEL, "ascend" + chip), os.path.join(_KERNEL, "config", "ascend" + chip)]


def read_latest(root: str) -> Optional[str]:
    """Return the version that is the running one; None where there is none, or where it is not there any more."""
    return Tree(root, "").running().version


def read_toolkit(root: str, state_dir: str, version: str, deep: bool = False) -> Package:
    """Return the toolkit package of one version (see ``read_cann``)."""
    return _package(_toolkit_problems(Tree(root, state_dir), version, deep))


def read_kernels(root: str, state_dir: str, version: str, chip: str, deep: bool = False) -> Package:
    """Return the kernels package of one version and chip family ("910b")."""
    return _package(_kernels_problems(Tree(root, state_dir), version, chip, deep))


def read_cann(node: Node, cann_root: str, state_dir: str, deep: bool = False) -> Tuple[Dict[str, Any], List[Finding]]:
    """Return ``{"root", "latest", "latest_state", "versions", "elsewhere", "elsewhere_count", "record"}`` and findings.

    ``versions`` maps a version to ``{"path", "layout": "ascend-toolkit" | "cann", "version", "inner_version", "arch",
    "toolkit": package, "kernels": {chip: package}}``; a package is ``{"state": "complete" | "half-installed" |
    "altered" | "absent", "problems": [at most SHOWN], "problem_count"}``. ``elsewhere`` are other installations,
    ``record`` is the path in RECORD. ``deep`` reads every file that a manifest names.
    """
    tree = Tree(node.path(cann_root), node.path(state_dir), node.root)
    findings = _denied(tree)
    versions = {}
    for version in tree.versions():
        versions[version], found = _read_version(tree, cann_root, version, deep)
        findings += found
    running = tree.running()
    for later in (False, True):
        there = [name for name, version in versions.items() if version["toolkit"]["state"] != "absent"]
        layout = [version for version in there if tree.is_later(version) == later]
        findings += _latest_findings(tree, tree.latest(later), layout)
    findings += _without_kernels(versions, running.version)
    record, found = _read_record(node, cann_root)
    elsewhere = _elsewhere(node, tree)
    facts = {
        "root": cann_root,
        "latest": running.version,
        "latest_state": running.state,
        "versions": versions,
        "elsewhere": elsewhere[:SHOWN],
        "elsewhere_count": len(elsewhere),
        "record": record,
    }
    return facts, findings + found + _elsewhere_findings(elsewhere)


def _read_version(tree: Tree, cann_root: str, version: str, deep: bool) -> Tuple[Dict[str, Any], List[Finding]]:
    path = os.path.join(cann_root, os.path.relpath(tree.home(version), tree.root))
    info = cann_files.parse_product_info(cann_files.read(os.path.join(tree.arch(version), INFO))[0])
    problems = _toolkit_problems(tree, version, deep)
    findings = _findings("toolkit " + version, problems or [], path)
    if problems is not None:
        findings += _moved(tree, version, info.path, path)
    kernels = {}
    for chip in _chips(tree, version):
        found = _kernels_problems(tree, version, chip, deep)
        if found is not None:
            kernels[chip] = _package(found)
            findings += _findings("kernels-%s %s" % (chip, version), found, path)
    facts = {
        "path": path,
        "layout": "cann" if tree.is_later(version) else "ascend-toolkit",
        "version": info.version,
        "inner_version": info.inner_version,
        "arch": info.arch,
        "toolkit": _package(problems),
        "kernels": kernels,
    }
    return facts, findings


def _chips(tree: Tree, version: str) -> List[str]:
    folder = os.path.join(tree.home(version), _KERNEL, "config")
    chips = [name[len("ascend") :] for name in files.names(folder) if name.startswith("ascend")]
    return sorted(set(chips + recorded_chips(tree.state_dir, version)))


# --- what is wrong with a package ----------------------------------------------------------------------------------


def _toolkit_problems(tree: Tree, version: str, deep: bool) -> Optional[List[Problem]]:
    """Return what is wrong with a version's toolkit; None when there is none."""
    home = tree.home(version)
    try:
        if not os.listdir(home):
            return None  # an empty folder is what the uninstaller leaves
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return [Problem(UNREADABLE, "%s cannot be read: %s" % (tree.shown(home), error.strerror))]
    problems = _arch_problems(tree, version)
    numbers = {}
    for component in CANN_COMPONENTS if tree.is_later(version) else COMPONENTS:
        info, found = _component(tree, version, component, VERSION)
        problems += found
        numbers[component] = info.version
    if not tree.is_later(version):
        top = os.path.join(tree.root, "ascend-toolkit", "set_env.sh")
        problems += _file_problems(tree, version, top, LATEST)
    problems += _latest_problems(tree, version, numbers)
    return problems + _manifest_problems(tree, version, "toolkit", deep, problems)


def _kernels_problems(tree: Tree, version: str, chip: str, deep: bool) -> Optional[List[Problem]]:
    """Return what is wrong with the kernels of a chip; None when there are none."""
    home = tree.home(version)
    config = os.path.join(home, _KERNEL, "config", "ascend" + chip)
    recorded = chip in recorded_chips(tree.state_dir, version)
    if not os.path.isdir(config) and not (recorded and os.path.isdir(os.path.join(home, "opp_kernel"))):
        return None
    problems = []
    if not tree.is_later(version):  # from 8.5 on there is no such component
        problems += _component(tree, version, "opp_kernel", KERNELS_VERSION)[1]
        problems += _linked_kernels(tree, version)
    # Newer packages have an index a group of operators, one folder below.
    folders = [config] + [os.path.join(config, name) for name in files.names(config)]
    indexes = [os.path.join(folder, "binary_info_config.json") for folder in folders]
    there = [path for path in indexes if os.path.exists(path)] or indexes[:1]
    for path in there:
        problems += _file_problems(tree, version, path, HALF)
    binaries = os.path.join(home, _KERNEL, "ascend" + chip)
    if os.path.isdir(config) and not files.names(binaries):
        problems.append(_unread(_short(tree, version, binaries), "missing"))
    return problems + _manifest_problems(tree, version, "kernels-" + chip, deep, problems)


def _linked_kernels(tree: Tree, version: str) -> List[Problem]:
    """Return that the running version has kernels, and its links lead to those of another one."""
    latest = tree.latest(later=False)
    if latest.version != version or not latest.is_folder:
        return []
    problems = _running_problems(tree, version, ("opp_kernel",), KERNELS_VERSION)
    if latest.kernels and latest.kernels != version:
        words = "ascend-toolkit/latest/opp_kernel leads to %s" % latest.kernels
        problems.insert(0, Problem(KERNELS_VERSION, words))
    return problems


def _arch_problems(tree: Tree, version: str) -> List[Problem]:
    """Return what is wrong in the ``<arch>-linux`` folder of a version, and with its own environment file."""
    arch = tree.arch(version)
    if not os.path.lexists(arch):
        return [_unread(_short(tree, version, arch), "missing")]
    problems = _info_problems(tree, version)
    for name in LIBRARIES:
        problems += _file_problems(tree, version, os.path.join(arch, "lib64", name), HALF)
    return problems + _file_problems(tree, version, tree.set_env(version), SET_ENV)


def _info_problems(tree: Tree, version: str) -> List[Problem]:
    path = os.path.join(tree.arch(version), INFO)
    name = _short(tree, version, path)
    text, problem = cann_files.read(path)
    if problem:
        return [_unread(name, problem)]
    info = cann_files.parse_product_info(text)
    problems = [Problem(HALF, "%s: %s" % (name, words), name) for words in info.problems]
    if not info.version or not _same(info.version, version):
        problems.append(Problem(VERSION, "%s says version %s" % (name, info.version or "nothing"), name))
    folder = os.path.basename(tree.arch(version))[: -len("-linux")]
    machines = {"it": folder, name: info.arch or folder}
    for who, machine in machines.items():
        if MACHINES.get(machine, machine) != _machine():
            words = "%s is for %s, this machine is %s" % (who, machine, _machine())
            problems.append(Problem(ARCHITECTURE, words, name))
    return problems


def _component(tree: Tree, version: str, component: str, kind: str) -> Tuple[cann_files.VersionInfo, List[Problem]]:
    """Return a component's ``version.info`` and what is wrong with it; ``kind`` is that of another version."""
    home = tree.home(version)
    shared = os.path.join(home, "share", "info", component, "version.info")
    path = shared if os.path.exists(shared) else os.path.join(home, component, "version.info")
    text, problem = cann_files.read(path)
    info = cann_files.parse_version_info(text)
    name = _short(tree, version, path)
    if problem == "missing" and not os.path.isdir(os.path.dirname(path)):
        return info, [Problem(HALF, "missing component %s" % component, component)]
    if problem:
        return info, [_unread(name, problem)]
    problems = [Problem(HALF, "%s: %s" % (name, words), name) for words in info.problems]
    found = info.version_dir or version
    if not _same(found, version) and found != "cann-" + version:
        problems.append(Problem(kind, "%s says version %s" % (name, found), name))
    return info, problems


def _latest_problems(tree: Tree, version: str, numbers: Dict[str, Optional[str]]) -> List[Problem]:
    """Return what of the running version's links is wrong for this one. ``numbers`` are its components' own."""
    latest = tree.latest(tree.is_later(version))
    name = os.path.relpath(latest.path, tree.root)
    if latest.state == "absent":
        return [Problem(LATEST, "missing %s" % name)]
    if not latest.version:
        return [Problem(LATEST, "%s leads to no version that is there (%s)" % (name, latest.words()))]
    # Other parts may stay linked to an older version that had them, or be left out.
    places = {place: [name for name in names if name in COMPONENTS] for place, names in latest.leads.items()}
    mixed = sorted("%s to %s" % (_listed(names), place) for place, names in places.items() if names)
    if len(mixed) > 1 and places.get(version):
        return [Problem(LATEST, "%s is mixed: %s" % (name, "; ".join(mixed)))]
    if latest.version != version or not latest.is_folder:
        return []
    problems = [Problem(HALF, "%s/%s leads to nothing" % (name, link)) for link in latest.broken if link in COMPONENTS]
    missing = [component for component in COMPONENTS if not os.path.lexists(os.path.join(latest.path, component))]
    problems += [Problem(HALF, "missing %s/%s" % (name, component)) for component in missing]
    return problems + _cfg_problems(tree, version, numbers)


def _cfg_problems(tree: Tree, version: str, numbers: Dict[str, Optional[str]]) -> List[Problem]:
    path = os.path.join(tree.root, "ascend-toolkit", "latest", "version.cfg")
    name = _short(tree, version, path)
    text, problem = cann_files.read(path)
    if problem:
        return [_unread(name, problem)]
    cfg = cann_files.parse_version_cfg(text)
    problems = [Problem(HALF, "%s: %s" % (name, words)) for words in cfg.problems]
    for component in COMPONENTS:
        if component not in cfg.running:
            problems.append(Problem(HALF, "%s has no running version of %s" % (name, component)))
        for number, running in cfg.running.get(component, ()):
            own = numbers.get(component)
            if own and number != own and _same(running, version):
                words = "%s says that %s is %s, its version.info %s" % (name, component, number, own)
                problems.append(Problem(VERSION, words, os.path.join(component, "version.info")))
    return problems + _running_problems(tree, version, COMPONENTS, VERSION)


def _running_problems(tree: Tree, version: str, components: Tuple[str, ...], kind: str) -> List[Problem]:
    """Return which components are of another version, says ``version.cfg`` of the running version."""
    path = os.path.join(tree.root, "ascend-toolkit", "latest", "version.cfg")
    cfg = cann_files.parse_version_cfg(cann_files.read(path)[0])
    return [
        Problem(kind, "%s says that %s is of %s" % (_short(tree, version, path), component, running))
        for component in components
        for _number, running in cfg.running.get(component, ())
        if not _same(running, version)
    ]


def _manifest_problems(tree: Tree, version: str, package: str, deep: bool, known: List[Problem]) -> List[Problem]:
    """Return what differs from the manifest, but for the files of which the ``known`` problems speak already."""
    accused = {problem.path for problem in known if problem.path}
    folders = tuple(path + os.sep for path in accused)
    found = manifest.verify(manifest_path(tree.state_dir, package, version), deep, tree.home(version))
    return [
        Problem(_OF_MANIFEST[difference.kind], difference.words, difference.path)
        for difference in found
        if difference.path not in accused and not difference.path.startswith(folders)
    ]


def _file_problems(tree: Tree, version: str, path: str, kind: str) -> List[Problem]:
    name = _short(tree, version, path)
    try:
        return [] if os.stat(path).st_size else [_unread(name, "empty", kind)]
    except (FileNotFoundError, NotADirectoryError):
        return [_unread(name, "missing", kind)]
    except OSError as error:
        return [_unread(name, "cannot be read: %s" % error.strerror)]


def _unread(name: str, problem: str, kind: str = HALF) -> Problem:
    """Return the problem of a file that ``cann_files.read`` did not read for the reason ``problem``."""
    if problem in ("missing", "empty"):
        return Problem(kind, "%s %s" % (problem, name), name)
    return Problem(UNREADABLE if problem.startswith("cannot") else kind, "%s: %s" % (name, problem), name)


def _package(problems: Optional[List[Problem]]) -> Package:
    """Return the package with these problems; None is an absent one."""
    accused = [problem for problem in problems or [] if problem.kind not in (EXTRA, UNREAD)]
    state = "half-installed" if accused else "complete"
    if accused and all(problem.kind == ALTERED for problem in accused):
        state = "altered"
    words = list(dict.fromkeys(problem.words for problem in accused))
    state = "absent" if problems is None else state
    return {"state": state, "problems": words[:SHOWN], "problem_count": len(words)}


# --- findings ------------------------------------------------------------------------------------------------------

_REPAIR = "ansible-playbook site.yml --limit NODE  # installs it again when it is the release's version"
_ROOT = "ask as root: ansible-playbook --become"
# Kind of problem -> name of the finding, what it says of a package, what is wanted, what helps.
_FINDINGS = {
    HALF: ("cann-half-installed", "%s is half-installed", "all of its parts", _REPAIR),
    VERSION: ("cann-version-mismatch", "the files of %s name another version", "one version everywhere", _REPAIR),
    KERNELS_VERSION: ("cann-kernels-version", "%s are not of their toolkit's version", "the same version", _REPAIR),
    SET_ENV: ("cann-set-env-missing", "%s has no environment file", "its set_env.sh", _REPAIR),
    ARCHITECTURE: (
        "cann-architecture",
        "%s is for another machine",
        "the package of this machine's architecture",
        "uname -m; then ansible-playbook site.yml --limit NODE",
    ),
    UNREADABLE: ("cann-unreadable", "%s cannot be read in full", "readable files", _ROOT),
    ALTERED: ("cann-altered", "files of %s are lost or changed", "the files as they were installed", _REPAIR),
    EXTRA: ("cann-extra", "files were added to %s", "", "who put them there? rpm -qf FILE, ls -l FILE"),
    UNREAD: ("cann-unverified", "%s was not verified in full", "", "ask once with deep: true, which reads all files"),
}


def _findings(name: str, problems: List[Problem], where: str) -> List[Finding]:
    """Return a finding for each kind of problem of a package; ``latest`` has its own."""
    found = []
    for kind, (key, problem, wanted, remedy) in _FINDINGS.items():
        words = list(dict.fromkeys(item.words for item in problems if item.kind == kind))
        if words:
            found.append(finding("cann", key, problem % name, wanted, _listed(words), where, remedy))
    return found


def _latest_findings(tree: Tree, latest: Latest, versions: List[str]) -> List[Finding]:
    """Return what is wrong with the link (or folder of links) of a layout that has these versions."""
    name = os.path.relpath(latest.path, tree.root)
    problem = {
        "mixed": ("cann-latest-mixed", "%s leads to more than one version", "links to one version"),
        "dangling": ("cann-latest-dangling", "%s leads to what is not there", "links to a version that is there"),
        "absent": ("cann-latest-absent", "%s is absent", "a link to one of " + _listed(versions)),
    }.get(latest.state)
    found = []
    if problem and (versions or latest.state != "absent"):
        where = tree.shown(latest.path)
        key, words, wanted = problem
        found.append(finding("cann", key, words % name, wanted, latest.words(), where, _REPAIR))
    if versions and not tree.is_later(versions[0]):
        top = os.path.join(tree.root, "ascend-toolkit", "set_env.sh")
        for missing in _file_problems(tree, versions[0], top, SET_ENV):
            words = "no session finds CANN by its own environment file"
            wanted = "ascend-toolkit/set_env.sh"
            where = tree.shown(top)
            found.append(finding("cann", "cann-set-env-missing", words, wanted, missing.words, where, _REPAIR))
    return found


def _without_kernels(versions: Dict[str, Any], running: Optional[str]) -> List[Finding]:
    """Return that the running version has no kernels, or that only another one has some."""
    version = versions.get(str(running))
    if not version or version["kernels"] or version["toolkit"]["state"] == "absent":
        return []
    others = ["%s %s" % (chip, name) for name in sorted(versions) for chip in sorted(versions[name]["kernels"])]
    remedy = "ansible-playbook site.yml --limit NODE  # a new toolkit takes the kernels of the old one away"
    name = "cann-kernels-version" if others else "cann-kernels-absent"
    problem = "the running CANN %s has no kernels" % running
    wanted = "kernels of %s" % running
    return [finding("cann", name, problem, wanted, _listed(others) or "none", version["path"], remedy)]


def kernels_chip_findings(cann: Dict[str, Any], chip: str) -> List[Finding]:
    """Return what is wrong when the cards need the kernels of ``chip`` and the running version has only others."""
    running = cann["versions"].get(cann["latest"], {})
    kernels = sorted(running.get("kernels", {}))
    if not kernels or chip in kernels:
        return []
    problem = "the kernels of CANN %s are for other chips" % cann["latest"]
    remedy = "ansible-playbook site.yml --limit NODE  # installs kernels-%s" % chip
    return [finding("cann", "cann-kernels-chip", problem, chip, _listed(kernels), running["path"], remedy)]


def _moved(tree: Tree, version: str, recorded: Optional[str], where: str) -> List[Finding]:
    """Return that a version was moved after its installation: its scripts and its uninstaller hold the old path."""
    if not recorded:
        return []
    real = os.path.realpath(tree.below.rstrip("/") + recorded)
    if real in (os.path.realpath(tree.arch(version)), os.path.realpath(tree.home(version))):
        return []
    problem = "toolkit %s was installed somewhere else and moved" % version
    return [finding("cann", "cann-moved", problem, where, recorded, where, "move it back, or install it again")]


def _denied(tree: Tree) -> List[Finding]:
    """Return that the folders cannot be listed: then nothing below them is known."""
    found = []
    for path in (tree.root, os.path.join(tree.root, "ascend-toolkit")):
        try:
            os.listdir(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            problem = "CANN's folder cannot be read"
            words = str(error.strerror)
            found.append(
                finding("cann", "cann-unreadable", problem, "a folder to list", words, tree.shown(path), _ROOT)
            )
    return found


def _read_record(node: Node, cann_root: str) -> Tuple[Optional[str], List[Finding]]:
    """Return the toolkit's path in the installers' record, which their next run insists on."""
    text, problem = cann_files.read(node.path(RECORD))
    if problem == "missing":
        return None, []
    info = cann_files.parse_install_info(text)
    path = info.packages.get("toolkit", {}).get("path")
    if path and os.path.isdir(node.path(path)) and _real(node, path) == _real(node, cann_root):
        return path, []
    if not path and not problem and not info.problems:
        return None, []  # a record of other products
    found = path or problem or ", ".join(info.problems)
    if path and not os.path.isdir(node.path(path)):
        found += ", which is not there"
    words = "the installers' record of CANN's place is stale"
    remedy = "rm %s  # the next installation writes it anew" % RECORD
    return path, [finding("cann", "cann-record-stale", words, cann_root, found, RECORD, remedy)]


def _elsewhere(node: Node, tree: Tree) -> List[Dict[str, Optional[str]]]:
    """Return the installations that this project does not look after: other products, other roots, users' own."""
    homes = ["/home/" + name for name in files.names(node.path("/home"))[:MOST_HOMES]]
    places = [("/usr/local/Ascend", "the default root")] + [
        (home + "/Ascend", "a user's own") for home in ["/root", *homes]
    ]
    found = _products(tree.root)
    seen = {os.path.realpath(tree.root)}
    for place, why in places:
        root = node.path(place)
        if os.path.realpath(root) in seen:
            continue
        seen.add(os.path.realpath(root))
        other = Tree(root, "", node.root)
        for version in other.versions():
            if files.names(other.home(version)):
                found.append(_installation(other.home(version), os.path.join(other.arch(version), INFO), why))
        found += _products(root)
    return [dict(item, path=tree.shown(str(item["path"]))) for item in found]


def _products(root: str) -> List[Dict[str, Optional[str]]]:
    """Return the nnae and nnrt of a root: products that hold parts of CANN, and whose set_env.sh leads to them."""
    found = []
    for product in ("nnae", "nnrt"):
        folder = os.path.join(root, product)
        for name in files.names(folder):
            home = os.path.join(folder, name)
            info = "ascend_%s_install.info" % product
            inside = [os.path.join(home, info)]
            inside += [os.path.join(home, n, info) for n in files.names(home) if n.endswith("-linux")]
            recorded = [path for path in inside if os.path.exists(path)]
            if _VERSION.fullmatch(name) and not os.path.islink(home) and files.names(home):
                found.append(_installation(home, recorded[0] if recorded else "", "the product " + product))
    return found


def _installation(home: str, info: str, why: str) -> Dict[str, Optional[str]]:
    said = cann_files.parse_product_info(cann_files.read(info)[0]).version
    name = os.path.basename(home)
    return {"path": home, "version": said or name[len("cann-") if name.startswith("cann-") else 0 :], "why": why}


def _elsewhere_findings(elsewhere: List[Dict[str, Optional[str]]]) -> List[Finding]:
    if not elsewhere:
        return []
    words = _listed(["%(path)s (%(why)s)" % item for item in elsewhere])
    remedy = "grep -n set_env.sh /etc/profile /etc/profile.d/* /root/.bashrc /home/*/.bashrc  # which do sessions take?"
    problem = "CANN lies in other places too: a session may take it from there"
    return [finding("cann", "cann-elsewhere", problem, "one place", words, str(elsewhere[0]["path"]), remedy)]


# --- small things --------------------------------------------------------------------------------------------------


def _link_names(path: str) -> List[str]:
    """Return the links of a folder ``latest``, and those in the real folders in which it gathers parts."""
    names = []
    for name in files.names(path):
        if os.path.islink(os.path.join(path, name)):
            names.append(name)
        elif name.endswith("-linux") or name == "tools":
            inside = [os.path.join(name, link) for link in files.names(os.path.join(path, name))]
            names += [link for link in inside if os.path.islink(os.path.join(path, link))]
    return names


def _version_in(path: str) -> Optional[str]:
    """Return the version whose folder a path leads into, by the names of the folders."""
    parts = path.split(os.sep)
    for before, part in reversed(list(zip(["", *parts], parts))):
        name = part[len("cann-") :] if part.startswith("cann-") else part
        if _VERSION.fullmatch(name) and (name != part or before == "ascend-toolkit"):
            return name
    return None


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _short(tree: Tree, version: str, path: str) -> str:
    """Return a path relative to the version's folder, or to the root where it lies outside."""
    home = tree.home(version)
    return os.path.relpath(path, home if _is_in(path, home) else tree.root)


def _same(one: str, other: str) -> bool:
    """Whether two names are the same version: 8.0.RC1.beta1 is the community's name of 8.0.RC1."""
    try:
        return one == other or compare_cann(one, other) == 0
    except AscendError:
        return False


def _real(node: Node, path: str) -> str:
    return os.path.realpath(node.path(path))


def _machine() -> str:
    return MACHINES.get(platform.machine(), platform.machine())


def _listed(words: List[str]) -> str:
    more = " and %d more" % (len(words) - SHOWN) if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
