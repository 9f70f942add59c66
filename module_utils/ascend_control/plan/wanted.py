# SPDX-License-Identifier: Apache-2.0
"""Resolve what one node should be: the release and the depot, for the node's architecture and chip.

The result is the second argument of the planner (``ascend.plan``), and the roles pass it to the state modules. What the
control node cannot supply (no lock for the architecture, a file that the depot lacks) is listed under ``problems`` in
the form of a refusal, so that one odd node does not stop the others. What the depot lacks also has ``needed_by``, the
steps that need it. A node without these steps needs no depot.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from packaging.version import Version

from ...ascend.environment import examples
from ...ascend.environment.distributions import DECIDING
from ...ascend.errors import AscendError
from ...ascend.finding import Refusal, refusal
from ...ascend.npu.chips import chip_family
from ...ascend.serve.model import models_of
from ..depot import sending
from ..depot.index import PAGE, SECTIONS, python_of, source_of
from ..depot.transport import PATH, SSH, address
from ..depot.trouble import FILL, read_index
from ..release.compatibility import release_problems
from ..release.drivers import drivers_of
from ..release.read import accepts_python, folder_of, lock_of, read_lock, release_of
from .asked import CardSettings, Release, Settings
from .crossing import place_for
from .documents import Document, read
from .found import Cann, Environment, Environments, Python, SystemPython, part_of
from .places import ascend_env, examples_of, places
from .policies import is_whole, number, one_of, packages, with_e

# The steps that need a file of the depot, by what it is.
INSTALLERS = ("toolkit", "kernels")  # they call pip3
BUILDERS = ("environment", "source")
NOTHING = {"version": "", "url": "", "sha256": "", "size_bytes": 0}


@dataclass(frozen=True)
class _Node:
    """The properties of a node that decide what it should be."""

    system: _System
    npu: _Npu
    cann: Cann
    environments: Environments
    pythons: dict[str, Python]
    system_pythons: dict[str, SystemPython]

    def current(self) -> tuple[str, Environment]:
        """Return the name of the current environment and its facts; "" and empty facts if there is none."""
        name = self.environments.current or ""
        return name, self.environments.all.get(name, Environment())


@dataclass(frozen=True)
class _System:
    architecture: str


@dataclass(frozen=True)
class _Npu:
    devices: list[_Device]


@dataclass(frozen=True)
class _Device:
    name: str


def resolve(facts: Document, settings: Document) -> dict[str, Any]:
    """Return what a node with these facts should be, by the playbook's settings (roles/ascend/vars).

    Values passed with ``-e`` are text, and so are numbers in older versions of Ansible.
    """
    given, node, yml = read(Settings, settings), part_of(_Node, facts), release_of(settings)
    release = read(Release, yml)
    folder, architecture, chip = folder_of(settings), node.system.architecture, _chip(node, release)
    # What a mirror does not give is sent.
    transport = SSH if given.depot_mirror else one_of("depot_transport", given.depot_transport)
    depot = _Depot(
        given.depot_dir,
        address(transport, given.depot_url, given.depot_dir),
        release.release,
        boolean(given.check_mode),
    )
    place = place_for(node.cann, release.cann, given.cann_root, one_of("cann_cross", given.cann_cross))
    lies = {"layout": place.layout.name, "beside": place.base != given.cann_root}
    # Which environment it shall be decides which Python stays; what it lacks of the depot is told last.
    environment, name = _environment(depot, folder, release, node, given, place.home(release.cann.version))
    environment |= _wheelhouse(depot, environment, given.cache_dir, transport)
    of_environment, depot.problems = depot.problems, []
    wanted = {
        "release": release.release,
        "now_s": int(time.time()),
        "architecture": architecture,
        "chips": yml["chips"],
        "driver": {
            **release.driver,
            "policy": one_of("ascend_driver_policy", given.driver_policy),
            **drivers_of(given.releases_dir, release.cann.version),
        },
        "cards": _cards(given.cards),
        "system": {**release.system, "policy": one_of("ascend_system_settings", given.system_settings)},
        "packages": packages(given.system_packages),
        "disk_mb": release.disk_mb,
        "places": places(settings),
        "depot": {
            "transport": transport,
            "folder": given.depot_dir,
            "url": depot.url,
            "mirror": given.depot_mirror,
            "mirror_url": given.depot_mirror_url,
        },
        "depot_proxy": str(given.depot_proxy or ""),
        "deep": boolean(given.deep),
        "accept_eula": boolean(given.accept_eula),
        "allow_downgrade": boolean(given.allow_downgrade),
        "cann_cross": one_of("cann_cross", given.cann_cross),
        "toolkit": {**_package(depot, release, "toolkit", None, architecture), **lies},
        "kernels": {"chip": chip, **(_package(depot, release, "kernels", chip, architecture) if chip else {}), **lies},
        "cann_shared": list(place.shared),
        "python": _python(depot, release, node, given, name),
        "uv": depot.described(depot.section("uv").get(architecture), "uv", architecture, BUILDERS),
        "environment": environment,
        "ascend_env": {"path": given.ascend_env, "sha256": _program_sum(given)},
        "devices": [device.name for device in node.npu.devices],
        "services": [{"name": each.name, "digest": each.digest()} for each in models_of(list(given.serve_models))],
    }
    return {**wanted, "problems": [*release_problems(settings, [architecture]), *depot.problems, *of_environment]}


def environment_name(release: str, lock_digest: str, source: Document) -> str:
    """Return the name of an environment's folder; ``source`` is the archive of its checkout, or nothing."""
    return f"{release}-{lock_digest}" + (f"-{source['sha256'][:8]}" if source else "")


