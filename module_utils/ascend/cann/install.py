# SPDX-License-Identifier: Apache-2.0
"""Bring one CANN package (the toolkit, or a chip's kernels) of one version to the wanted state.

The packages are makeself archives with an installer inside (options, logs and layout: Huawei's installation guide for
7.0.0 and 8.0.RC2). We do not trust their messages: an installation has succeeded if the files exist.

We know where the files are from neighbouring versions. If an installer succeeded (code 0, its line of success, no
error) but left another layout, the package is ``unproven`` until the cards prove it (cann_proof.py).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, Optional

from .. import atomic, manifest, rights
from ..change import fault_points, origin
from ..command import Result
from ..depot_file import DepotFile, take, unpacked_run
from ..errors import AscendError
from ..places import INSTALLER_TMP, INSTALLERS_LOGS
from ..versions import compare_cann
from . import (
    install_record,
    installer_needs,
    installer_words,
    latest as cann_latest,
    layout as cann_layout,
    packages as cann_packages,
    proof as cann_proof,
    receipts as cann_receipts,
)
from .layouts import OLDER, Place

if TYPE_CHECKING:
    from ..shapes import Package as PackageFact

TOOLKIT_LOG = "ascend_toolkit_install.log"
DEFAULT_ROOT = "/usr/local/Ascend"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RELINK = "create_version_softlink.sh"  # in a version's folder (seen in 8.1.RC1)

GOOD = ("complete", "unproven")  # states of a package that its installer was seen to end
Run = Callable[..., Result]


@dataclass(frozen=True)
class Package:
    """What is wanted, and where things are."""

    kind: str  # "toolkit" or "kernels"
    version: str
    chip: Optional[str]
    root: str
    cache_dir: str
    state_dir: str
    tmp_dir: str
    python_bin: Optional[str]
    timeout_s: int
    layout: str = OLDER.name
    beside: bool = False

    @property
    def name(self) -> str:
        """By which we know it, in manifests and receipts."""
        return "toolkit" if self.kind == "toolkit" else "kernels-%s" % self.chip

    @property
    def product(self) -> str:
        """What its installer calls it, after ``Ascend-cann-``."""
        return "toolkit" if self.kind == "toolkit" else self.place.layout.kernels % self.chip

    @property
    def place(self) -> Place:
        """Where its version is, or will be."""
        return self.tree.place(self.version)

    @property
    def home(self) -> str:
        return self.place.home(self.version)

    @property
    def manifest(self) -> str:
        return cann_layout.manifest_path(self.state_dir, self.name, self.version)

    @property
    def tree(self) -> cann_layout.Tree:
        return cann_layout.Tree(self.root, self.state_dir, layout=self.layout, beside=self.beside)

    @property
    def log(self) -> str:
        name = TOOLKIT_LOG if self.kind == "toolkit" else self.place.layout.kernels_log % self.chip
        return os.path.join(INSTALLERS_LOGS, name)


def observe(package: Package, deep: bool = False) -> PackageFact:
    """Return the package as it is on this node: state, problems, problem_count; ``deep`` reads every file."""
    return cann_packages.as_package(_problems(package, deep))


def _problems(package: Package, deep: bool = False, installed: bool = False) -> Optional[List[cann_packages.Problem]]:
    if package.kind == "toolkit":
        return cann_packages.toolkit_problems(package.tree, package.version, deep)
    return cann_packages.kernels_problems(package.tree, package.version, str(package.chip), deep, installed)


def require_allowed(package: Package, accept_eula: bool, allow_downgrade: bool, check_mode: bool) -> None:
    """Raise AscendError if the package must not be installed on this node."""
    if not accept_eula:
        raise AscendError(
            "CANN's licence has not been accepted",
            wanted="accept_eula: true",
            found="false",
            remedy="read the licence, then set cann_accept_eula: true; the installer accepts it silently",
        )
    beside = package.place.base != package.root
    latest = latest_version(package) if beside else cann_layout.read_latest(package.root)
    if latest and not allow_downgrade and _is_newer(latest, package.version):
        raise AscendError(
            "a newer CANN is installed",
            wanted=package.version,
            found=latest,
            where=package.root,
            remedy="ask for the older one: -e cann_allow_downgrade=true",
        )
    if package.kind == "kernels" and not check_mode:
        toolkit = cann_packages.as_package(cann_packages.toolkit_problems(package.tree, package.version, False))
        if toolkit["state"] not in GOOD:
            raise AscendError(
                "kernels need the toolkit of their version",
                wanted="toolkit %s, complete" % package.version,
                found="toolkit %s" % toolkit["state"],
                where=package.home,
                remedy="install that version's toolkit first (package: toolkit)",
            )


def _is_newer(latest: str, version: str) -> bool:
    try:
        return compare_cann(latest, version) > 0
    except AscendError:
        return True  # nobody knows: not without being asked


def install(package: Package, file: DepotFile, run: Run, deep: bool = False) -> None:
    """Take, verify and run the installer, then judge by the files. Raises AscendError; may be run again.

    ``deep``: the package was read in the deep form, and may be installed because of what that found.
    """
    path = unpacked_run(take(file, package.cache_dir))
    installer_needs.require(package.kind, package.root, _environment(package, package.tmp_dir), run)
    # The installers make their folder, and refuse where the one above it is missing.
    place = package.place
    os.makedirs(os.path.dirname(place.base), mode=0o755, exist_ok=True)
    cann_proof.note_repair(package.tree, package.version, _with_it(package), deep)
    for stale in _stale_manifests(package):
        os.unlink(stale)
    if package.kind == "toolkit":
        origin.installs(package.state_dir, package.tree.name(package.version))
    home = package.home
    manifest.begin(home, package.manifest)
    log_bytes = os.path.getsize(package.log) if os.path.exists(package.log) else 0
    fault_points.reached(package.kind + ".ready")
    with _private_tmp(package.tmp_dir) as tmp, install_record.naming(package.tree, place.base):
        _require_whole(package, path, run, tmp)
        result = run(_argv(package, path), package.timeout_s, env=_environment(package, tmp))
        fault_points.reached(package.kind + ".installer-ended")
    if os.path.isdir(home):
        atomic.settle(home, run)
    os.unlink(package.manifest)
    _judge(package, path, result, log_bytes)
    _write_manifests(package)
    if observe(package).get("closed"):  # --install-for-all should have done it
        shared = rights.own(os.path.realpath(path) for path in place.shared)
        rights.open_to_all([*rights.closed_below(home), *shared])
    fault_points.reached(package.kind + ".recorded")


def _judge(package: Package, path: str, result: Result, log_bytes: int) -> None:
    """Record how the files differ from the documented layout. Raises AscendError if they are no installation."""
    ended_well = installer_words.ended_well(package, result, log_bytes)
    problems = _problems(package, installed=ended_well)
    found = cann_packages.as_package(problems)
    differs = cann_proof.differing(package.tree, package.version, problems or []) if ended_well else []
    if result.timed_out or (found["state"] != "complete" and not differs):
        raise _failure(package, path, result, found, "a complete %s" % package.name)
    if ended_well and package.kind == "toolkit":
        differs += cann_proof.differing_latest(package.tree, package.version)
    cann_proof.note_layout(package.tree, package.version, package.name, differs)


def _write_manifests(package: Package) -> None:
    """Record the installed files. The kernels' installer may change the toolkit's, so both are recorded after it."""
    folder = package.home
    # var/ is the installers' own journal, which later ones write to.
    tops = [name for name in sorted(os.listdir(folder)) if name != "var"]
    toolkit = cann_layout.manifest_path(package.state_dir, "toolkit", package.version)
    try:
        manifest.write(folder, tops, toolkit, without=cann_layout.KERNELS)
        fault_points.reached(package.kind + ".recording")
        if package.kind == "kernels":
            manifest.write(folder, _kernels_tops(package), package.manifest, without=_of_other_kernels(package))
    except OSError as error:
        raise AscendError(
            "cannot record the installed files",
            wanted="every file of %s to be readable" % folder,
            found=str(error),
            where=os.path.dirname(toolkit),
            remedy="dmesg | tail; df -h %s  # then run site.yml again" % package.state_dir,
        ) from error


def _kernels_tops(package: Package) -> List[str]:
    """In an unknown layout, the kernels are everything that does not belong to other kernels."""
    known = cann_layout.kernels_tops(str(package.chip))
    differs = cann_receipts.read(package.state_dir, package.version, package.name).differs
    return list(cann_layout.KERNELS) if differs else known


def _of_other_kernels(package: Package) -> List[str]:
    chips = [chip for chip in cann_layout.recorded_chips(package.state_dir, package.version) if chip != package.chip]
    return [top for chip in chips for top in cann_layout.kernels_tops(chip) if top not in cann_layout.KERNELS]


def latest_version(package: Package) -> Optional[str]:
    """Return the version to which this layout's link, ``latest`` or ``cann``, points, or None."""
    return cann_latest.leads_to(package.tree, package.version)


