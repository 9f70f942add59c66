# SPDX-License-Identifier: Apache-2.0
"""Resolve what one node should be: the release and the depot, for the architecture and the chip that were found.

The result is the second argument of the planner (``ansible.module_utils.ascend.plan``), and what the roles give to the
state modules. What the control node cannot supply (no lock for the architecture, a file that the depot lacks) is listed
under ``problems`` in the form of a refusal, so that one odd node does not stop the others. What the depot lacks has
``needed_by`` besides: the steps that need it. A node without these steps needs no depot.
"""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from packaging.version import Version

from ...ascend.errors import AscendError
from ...ascend.finding import refusal
from ...ascend.npu.chips import chip_family
from ..depot.index import PAGE, SECTIONS, python_of, source_of
from ..depot.trouble import FILL
from ..release.compatibility import problems_of
from ..release.read import accepts_python, read_index, read_lock, read_release
from .places import ascend_env, places
from .policies import number, one_of, packages

# The steps that need a file of the depot, by what it is.
INSTALLERS = ("toolkit", "kernels")  # they call pip3
BUILDERS = ("environment", "source")
NOTHING = {"version": "", "url": "", "sha256": "", "size_bytes": 0}
VERIFIED = ("deepspeed", "llamafactory", "torch", "torch-npu")  # what npu_check compares in the running interpreter