def cards_out(given: Any) -> list[int]:
    """Return npu-smi's ids of the cards that the inventory takes out; with ``-e`` a list is text, as in "4,6"."""
    words = given.strip("[] ").split(",") if isinstance(given, str) and is_whole(given) else given
    listed = [str(word).strip() for word in (words if isinstance(words, list) else [words]) if word != ""]
    if not all(re.fullmatch("[0-9]{1,3}", word) for word in listed):
        raise AscendError(
            "ascend_cards_out is not a list of cards",
            wanted="npu-smi's ids, listed one by one, such as [4, 6]; [] excludes none",
            found=repr(given),
            where="the inventory, or -e",
            remedy="npu-smi info -l  # shows the ids; then correct ascend_cards_out in the inventory, "
            + with_e("ascend_cards_out", "[4, 6]"),
        )
    return sorted({int(word) for word in listed})


def _cards(given: CardSettings) -> dict[str, Any]:
    return {
        "count": number("ascend_card_count", given.count),
        "memory_mb": number("ascend_card_memory_mb", given.memory_mb),
        "out": cards_out(given.out),
        "health_policy": one_of("ascend_health_policy", given.health_policy),
    }


class _Depot:
    """The depot as the nodes see it; remembers requests for things that it lacks.

    In check mode (``to_be_filled``) a depot that lacks a file is not a problem: the real run fills it first.
    """

    def __init__(self, folder: str, url: str, release: str, to_be_filled: bool) -> None:
        self.release = release
        self.to_be_filled = to_be_filled
        self.unread = ""
        try:
            self.index = read_index(folder)
        except AscendError as error:
            self.index, self.unread = {name: {} for name in SECTIONS}, f"{error.problem}: {error.where}"
        self.folder = folder
        self.url = url
        self.problems: list[dict[str, Any]] = []

    def section(self, name: str) -> dict[str, Any]:
        """Return a section of the index."""
        section: dict[str, Any] = self.index[name]
        return section

    def described(self, entry: Any, what: str, architecture: str, needed_by: tuple[str, ...]) -> dict[str, Any]:
        """Return version, url, sha256 and size_bytes of a file of the depot; empty texts if it is missing."""
        file = entry["file"] if isinstance(entry, dict) else entry
        known = self.section("files").get(file) if file else None
        if not known:
            self.report_missing(what, architecture, needed_by)
            return dict(NOTHING)
        version = entry.get("version", "") if isinstance(entry, dict) else ""
        return {"version": version, "url": f"{self.url}/{file}", **known}

    def report_missing(self, what: str, architecture: str, needed_by: tuple[str, ...]) -> None:
        if self.to_be_filled:
            return
        problem = refusal(
            "system",
            "depot",
            f"the depot has no {what} for {architecture}",
            f"{what} for {architecture} in {self.folder}",
            self.unread or "not in its index.json",
            f"{FILL} -e ascend_release={self.release}, with {architecture} in"
            " depot_architectures, then try again (with --limit, site.yml uses the depot as it is)",
            subject=what,
        )
        self.problems.append({**problem, "needed_by": needed_by})


