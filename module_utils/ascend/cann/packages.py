# SPDX-License-Identifier: Apache-2.0
"""What makes a package of CANN complete: the toolkit of a version, and the kernels of a chip, checked file by file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Set, Tuple

from .. import files, manifest, rights
from ..text import listed
from ..versions import same
from . import files as cann_files, latest as cann_latest, receipts as cann_receipts
from .layout import INFO, KERNEL, KERNELS, MACHINES, SHOWN, Tree, manifest_path, recorded_chips, this_machine
from .layouts import LATER, LIBRARIES, OLDER, PARTS

if TYPE_CHECKING:
    from ..shapes import Package

# Kinds of a problem. The first ones decide a package's state, the last ones accuse nothing.
HALF, VERSION, KERNELS_VERSION, SET_ENV, ARCHITECTURE, UNREADABLE, LATEST = (
    "half-installed", "version-mismatch", "kernels-version", "set-env-missing", "architecture", "unreadable", "latest",
)  # fmt: skip
ALTERED, CLOSED, EXTRA, UNREAD = "altered", "closed", "extra", "unread"
# As it was when its installer had ended well, and not as documented: NUMBER is a part's own number.
NUMBER, LAYOUT, UNPROVEN, ITSELF = "number", "layout", "unproven", "itself"
ACCUSE_NOTHING = (CLOSED, EXTRA, UNREAD, LAYOUT, UNPROVEN, ITSELF)
# Kinds that rest on the layout of neighbouring versions; the others say that a version is another, or cannot be read.
OF_LAYOUT = (HALF, LATEST, NUMBER)
_OF_MANIFEST = {
    manifest.LOST: ALTERED,
    manifest.ALTERED: ALTERED,
    manifest.BEGUN: HALF,
    manifest.UNREADABLE: UNREADABLE,
    manifest.CLOSED: CLOSED,
    manifest.EXTRA: EXTRA,
    manifest.UNREAD: UNREAD,
}


class Problem(NamedTuple):
    """A problem of a package: one of the kinds above, its text, and the file or folder that it is about.

    A receipt recognises it by its ``name``, whatever the text says: the path unless ``key`` says more.
    """

    kind: str
    words: str
    path: str = ""  # relative to the version's folder
    key: str = ""

    @property
    def name(self) -> str:
        return self.key or self.path


def chips_of(tree: Tree, version: str) -> List[str]:
    """Return the chip families whose kernels a version has, or had when they were recorded."""
    folder = os.path.join(tree.home(version), KERNEL, "config")
    chips = [name[len("ascend") :] for name in files.names(folder) if name.startswith("ascend")]
    return sorted(set(chips + recorded_chips(tree.state_dir, version)))


def toolkit_problems(tree: Tree, version: str, deep: bool) -> Optional[List[Problem]]:
    """Return what is wrong with a version's toolkit; None if there is none."""
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
    layout = tree.place(version).layout
    for part in layout.parts:
        info, found = _part(tree, version, part, VERSION)
        problems += found
        numbers[part] = info.version
    if layout is OLDER:
        problems += file_problems(tree, version, tree.top_set_env, LATEST)
    problems += _latest_problems(tree, version, numbers) + _closed(tree, version, _toolkit_deciding(tree, version))
    return _judged(tree, version, "toolkit", deep, problems)


def _toolkit_deciding(tree: Tree, version: str) -> List[str]:
    """Return the folders and files that others must be able to use for training."""
    home, arch = tree.home(version), tree.arch(version)
    paths = [home, arch, os.path.join(arch, "lib64"), tree.set_env(version)]
    paths += [os.path.join(arch, "lib64", name) for name in LIBRARIES]
    paths += [os.path.join(home, name) for name in (*PARTS, "opp/built-in", "python", "python/site-packages")]
    return [*tree.place(version).shared, *paths]


def _closed(tree: Tree, version: str, paths: List[str]) -> List[Problem]:
    found = [(each, _short(tree, version, each.path)) for each in rights.closed(dict.fromkeys(paths))]
    return [Problem(CLOSED, each._replace(path=name).words(), name) for each, name in found]


