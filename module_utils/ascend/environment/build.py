# SPDX-License-Identifier: Apache-2.0
"""Build an environment exactly as locked, with uv, only from the depot's wheels; and make one current.

An environment is built at its final path, which is named after its lock. It does not count until its receipt is
written, last of all. The same steps repair damage: uv touches only the distributions that differ from the lock.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from .. import atomic, depot_way, files, rights
from ..change import fault_points
from ..command import Result
from ..depot_file import DepotFile, take
from ..errors import AscendError, disk_remedy
from ..text import listed
from . import (
    checkout_manifest,
    checkout_restore,
    damage,
    files as environment_files,
    lock as locks,
    read as environment_read,
    record_file,
    virtualenv,
)
from .differences import Built, checkout_differences, environment_differences
from .read import Made
from .record_file import Corrections

if TYPE_CHECKING:
    from ..shapes import Environment

NAME = "llamafactory"  # the distribution that may be installed editable
CHECKOUT = os.path.join("src", "LLaMA-Factory")
USERS = ("src", checkout_restore.EDITED)  # where users' work may lie: kept when all else is made anew

Run = Callable[..., Result]


@dataclass(frozen=True)
class Wanted:
    """What an environment should be."""

    path: str
    release: str
    python: str
    cann_home: str
    lock: str
    lock_digest: str
    wheelhouse: str
    uv: DepotFile
    source: Optional[DepotFile]
    cache_dir: str
    timeout_s: int
    replace_python: bool = False

    @property
    def building(self) -> str:
        """A folder on the environment's file system, so that uv links files from its cache instead of copying them."""
        folder, name = os.path.split(self.path)
        return os.path.join(folder, ".building-" + name)

    def distributions(self) -> Dict[str, str]:
        return locks.parse(self.lock)

    @property
    def editable(self) -> Tuple[str, ...]:
        return (NAME,) if self.source else ()

    @property
    def checkout(self) -> str:
        return os.path.join(self.path, CHECKOUT)


def problems(wanted: Wanted, deep: bool = False) -> List[str]:
    """Return how the environment differs from what is wanted; ["the environment is absent"] if there is none.

    ``deep`` compares every file with its sum instead of looking only at the upper folders.
    """
    if not os.path.isdir(wanted.path):
        return ["the environment is absent"]
    found = _found(wanted, deep)
    return _differences(wanted, found) + _checkout_differences(wanted, found)


def build(wanted: Wanted, run: Run, deep: bool = False) -> str:
    """Bring the environment to what is wanted. Raises AscendError; may be run again at any point.

    ``deep`` compares every file with its sum, and replaces those that differ. Returns the folder that keeps edited
    files of the checkout that were replaced; "" if there were none.
    """
    remove(wanted.building)
    os.makedirs(wanted.building, mode=0o755)
    try:
        if wanted.source and os.path.isdir(wanted.path) and not _differences(wanted, _found(wanted, deep)):
            kept = _restore_checkout(wanted, wanted.source)
        else:
            kept = _build(wanted, run, deep)
    finally:
        # The next build removes what stays, and says so when it cannot.
        shutil.rmtree(wanted.building, ignore_errors=True)
    found = _found(wanted, False)
    broken = _differences(wanted, found)
    if broken:
        _without_receipt(wanted.path)
    left = broken + _checkout_differences(wanted, found)
    if left:
        raise AscendError(
            "the environment differs from its lock although every step succeeded",
            wanted="lock %s" % wanted.lock_digest,
            found=listed(left),
            where=wanted.path,
            remedy="run site.yml again; if it fails again, report it with the lock",
        )
    return kept


def _build(wanted: Wanted, run: Run, deep: bool) -> str:
    uv = _program(take(wanted.uv, wanted.cache_dir))
    made = environment_read.read_receipt(wanted.path)
    _without_receipt(wanted.path)
    fault_points.reached("environment.begun")
    _virtualenv(wanted, made, uv, run)
    fault_points.reached("environment.made")
    _drop_broken(wanted.path)
    _drop_foreign(wanted, made)
    fault_points.reached("environment.cleared")
    _sync(wanted, made, deep, uv, run)
    fault_points.reached("environment.filled")
    _drop_broken(wanted.path)  # what uv left of a distribution whose RECORD was not whole
    kept = _editable(wanted, wanted.source, uv, run) if wanted.source else ""
    atomic.write(os.path.join(wanted.path, environment_read.CANN_HOME), wanted.cann_home + "\n")
    rights.open_to_all(rights.closed_below(wanted.path, USERS))
    corrected = damage.corrections(wanted.path)
    damage.remember(wanted.path, corrected)
    fault_points.reached("environment.ready")
    atomic.settle(wanted.path, run)
    _write_receipt(wanted, corrected)
    fault_points.reached("environment.recorded")
    return kept