def relink_script(package: Package) -> Optional[str]:
    """Return the script that points ``latest`` to the version; None if its installer left none."""
    script = os.path.join(package.home, RELINK)
    return script if os.path.isfile(script) else None


def can_lead_latest(package: Package) -> bool:
    """Whether ``latest`` can be pointed to the version, with the script for it or because it is a single link."""
    return bool(relink_script(package)) or _is_one_link(package)


def _is_one_link(package: Package) -> bool:
    """Whether it is one, or should be and is lost; a folder of links belongs to CANN."""
    link = package.place.link
    return os.path.islink(link) or (package.place.layout.one_link and not os.path.lexists(link))


def make_latest(package: Package, run: Run) -> None:
    """Point ``latest`` to the version, with the script that its installer left, or by replacing the single link.

    Raises AscendError.
    """
    script, link = relink_script(package), package.place.link
    words = ""
    if script:
        with _private_tmp(package.tmp_dir) as tmp:
            result = run(["bash", script], package.timeout_s, env=_environment(package, tmp))
        words = "; the script ended with code %d: %s" % (result.code, result.last_lines(5))
    elif _is_one_link(package):
        atomic.link(link, os.path.relpath(package.home, os.path.dirname(link)))
    latest = latest_version(package)
    if latest != package.version:
        raise AscendError(
            "CANN's `latest` does not point to %s" % package.version,
            wanted=package.version,
            found="%s%s" % (latest, words),
            where=script or link,
        )