def kernels_problems(
    tree: Tree, version: str, chip: str, deep: bool, installed: bool = False
) -> Optional[List[Problem]]:
    """Return what is wrong with a chip's kernels; None if there are none.

    ``installed``: their installer has just reported success, wherever they are.
    """
    home = tree.home(version)
    config = os.path.join(home, KERNEL, "config", "ascend" + chip)
    if not os.path.isdir(config) and not _elsewhere(tree, version, chip, installed):
        return None
    problems = []
    layout = tree.place(version).layout
    if layout.kernels_part:
        problems += _part(tree, version, layout.kernels_part, KERNELS_VERSION)[1]
        problems += _linked_kernels(tree, version)
    info = os.path.join(tree.arch(version), layout.kernels_record)
    # No page says that every version has it: where one that was there is lost, the manifest tells.
    if layout.kernels_record and os.path.lexists(info):
        problems += _info_problems(tree, version, layout.kernels_record, KERNELS_VERSION)
    # Newer packages have an index a group of operators, one folder below.
    folders = [config] + [os.path.join(config, name) for name in files.names(config)]
    indexes = [os.path.join(folder, "binary_info_config.json") for folder in folders]
    present = [path for path in indexes if os.path.exists(path)] or indexes[:1]
    for path in present:
        problems += file_problems(tree, version, path, HALF)
    binaries = os.path.join(home, KERNEL, "ascend" + chip)
    if os.path.isdir(config) and not files.names(binaries):
        problems.append(_unread(_short(tree, version, binaries), "missing"))
    problems += _closed(tree, version, [os.path.join(home, "opp_kernel"), binaries, *folders, *present])
    return _judged(tree, version, "kernels-" + chip, deep, problems)


def _elsewhere(tree: Tree, version: str, chip: str, installed: bool) -> bool:
    """Whether kernels exist although the documented folder does not."""
    home, has_manifest = tree.home(version), chip in recorded_chips(tree.state_dir, version)
    if has_manifest and cann_receipts.read(tree.state_dir, version, "kernels-" + chip).differs:
        return True  # lost files are the manifest's to tell
    filled = any(files.names(os.path.join(home, folder)) for folder in KERNELS)
    return (installed and filled) or (has_manifest and os.path.isdir(os.path.join(home, "opp_kernel")))


def _linked_kernels(tree: Tree, version: str) -> List[Problem]:
    """Return a problem if the latest version has kernels, but its links point to another version's."""
    latest = tree.latest(tree.place(version))
    if latest.version != version or not latest.is_folder:
        return []
    problems = _part_problems(tree, version, ("opp_kernel",), KERNELS_VERSION)
    if latest.kernels and latest.kernels != version:
        words = "ascend-toolkit/latest/opp_kernel points to %s" % latest.kernels
        problems.insert(0, Problem(KERNELS_VERSION, words))
    return problems


def _arch_problems(tree: Tree, version: str) -> List[Problem]:
    """Return what is wrong in the ``<arch>-linux`` folder of a version, and with its own environment file."""
    arch = tree.arch(version)
    if not os.path.lexists(arch):
        return [_unread(_short(tree, version, arch), "missing")]
    problems = _info_problems(tree, version)
    for name in tree.place(version).layout.libraries:
        problems += file_problems(tree, version, os.path.join(arch, "lib64", name), HALF)
    return problems + file_problems(tree, version, tree.set_env(version), SET_ENV)


def _info_problems(tree: Tree, version: str, file: str = INFO, kind: str = VERSION) -> List[Problem]:
    """Return what is wrong with an installer's record of its package; ``kind`` is that of another version."""
    path = os.path.join(tree.arch(version), file)
    name = _short(tree, version, path)
    text, problem = cann_files.read(path)
    if problem:
        return [_unread(name, problem)]
    info = cann_files.parse_product_info(text)
    problems = [Problem(HALF, "%s: %s" % (name, words), name) for words in info.problems]
    if not info.version or not same(info.version, version):
        problems.append(Problem(kind, "%s names %s" % (name, info.version or "no version"), name))
    folder = os.path.basename(tree.arch(version))[: -len("-linux")]
    machines = {"the package": folder, name: info.arch or folder}
    for who, machine in machines.items():
        if MACHINES.get(machine, machine) != this_machine():
            words = "%s is for %s, this machine is %s" % (who, machine, this_machine())
            problems.append(Problem(ARCHITECTURE, words, name))
    return problems