def _chip(node: _Node, release: Release) -> str:
    """Return the supported chip family of the node's cards, or an empty text."""
    names = {family: chip.names for family, chip in release.chips.items()}
    families = [chip_family(device.name, names) for device in node.npu.devices]
    return next((family for family in families if family and release.chips[family].supported), "")


def _package(depot: _Depot, release: Release, package: str, chip: str | None, architecture: str) -> dict[str, Any]:
    version = release.cann.version
    entry = depot.section("cann").get(version, {}).get(package, {})
    entry = entry.get(chip, {}) if chip else entry
    what = f"CANN {version} {package}" + (f" {chip}" if chip else "")
    return {**depot.described(entry.get(architecture), what, architecture, INSTALLERS), "version": version}


def _python(depot: _Depot, release: Release, node: _Node, given: Settings, environment: str) -> dict[str, Any]:
    """Return the Python that environments are built with: ``program``, and ``bin``, the folder of its python3 and pip3.

    One from the depot has a version and a file to install; the node's own (``source`` system) has neither, and no
    program if the node lacks the release's series. The wanted ``environment`` keeps its Python while that is intact and
    accepted, whatever the depot has now; otherwise ``replaces`` is its version, and the environment is built again.
    """
    accepted = release.python
    series = accepted["series"]
    if one_of("ascend_python", given.python) == "system":
        system_python = node.system_pythons.get(series)
        program = system_python.path if system_python else ""
        unmanaged = {"path": "", "program": program, "bin": str(Path(program).parent)}
        return {**NOTHING, **unmanaged, "source": "system", "series": series, "replaces": ""}
    architecture = node.system.architecture
    entry = python_of(depot.section("pythons"), architecture, series)
    if entry and not accepts_python(accepted, entry["version"]):
        entry = {}
    runs, whole = _runs(node, environment)
    keeps = whole and accepts_python(accepted, runs)
    own = runs if keeps else "" if entry else _python_there(node, accepted)
    if own:
        python = {**NOTHING, "version": own}
    else:
        steps = ("python", *INSTALLERS, *BUILDERS)
        python = depot.described(entry or None, f"Python {series}", architecture, steps)
    version = python["version"] or (series if depot.to_be_filled else "")
    path = f"{given.ascend_root}/python/{version}"
    places = {"path": path, "program": f"{path}/bin/python3", "bin": f"{path}/bin"}
    replaces = runs if version != runs else ""  # also where the depot has none: then it lacks one
    return {**python, **places, "version": version, "source": "depot", "series": series, "replaces": replaces}


def _runs(node: _Node, environment: str) -> tuple[str, bool]:
    """Return (version, whether it is intact) of our Python that an environment runs; "" if it runs none."""
    version = node.environments.all.get(environment, Environment()).python or ""
    python = node.pythons.get(version)
    return (version, python.state == "complete") if python else ("", False)


def _python_there(node: _Node, accepted: dict[str, str]) -> str:
    """Return a complete, accepted Python on the node that came from the depot, preferring the current environment's."""
    current = node.current()[1].python
    whole = [version for version, python in node.pythons.items() if python.state == "complete"]
    of_series = [version for version in whole if accepts_python(accepted, version)]
    return str(current if current in of_series else max(of_series, key=Version, default=""))