def closed_to_others(path: str) -> List[rights.Closed]:
    """Return which parts of an environment, or another tree, others cannot use; users' own files are left out."""
    found = list(rights.closed_below(path, USERS))
    checkouts = files.mapping(os.path.join(path, environment_read.RECEIPT)).get("editable")
    for name, place in checkouts.items() if isinstance(checkouts, dict) else ():
        source = checkout_manifest.read(place, place, os.path.join(path, checkout_manifest.MANIFEST % name))
        unpacked = [os.path.join(place, folder) for folder in source.folders()]
        found += rights.own([os.path.dirname(place), *unpacked])
    return found


def read_current(link: str) -> Optional[str]:
    """Return the path to which the link points, or None."""
    try:
        return os.path.join(os.path.dirname(link), os.readlink(link))
    except OSError:
        return None


def make_current(path: str, link: str) -> None:
    """Point ``link`` to ``path``, atomically, and ``previous`` beside it to the old target.

    Raises AscendError when the environment is not finished.
    """
    if not os.path.isfile(os.path.join(path, environment_read.RECEIPT)):
        raise AscendError(
            "an unfinished environment cannot become current",
            wanted="%s with its receipt" % path,
            found="no %s in it" % environment_read.RECEIPT,
            remedy="build it first (python_env with a lock)",
        )
    if os.path.isdir(link) and not os.path.islink(link):
        raise AscendError(
            "cannot create the link to the current environment",
            wanted="a link, or nothing",
            found="a folder",
            where=link,
            remedy="mv %s %s.old" % (link, link),
        )
    before = read_current(link)
    if before and before != path:
        _lead(os.path.join(os.path.dirname(link), environment_read.PREVIOUS), os.path.basename(before))
        fault_points.reached("current.remembered")
    _lead(link, os.path.basename(path))
    fault_points.reached("current.switched")


def set_aside(link: str, target: str) -> None:
    """Remove the link while its target is repaired, or loses something that it needs; without a link do nothing.

    If another environment, ``target``, is to be current afterwards, ``previous`` points to the old one, for a rollback.
    """
    if os.path.islink(link):
        name = os.path.basename(os.path.normpath(os.readlink(link)))
        if target and name != target:
            _lead(os.path.join(os.path.dirname(link), environment_read.PREVIOUS), name)
        os.unlink(link)
    fault_points.reached("current.set-aside")


def _lead(link: str, name: str) -> None:
    atomic.link(link, name, lambda: fault_points.reached("current.prepared"))


def remove(path: str) -> None:
    """Remove what is at a path, if anything. Raises AscendError."""
    with atomic.removing(path, "cannot remove the old environment", "room for what the lock names"):
        atomic.remove(path)


def _found(wanted: Wanted, deep: bool) -> Environment:
    return environment_read.read_environment(
        wanted.path, _made(wanted, environment_read.read_receipt(wanted.path)), deep
    )


def _differences(wanted: Wanted, found: Environment) -> List[str]:
    """What a build cures: all but edits of the checkout."""
    state, digest, home = found["state"], found["lock_digest"], found["cann_home"]
    built = Built(state, digest, home, found["difference"], found["problems"], found["editable"])
    causes = environment_differences(built, wanted.lock_digest, wanted.cann_home, bool(wanted.source))
    words = [each["problem"] for each in causes]
    if wanted.replace_python and not _runs(wanted):
        words.append("the environment's Python is not %s" % wanted.python)
    source = found["sources"].get(NAME)
    if wanted.source and source and source["recorded"] and source["archive"] != wanted.source.sha256:
        words.append("%s was unpacked from a different archive" % NAME)
    return words


def _checkout_differences(wanted: Wanted, found: Environment) -> List[str]:
    source = found["sources"].get(NAME)
    if not wanted.source or not source:
        return []
    return [each["problem"] for each in checkout_differences(source, "the archive")]


def _made(wanted: Wanted, made: Optional[Made]) -> Made:
    """Return what the environment is compared with. An editable checkout has the version that it names."""
    pins = wanted.distributions()
    for name in wanted.editable:
        pins.pop(name, None)
        version = environment_read.inspect(wanted.path).distributions.get(name)
        if version:
            pins[name] = version
    known = made or Made({})
    return Made(pins, wanted.editable, known.python, known.corrected)


def _virtualenv(wanted: Wanted, made: Optional[Made], uv: str, run: Run) -> None:
    """Create it again unless its interpreter is the wanted one and its settings are complete."""
    found = virtualenv.read(wanted.path, str)
    same = made is None or made.python in (None, found.version)
    if _runs(wanted) and same and not found.problems:
        return
    if not os.path.isdir(wanted.path):
        remove(wanted.path)
    for name in set(files.names(wanted.path)) - set(USERS):
        remove(os.path.join(wanted.path, name))
    _uv(wanted, run, [uv, "venv", "--allow-existing", "--python", wanted.python, wanted.path])


def _runs(wanted: Wanted) -> bool:
    """Whether the environment's interpreter is the wanted one, and exists."""
    program = os.path.realpath(os.path.join(wanted.path, "bin", "python"))
    return program == os.path.realpath(wanted.python) and os.path.isfile(program)