def _part(tree: Tree, version: str, part: str, kind: str) -> Tuple[cann_files.VersionInfo, List[Problem]]:
    """Return a part's ``version.info`` and its problems; ``kind`` is that of another version."""
    home = tree.home(version)
    shared = os.path.join(home, "share", "info", part, "version.info")
    path = shared if os.path.exists(shared) else os.path.join(home, part, "version.info")
    text, problem = cann_files.read(path)
    info = cann_files.parse_version_info(text)
    name = _short(tree, version, path)
    if problem == "missing" and not os.path.isdir(os.path.dirname(path)):
        return info, [Problem(HALF, "missing part %s" % part, part)]
    if problem:
        return info, [_unread(name, problem)]
    problems = [Problem(HALF, "%s: %s" % (name, words), name) for words in info.problems]
    found = info.version_dir or version
    # From 8.5 on it is the folder's name, or that of the link.
    if found == LATER.link:
        found = info.version or version
    if not same(found, version) and found != LATER.folder + version:
        problems.append(Problem(kind, "%s names %s" % (name, found), name))
    return info, problems


def _latest_problems(tree: Tree, version: str, numbers: Dict[str, Optional[str]]) -> List[Problem]:
    """Return what is wrong with the latest version's links for this one. ``numbers`` are its parts' own."""
    place = tree.place(version)
    latest = tree.latest(place)
    name = os.path.relpath(latest.path, tree.root)
    if (
        place.layout.one_link
        and not latest.version
        and os.path.exists(manifest_path(tree.state_dir, "toolkit", version))
    ):
        return []  # it is made anew, by a step of its own
    if latest.state == "absent":
        return [Problem(LATEST, "missing %s" % name, name)]
    # What was installed whole is not installed again for links that another version took, or that are led back to it.
    whole = os.path.exists(manifest_path(tree.state_dir, "toolkit", version))
    if whole and not latest.version and latest.state == "ok":
        return []  # a version of another root
    if not latest.version:
        words = "%s points to no installed version (%s)" % (name, latest.words())
        return [Problem(LATEST, words, key="%s: %s" % (name, latest.words()))]
    # Other parts may stay linked to an older version that had them, or be left out.
    places = {place: [name for name in names if name in PARTS] for place, names in latest.leads.items()}
    mixed = sorted("%s to %s" % (listed(names), place) for place, names in places.items() if names)
    taken = whole and (latest.version != version or cann_latest.read(tree))
    if len(mixed) > 1 and places.get(version) and not taken:
        targets = "; ".join(mixed)
        return [Problem(LATEST, "%s is mixed: %s" % (name, targets), key="%s: %s" % (name, targets))]
    if latest.version != version or not latest.is_folder:
        return []
    broken = ["%s/%s" % (name, link) for link in latest.broken if link in PARTS]
    problems = [Problem(HALF, "%s points to nothing" % link, key=link) for link in broken]
    missing = ["%s/%s" % (name, part) for part in PARTS if not os.path.lexists(os.path.join(latest.path, part))]
    problems += [Problem(HALF, "missing %s" % link, key=link) for link in missing]
    return problems + _cfg_problems(tree, version, numbers)


def _cfg_problems(tree: Tree, version: str, numbers: Dict[str, Optional[str]]) -> List[Problem]:
    name = _short(tree, version, tree.version_cfg)
    text, problem = cann_files.read(tree.version_cfg)
    if problem:
        return [_unread(name, problem)]
    cfg = cann_files.parse_version_cfg(text)
    lines = [(words.partition(": ")[0], words) for words in cfg.problems]
    problems = [Problem(HALF, "%s: %s" % (name, words), key="%s: %s" % (name, line)) for line, words in lines]
    for part in PARTS:
        if part not in cfg.versions:
            words = "%s has no running version of %s" % (name, part)
            problems.append(Problem(HALF, words, key="%s: %s" % (name, part)))
        for number, of_version in cfg.versions.get(part, ()):
            own = numbers.get(part)
            if own and number != own and same(of_version, version):
                words = "%s gives %s for %s, but its version.info gives %s" % (name, number, part, own)
                problems.append(Problem(NUMBER, words, os.path.join(part, "version.info")))
    return problems + _part_problems(tree, version, PARTS, VERSION)