def _environment(
    depot: _Depot, folder: Path, release: Release, node: _Node, given: Settings, cann_home: str
) -> tuple[dict[str, Any], str]:
    """Return the environment that it should have, and its name; "" if there is no lock to build one from."""
    nothing: dict[str, Any] = {"name": "", "path": "", "lock_digest": "", "distributions": {}, "versions": {}}
    nothing |= {"cann_home": cann_home, "source": {}, "wheels": ""}
    architecture = node.system.architecture
    lock_file = lock_of(given.locks, release.locks, architecture)
    if not lock_file:
        depot.problems.append({**_no_lock(release, architecture)})
        return nothing, ""
    distributions, digest = read_lock(str(folder / lock_file))
    file, wheels = _wheels(depot, release.release, architecture, digest) or (str(folder.resolve() / lock_file), "")
    source = _source(depot, given.llamafactory_source, node, environment_name(release.release, digest, {}))
    name = environment_name(release.release, digest, source)
    if source:
        distributions = {**distributions, "llamafactory": source["version"]}
    environment = {
        "name": name,
        "path": f"{given.ascend_root}/env/{name}",
        "lock_digest": digest,
        "lock_file": str(Path(given.depot_dir) / file),
        "wheels": wheels,
        "distributions": distributions,
        "versions": {key: distributions[key] for key in DECIDING if key in distributions},
        "cann_home": cann_home,
        "source": source,
        "examples": _examples(given),
    }
    return environment, name


def _wheelhouse(depot: _Depot, environment: dict[str, Any], cache_dir: str, transport: str) -> dict[str, Any]:
    """Return the folder in which uv finds the wheels, and the size in bytes of those that the node's cache gets."""
    wheels = environment["wheels"]
    if transport == PATH:
        return {"wheelhouse": f"{depot.url}/{wheels}"}
    files = sending.wheels(depot.folder, wheels, environment["lock_file"]) if wheels else []
    return {"wheelhouse": f"file://{cache_dir}/{wheels}", "wheels_bytes": sum(file.size_bytes for file in files)}


def _wheels(depot: _Depot, release: str, architecture: str, digest: str) -> tuple[str, str] | None:
    """Return (file, folder of wheels) of a lock, as the depot has them; None if it lacks the wheels."""
    entry = depot.section("locks").get(release, {}).get(architecture)
    if entry and entry["lock_digest"] == digest and f"{entry['wheels']}/{PAGE}" in depot.section("files"):
        return entry["file"], entry["wheels"]
    depot.report_missing(f"wheels of lock {digest}", architecture, ("environment",))
    return None


def _source(depot: _Depot, asked: dict[str, str], node: _Node, name: str) -> dict[str, Any]:
    """Return the LLaMA-Factory archive to install editable, or nothing if the lock's release is wanted.

    If the depot does not know which archive that is, it is the checkout of this ``name`` in the current environment.
    """
    if not asked:
        return {}
    entry = source_of(depot.section("sources"), asked)
    current, built = node.current()
    checkout = built.sources.get("llamafactory")
    archive = checkout["archive"] if checkout else None
    if not entry and archive and current == f"{name}-{archive[:8]}":
        return {**NOTHING, "version": built.versions.get("llamafactory", ""), "sha256": archive}
    return depot.described(entry or None, "LLaMA-Factory source", node.system.architecture, BUILDERS)


def _no_lock(release: Release, architecture: str) -> Refusal:
    return refusal(
        "system",
        "architecture",
        f"release {release.release} has no lock for {architecture}",
        "one of " + ", ".join(sorted(release.locks)),
        architecture,
        "write one (releases/README.md) and name it: ascend_locks: {" + architecture + ": path}",
    )


def _program_sum(given: Settings) -> str:
    return hashlib.sha256(ascend_env(given.ascend_env_file, given.ascend_root).encode()).hexdigest()


def _examples(given: Settings) -> str:
    folder = Path(given.ascend_env_file).parent / examples.FOLDER
    return examples.digest(examples_of(str(folder), given.ascend_root))