def repair(package: Package, file: DepotFile, run: Run, deep: bool = False) -> List[str]:
    """Reinstall a version in use, and point ``latest`` to its old target; return what the operator has to know.

    May be interrupted anywhere and run again. If the installation fails, ``latest`` is restored as well.
    """
    latest = cann_latest.keep(package.tree, package.version)
    if not latest:
        install(package, file, run, deep)
        return []
    try:
        install(package, file, run, deep)
    except AscendError:
        _led_back(package, latest, run)
        raise  # what is remembered says that this is a repair, also where nothing of the version is left
    return lead_back(package, run)


def is_link_lost(package: Package) -> bool:
    """Whether ``latest`` is a single link that points to no version."""
    return package.place.layout.one_link and not latest_version(package) and can_lead_latest(package)


def lead_back(package: Package, run: Run) -> List[str]:
    """Point ``latest`` to its target before this version's repair; return why that failed, which is reported once.

    If nothing was repaired, a lost link is created again.
    """
    kept = cann_latest.read(package.tree)
    if not kept and is_link_lost(package):
        make_latest(package, run)
    problem = _led_back(package, kept["latest"], run) if kept else ""
    fault_points.reached("latest.led-back")
    cann_latest.forget(package.tree)
    return [problem] if problem else []


def _led_back(package: Package, version: str, run: Run) -> str:
    other = replace(package, kind="toolkit", version=version, chip=None)
    try:
        if can_lead_latest(other):
            make_latest(other, run)
    except AscendError as error:
        return str(error)
    leads = latest_version(other)
    if leads == version:
        return ""
    return (
        "CANN's `latest` pointed to %s and now points to %s, which changes the CANN of sessions that source set_env.sh"
        % (version, leads or "no version")
    )