def _part_problems(tree: Tree, version: str, parts: Tuple[str, ...], kind: str) -> List[Problem]:
    """Return which parts are of another version, according to ``version.cfg`` of the latest version."""
    name = _short(tree, version, tree.version_cfg)
    cfg = cann_files.parse_version_cfg(cann_files.read(tree.version_cfg)[0])
    return [
        Problem(kind, "%s gives CANN %s for %s" % (name, of_version, part))
        for part in parts
        for _number, of_version in cfg.versions.get(part, ())
        if not same(of_version, version)
    ]


def is_changed(home: str, difference: manifest.Difference) -> bool:
    """Whether a file exists and differs; an emptied file and a dangling link count as lost."""
    path = os.path.join(home, difference.path)
    with_content = bool(difference.path) and os.path.isfile(path) and os.path.getsize(path) > 0
    return difference.kind == manifest.ALTERED and with_content


def _judged(tree: Tree, version: str, package: str, deep: bool, problems: List[Problem]) -> List[Problem]:
    """Return the problems with those of the manifest; what was so from the beginning is no problem.

    Without a manifest nothing says what was there from the beginning.
    """
    receipt = cann_receipts.read(tree.state_dir, version, package)
    if receipt.differs and os.path.exists(manifest_path(tree.state_dir, package, version)):
        kind, differs = LAYOUT if receipt.proven else UNPROVEN, set(receipt.differs)
        is_so = [problem.kind in OF_LAYOUT and problem.name in differs for problem in problems]
        problems = [each._replace(kind=kind) if so else each for each, so in zip(problems, is_so)]
    known = [problem for problem in problems if problem.kind not in ACCUSE_NOTHING]
    found = _manifest_problems(tree, version, package, deep, known, set(receipt.repaired))
    return problems + found


def _manifest_problems(
    tree: Tree, version: str, package: str, deep: bool, known: List[Problem], repaired: Set[str]
) -> List[Problem]:
    """Return what differs from the manifest, except the files that the ``known`` problems mention already.

    CANN itself changes a file that was ``repaired`` and changed again, so another repair would not last.
    """
    accused = {problem.path for problem in known if problem.path}
    folders = tuple(path + os.sep for path in accused)
    home = tree.home(version)
    found = manifest.verify(manifest_path(tree.state_dir, package, version), deep, home)
    itself = {each.path for each in found if each.path in repaired and is_changed(home, each)}
    return [
        Problem(ITSELF if each.path in itself else _OF_MANIFEST[each.kind], each.words, each.path)
        for each in found
        if each.path not in accused and not each.path.startswith(folders)
    ]


def file_problems(tree: Tree, version: str, path: str, kind: str) -> List[Problem]:
    """Return the problem of a file that must be there and not be empty; ``kind`` is used for a lost or empty one."""
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


def as_package(problems: Optional[List[Problem]]) -> Package:
    """Return the package with these problems; None means absent. ``closed`` is present if others cannot use it."""
    if problems is None:
        return {"state": "absent", "problems": [], "problem_count": 0}
    accused = [problem for problem in problems if problem.kind not in ACCUSE_NOTHING]
    state = "half-installed" if accused else "complete"
    if accused and all(problem.kind == ALTERED for problem in accused):
        state = "altered"
    if not accused:
        accused = [problem for problem in problems if problem.kind == UNPROVEN]
        state = "unproven" if accused else state
    words = list(dict.fromkeys(problem.words for problem in accused))
    closed = listed(list(dict.fromkeys(problem.words for problem in problems if problem.kind == CLOSED)))
    package: Package = {"state": state, "problems": words[:SHOWN], "problem_count": len(words)}
    if closed:
        package["closed"] = closed
    return package


def _short(tree: Tree, version: str, path: str) -> str:
    """Return a path relative to the version's folder, or to the root if it is outside."""
    home = tree.home(version)
    return os.path.relpath(path, home if files.is_in(path, home) else tree.root)