def resolve(found: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a node with these facts should be, by the playbook's settings (roles/ascend/vars).

    What a user gives with ``-e`` is text, and so is what older versions of Ansible make of a number.
    """
    folder = _folder(settings)
    release = release_of(settings)
    depot = _Depot(settings["depot_dir"], settings["depot_url"], release["release"], boolean(settings["check_mode"]))
    architecture = found["system"]["architecture"]
    chip = _chip(found, release)
    cann_home = f"{settings['cann_root']}/ascend-toolkit/{release['cann']['version']}"
    # Which environment it shall be decides which Python stays; what it lacks of the depot is told last.
    environment = _environment(depot, folder, release, found, settings, cann_home)
    of_environment, depot.problems = depot.problems, []
    wanted = {
        "release": release["release"],
        "now_s": int(time.time()),
        "architecture": architecture,
        "chips": release["chips"],
        "driver": {**release["driver"], "policy": one_of("ascend_driver_policy", settings["driver_policy"])},
        "cards": _cards(settings["cards"]),
        "system": {**release["system"], "policy": one_of("ascend_system_settings", settings["system_settings"])},
        "packages": packages(settings),
        "disk_mb": release["disk_mb"],
        "places": places(settings),
        "depot_proxy": str(settings.get("depot_proxy") or ""),
        "deep": boolean(settings["deep"]),
        "accept_eula": boolean(settings["accept_eula"]),
        "allow_downgrade": boolean(settings["allow_downgrade"]),
        "toolkit": _package(depot, release, "toolkit", None, architecture),
        "kernels": {"chip": chip, **(_package(depot, release, "kernels", chip, architecture) if chip else {})},
        "python": _python(depot, release, found, settings, environment["name"]),
        "uv": depot.described(depot.index["uv"].get(architecture), "uv", architecture, BUILDERS),
        "environment": environment,
        "ascend_env": {"path": settings["ascend_env"], "sha256": _program(settings)},
        "devices": [device["name"] for device in found["npu"]["devices"]],
    }
    return {**wanted, "problems": [*release_problems(settings, [architecture]), *depot.problems, *of_environment]}


def cards_out(given: Any) -> list[int]:
    """Return npu-smi's ids of the cards that the inventory takes out; with ``-e`` a list is text, as in "4,6"."""
    words = given.strip("[] ").split(",") if isinstance(given, str) else given
    listed = [str(word).strip() for word in (words if isinstance(words, list) else [words]) if word != ""]
    if not all(re.fullmatch("[0-9]{1,3}", word) for word in listed):
        raise AscendError(
            "ascend_cards_out is no list of cards",
            wanted="npu-smi's ids, each by itself, such as [4, 6]; [] takes none out",
            found=repr(given),
            where="the inventory, or -e",
            remedy="npu-smi info -l  # shows the ids; then mend ascend_cards_out in the inventory",
        )
    return sorted({int(word) for word in listed})


def _cards(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "count": number("ascend_card_count", settings["count"]),
        "memory_mb": number("ascend_card_memory_mb", settings["memory_mb"]),
        "out": cards_out(settings["out"]),
        "health_policy": one_of("ascend_health_policy", settings["health_policy"]),
    }


def release_problems(settings: dict[str, Any], architectures: list[str]) -> list[dict[str, str]]:
    """Return a refusal for each pair of the release, and of its locks for these architectures, that does not fit."""
    folder, release = _folder(settings), release_of(settings)
    locks = dict.fromkeys(_lock_file(settings, release, architecture) for architecture in architectures)
    found = [refused for lock in locks if lock for refused in problems_of(folder, folder / lock)]
    return list({(refused["subject"], refused["problem"]): refused for refused in reversed(found)}.values())[::-1]


def _lock_file(settings: dict[str, Any], release: dict[str, Any], architecture: str) -> str:
    return str(settings["locks"].get(architecture) or release["locks"].get(architecture) or "")


def release_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the release that these settings name, as its ``release.yml`` says it."""
    return read_release(str(_folder(settings)))


def _folder(settings: dict[str, Any]) -> Path:
    return Path(str(settings["releases_dir"]), str(settings["release"]))


class _Depot:
    """The depot as the nodes see it; remembers what it was asked for and does not hold.

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
        self.url = url.rstrip("/")
        self.problems: list[dict[str, Any]] = []

    def described(self, entry: Any, what: str, architecture: str, needed_by: tuple[str, ...]) -> dict[str, Any]:
        """Return version, url, sha256 and size_bytes of a file of the depot; empty texts when it is not there."""
        file = entry["file"] if isinstance(entry, dict) else entry
        known = self.index["files"].get(file) if file else None
        if not known:
            self.lacks(what, architecture, needed_by)
            return dict(NOTHING)
        version = entry.get("version", "") if isinstance(entry, dict) else ""
        return {"version": version, "url": f"{self.url}/{file}", **known}

    def wheels(self, folder: str) -> str:
        """Return where uv finds the wheels of a folder: the page that lists them, or of a mount the folder."""
        return f"{self.url}/{folder}" + ("" if self.url.startswith("file:") else f"/{PAGE}")

    def lacks(self, what: str, architecture: str, needed_by: tuple[str, ...]) -> None:
        if self.to_be_filled:
            return
        problem = refusal(
            "system",
            "depot",
            f"the depot holds no {what} for {architecture}",
            f"{what} for {architecture} in {self.folder}",
            self.unread or "not in its index.json",
            f"{FILL} -e ascend_release={self.release}, with {architecture} in"
            " depot_architectures, then again (with --limit, site.yml takes the depot as it is)",
            subject=what,
        )
        self.problems.append({**problem, "needed_by": needed_by})


def _chip(found: dict[str, Any], release: dict[str, Any]) -> str:
    """Return the supported chip family of the node's cards, or an empty text."""
    for device in found["npu"]["devices"]:
        family, chip = chip_family(str(device["name"]), release["chips"])
        if chip and chip["supported"]:
            return str(family)
    return ""


def _package(
    depot: _Depot, release: dict[str, Any], package: str, chip: str | None, architecture: str
) -> dict[str, Any]:
    version = release["cann"]["version"]
    entry = depot.index["cann"].get(version, {}).get(package, {})
    entry = entry.get(chip, {}) if chip else entry
    what = f"CANN {version} {package}" + (f" {chip}" if chip else "")
    return {**depot.described(entry.get(architecture), what, architecture, INSTALLERS), "version": version}


def _python(
    depot: _Depot, release: dict[str, Any], found: dict[str, Any], settings: dict[str, Any], environment: str
) -> dict[str, Any]:
    """Return which Python environments are made with: ``program``, and ``bin``, the folder of its python3 and pip3.

    One of the depot has a version and a file to install; the node's own (``source`` system) has neither, and no program
    where the node lacks the release's series. The Python below the wanted ``environment`` stays while it is whole and
    accepted, whatever the depot has by now; else ``replaces`` is its version, and the environment is made anew.
    """
    accepted = release["python"]
    series = accepted["series"]
    if one_of("ascend_python", settings["python"]) == "system":
        program = found["system_pythons"].get(series, {}).get("path", "")
        there = {"path": "", "program": program, "bin": str(Path(program).parent)}
        return {**NOTHING, **there, "source": "system", "series": series, "replaces": ""}
    architecture = found["system"]["architecture"]
    entry = python_of(depot.index["pythons"], architecture, series)
    if entry and not accepts_python(accepted, entry["version"]):
        entry = {}
    runs, whole = _runs(found, environment)
    keeps = whole and accepts_python(accepted, runs)
    own = runs if keeps else "" if entry else _python_there(found, accepted)
    if own:
        python = {**NOTHING, "version": own}
    else:
        steps = ("python", *INSTALLERS, *BUILDERS)
        python = depot.described(entry or None, f"Python {series}", architecture, steps)
    if depot.to_be_filled and not python["version"]:
        python["version"] = series
    path = f"{settings['root']}/python/{python['version']}"
    places = {"path": path, "program": f"{path}/bin/python3", "bin": f"{path}/bin"}
    replaces = runs if python["version"] != runs else ""  # also where the depot has none: then it lacks one
    return {**python, **places, "source": "depot", "series": series, "replaces": replaces}


def _runs(found: dict[str, Any], environment: str) -> tuple[str, bool]:
    """Return (version, whether it is whole) of the Python of ours that an environment runs; "" where it runs none."""
    version = str(found.get("environments", {}).get("all", {}).get(environment, {}).get("python") or "")
    python = found.get("pythons", {}).get(version)
    return (version, python["state"] == "complete") if python else ("", False)


def _python_there(found: dict[str, Any], accepted: dict[str, Any]) -> str:
    """Return a complete, accepted Python of the node that came from the depot: that of what is current first."""
    current = _current(found)[1].get("python")
    whole = [version for version, python in found.get("pythons", {}).items() if python["state"] == "complete"]
    of_series = [version for version in whole if accepts_python(accepted, version)]
    return str(current if current in of_series else max(of_series, key=Version, default=""))


def _current(found: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of the current environment and its facts; both empty where there is none."""
    environments = found.get("environments", {})
    name = environments.get("current") or ""
    return name, environments.get("all", {}).get(name, {})


def _environment(
    depot: _Depot,
    folder: Path,
    release: dict[str, Any],
    found: dict[str, Any],
    settings: dict[str, Any],
    cann_home: str,
) -> dict[str, Any]:
    nothing: dict[str, Any] = {"name": "", "path": "", "lock_digest": "", "distributions": {}, "versions": {}}
    nothing |= {"cann_home": cann_home, "source": {}}
    architecture = found["system"]["architecture"]
    lock_file = _lock_file(settings, release, architecture)
    if not lock_file:
        depot.problems.append(_no_lock(release, architecture))
        return nothing
    distributions, digest = read_lock(str(folder / lock_file))
    entry = depot.index["locks"].get(release["release"], {}).get(architecture)
    if not entry or entry["lock_digest"] != digest or f"{entry['wheels']}/{PAGE}" not in depot.index["files"]:
        depot.lacks(f"wheels of lock {digest}", architecture, ("environment",))
        entry = {"file": folder.resolve() / lock_file, "wheels": ""}
    name = f"{release['release']}-{digest}"
    source = _source(depot, settings, found, name)
    if source:
        distributions = {**distributions, "llamafactory": source["version"]}
        name += f"-{source['sha256'][:8]}"
    return {
        "name": name,
        "path": f"{settings['root']}/env/{name}",
        "lock_digest": digest,
        "lock_file": str(Path(settings["depot_dir"]) / entry["file"]),
        "wheelhouse": depot.wheels(entry["wheels"]),
        "distributions": distributions,
        "versions": {key: distributions[key] for key in VERIFIED if key in distributions},
        "cann_home": cann_home,
        "source": source,
    }


def _source(depot: _Depot, settings: dict[str, Any], found: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the LLaMA-Factory archive to install editable, or nothing where the lock's release is wanted.

    Where the depot does not tell which archive that is, a checkout in the current environment of this ``name`` is it.
    """
    asked = settings["llamafactory_source"]
    if not asked:
        return {}
    entry = source_of(depot.index["sources"], asked)
    current, there = _current(found)
    archive = there.get("sources", {}).get("llamafactory", {}).get("archive")
    if not entry and archive and current == f"{name}-{archive[:8]}":
        return {**NOTHING, "version": str(there["versions"].get("llamafactory", "")), "sha256": archive}
    return depot.described(entry or None, "LLaMA-Factory source", found["system"]["architecture"], BUILDERS)


def _no_lock(release: dict[str, Any], architecture: str) -> dict[str, str]:
    return refusal(
        "system",
        "architecture",
        f"release {release['release']} has no lock for {architecture}",
        "one of " + ", ".join(sorted(release["locks"])),
        architecture,
        "make one (releases/README.md) and name it: ascend_locks: {" + architecture + ": path}",
    )


def _program(settings: dict[str, Any]) -> str:
    return hashlib.sha256(ascend_env(settings["ascend_env_file"], settings["root"]).encode()).hexdigest()