def _sync(wanted: Wanted, made: Optional[Made], deep: bool, uv: str, run: Run) -> None:
    text = locks.without(wanted.lock, NAME) if wanted.source else wanted.lock
    requirements = os.path.join(wanted.building, "lock.txt")
    atomic.write(requirements, text)
    argv = [uv, "pip", "sync", "--python", os.path.join(wanted.path, "bin", "python"), "--require-hashes"]
    argv += ["--no-index", "--link-mode", "hardlink", "--compile-bytecode"]
    for name in _reinstalled(wanted, made, deep):
        argv += ["--reinstall-package", name]
    # Not in the command line, which every user of the node reads: an address may hold an account. Commas part them.
    _uv(wanted, run, [*argv, requirements], {"UV_FIND_LINKS": wanted.wheelhouse.replace(",", "%2C")})


def _reinstalled(wanted: Wanted, made: Optional[Made], deep: bool) -> List[str]:
    """Return the distributions that uv takes as intact, by their folders' names, although they are not."""
    suspects = environment_files.suspects(wanted.path)
    # Of one that nobody wrote down, or whose build was interrupted, the next manifest would hide what is wrong.
    sums = record_file.ALL_SUMS if deep or suspects is None else record_file.INFO_SUMS
    corrected = made.corrected if made else None
    names = set(damage.lost_files(wanted.path, corrected, sums, suspects or set()))
    names.update(environment_read.inspect(wanted.path, _made(wanted, made)).difference()["other"])
    return sorted(names)


def _editable(wanted: Wanted, source: DepotFile, uv: str, run: Run) -> str:
    """Install the checkout editable, as the guide does."""
    kept = _restore_checkout(wanted, source)
    argv = [uv, "pip", "install", "--python", os.path.join(wanted.path, "bin", "python"), "--no-index"]
    _uv(wanted, run, [*argv, "--no-deps", "--no-build-isolation", "--editable", wanted.checkout])
    return kept


def _restore_checkout(wanted: Wanted, source: DepotFile) -> str:
    archive = take(source, wanted.cache_dir)
    manifest = os.path.join(wanted.path, checkout_manifest.MANIFEST % NAME)
    building = os.path.join(wanted.building, "source")
    return checkout_restore.restore(wanted.checkout, archive, source.sha256, manifest, building)


def _uv(wanted: Wanted, run: Run, argv: List[str], more: Optional[Dict[str, str]] = None) -> None:
    environment = {
        **(more or {}),
        "PATH": os.path.dirname(wanted.python) + ":/usr/local/bin:/usr/bin:/bin",
        "HOME": wanted.building,
        "TMPDIR": wanted.building,
        "UV_CACHE_DIR": os.path.join(wanted.building, "cache"),
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
    }
    environment.update(depot_way.environment(wanted.uv.proxy))
    if wanted.wheelhouse.startswith("https:"):
        # By the certificates that the node trusts, as all else that it takes from the depot.
        environment["UV_NATIVE_TLS"] = "1"
    result = run(argv, wanted.timeout_s, env=environment)
    if result.code == 0:
        return
    what = "did not end within %d s" % wanted.timeout_s if result.timed_out else "ended with code %d" % result.code
    raise AscendError(
        "uv %s" % what,
        wanted="lock %s from %s, %s" % (wanted.lock_digest, wanted.wheelhouse, depot_way.words(wanted.uv.proxy)),
        found=result.last_lines(12),
        where=wanted.path,
        remedy=disk_remedy(result.output, wanted.path)
        or "ansible-playbook playbooks/depot.yml -e ascend_deep=true  # is every wheel in the depot, and intact?",
    )


def _drop_broken(path: str) -> None:
    """uv cannot remove a distribution with a broken RECORD, but reinstalls it if its dist-info is gone."""
    for info in damage.broken_infos(path):
        remove(info)


def _drop_foreign(wanted: Wanted, made: Optional[Made]) -> None:
    """Remove leftovers, other folders' .pth files and the like, which uv does not know."""
    for path in environment_read.foreign_paths(environment_read.inspect(wanted.path, _made(wanted, made))):
        remove(path)


def _without_receipt(path: str) -> None:
    receipt = os.path.join(path, environment_read.RECEIPT)
    if os.path.exists(receipt):
        os.unlink(receipt)


def _write_receipt(wanted: Wanted, corrected: Corrections) -> None:
    """Record what it was built from, with which the environment is compared from now on."""
    found = environment_read.inspect(wanted.path)
    value: Dict[str, Any] = {
        "schema": 2,
        "release": wanted.release,
        "lock_digest": wanted.lock_digest,
        "cann_home": wanted.cann_home,
        "python": found.python,
        "distributions": _made(wanted, None).pins,
        "editable": {name: found.editable[name] for name in wanted.editable if name in found.editable},
        "corrected": corrected,
    }
    atomic.write(os.path.join(wanted.path, environment_read.RECEIPT), json.dumps(value, sort_keys=True) + "\n")


def _program(path: str) -> str:
    os.chmod(path, 0o755)
    return path