def uninstall(package: Package, run: Run) -> None:
    """Run the installed package's own uninstaller. Raises AscendError if something of the package is left."""
    place = package.place
    layout = place.layout
    name = layout.uninstall if package.kind == "toolkit" else layout.uninstall_kernels
    script = package.tree.script(package.version, name)
    if not os.path.isfile(script):
        raise AscendError("the package has no uninstaller", wanted=script, found="no such file", where=package.home)
    with _private_tmp(package.tmp_dir) as tmp, install_record.naming(package.tree, place.base):
        result = run(["bash", script], package.timeout_s, env=_environment(package, tmp))
    for stale in _stale_manifests(package):
        os.unlink(stale)
    cann_receipts.forget(package.state_dir, package.version, "" if package.kind == "toolkit" else package.name)
    if package.kind == "toolkit":
        cann_latest.forget(package.tree, package.version)
    found = observe(package)
    if found["state"] != "absent":
        raise _failure(package, script, result, found, "no files of %s" % package.name)


def _with_it(package: Package) -> List[str]:
    """Return the packages that a change of this one removes: changing a toolkit removes its kernels, too."""
    kernels = package.kind == "kernels"
    return [package.name] if kernels else cann_layout.packages(package.state_dir, package.version)


def _stale_manifests(package: Package) -> List[str]:
    paths = [cann_layout.manifest_path(package.state_dir, name, package.version) for name in _with_it(package)]
    return [path for path in paths if os.path.exists(path)]


def _require_whole(package: Package, path: str, run: Run, tmp: str) -> None:
    """Let a package check itself, if its layout supports that; its sum was right when it was taken."""
    if not package.place.layout.checks:
        return
    result = run(["bash", path, "--nox11", "--check"], package.timeout_s, env=_environment(package, tmp))
    if result.code != 0 or result.timed_out:
        raise AscendError(
            "the package fails its own check",
            wanted="bash %s --check, with code 0" % os.path.basename(path),
            found="not finished within %d s" % package.timeout_s if result.timed_out else "code %d" % result.code,
            where="%s; its output: %s" % (path, result.last_lines(3) or "nothing"),
            remedy="bash %s --nox11 --check; sha256sum %s  # on the node; then run site.yml again" % (path, path),
        )


def _argv(package: Package, path: str) -> List[str]:
    # --nox11: with DISPLAY set the archive would start itself again in a terminal window and wait there for ever.
    installer = ["bash", path, "--nox11", "--install", "--quiet", "--install-for-all"]
    place = package.place
    if place.base != DEFAULT_ROOT:
        installer.append("--install-path=" + place.base)
    if package.kind == "toolkit" or not place.layout.sources:
        return installer
    # The kernels find their toolkit by ASCEND_OPP_PATH, which the toolkit's set_env.sh sets. That may end with a test
    # that fails, or shift its caller's arguments; where it cannot be read, bash says so, and nothing is installed.
    set_env = package.tree.set_env(package.version)
    sourced = 'a=("$@"); { source "$1" || [ -r "${a[0]}" ]; } && exec "${a[@]:1}"'
    return ["bash", "-c", sourced, "ascend-fleet", set_env, *installer]


def _environment(package: Package, tmp: str) -> Dict[str, str]:
    """Only what the installer needs: no DISPLAY, no PYTHONPATH, no profile; python3 and pip3 first in PATH."""
    path = SYSTEM_PATH if not package.python_bin else package.python_bin + ":" + SYSTEM_PATH
    return {"PATH": path, "HOME": "/root", "USER": "root", "TMPDIR": tmp, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@contextmanager
def _private_tmp(tmp_dir: str) -> Iterator[str]:
    """A folder for the installer to unpack in."""
    os.makedirs(tmp_dir, mode=0o755, exist_ok=True)
    path = tempfile.mkdtemp(prefix="%s%d-" % (INSTALLER_TMP, os.getpid()), dir=tmp_dir)
    try:
        yield path
    finally:
        # What stays is cleared away when the next change begins (leftovers.py), which says so when it cannot.
        shutil.rmtree(path, ignore_errors=True)


def _failure(package: Package, path: str, result: Result, found: PackageFact, wanted: str) -> AscendError:
    lacking = installer_needs.lacking(_environment(package, package.tmp_dir))
    return installer_words.failure(package, path, result, found, wanted, lacking)
